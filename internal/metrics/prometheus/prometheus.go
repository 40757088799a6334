// Package prometheus asks a Prometheus for one number at a time. What is not clearly one number is an error: the caller
// decides what that means.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Errors of Query, for errors.Is.
var (
	// ErrNoData: the query gives no series.
	ErrNoData = errors.New("the query gives no data")
	// ErrSeveral: the query gives more than one series.
	ErrSeveral = errors.New("the query gives several series")
	// ErrWarnings: Prometheus itself doubts the answer.
	ErrWarnings = errors.New("prometheus answers with warnings")
	// ErrQuery: Prometheus refuses the query.
	ErrQuery = errors.New("prometheus refuses the query")
	// ErrUnavailable: there is no usable answer.
	ErrUnavailable = errors.New("prometheus does not answer")
)

// Client asks one Prometheus.
type Client struct {
	base string
	web  *web.Client
}

// New returns a client of the Prometheus at base, such as "http://localhost:9090". It does no I/O.
func New(base, token string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), web: web.New(token)}
}

// answer is that of GET /api/v1/query.
type answer struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// Query returns the value of an instant query that gives one number: a scalar, or a vector of one series. It may be NaN
// or infinite.
func (c *Client) Query(ctx context.Context, query string) (float64, error) {
	got, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: c.base + "/api/v1/query?" +
		url.Values{"query": {query}}.Encode()})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var a answer
	if err := json.Unmarshal(got.Body, &a); err != nil {
		return 0, fmt.Errorf("%w: %s", ErrUnavailable, c.web.Text(got))
	}
	switch {
	case got.Status == http.StatusBadRequest || got.Status == http.StatusUnprocessableEntity:
		return 0, fmt.Errorf("%w: %s", ErrQuery, c.web.Mask(a.ErrorType+": "+a.Error))
	case got.Status != http.StatusOK || a.Status != "success":
		return 0, fmt.Errorf("%w: %s", ErrUnavailable, c.web.Text(got))
	case len(a.Warnings) > 0:
		return 0, fmt.Errorf("%w: %s", ErrWarnings, c.web.Mask(strings.Join(a.Warnings, "; ")))
	}
	return a.number()
}

// sample is a time and a value as Prometheus writes them.
type sample [2]any

func (s sample) number() (float64, error) {
	const bits = 64
	text, ok := s[1].(string)
	if !ok {
		return 0, fmt.Errorf("%w: a value is %v", ErrUnavailable, s[1])
	}
	v, err := strconv.ParseFloat(text, bits)
	if err != nil {
		return 0, fmt.Errorf("%w: a value is %q", ErrUnavailable, text)
	}
	return v, nil
}

func (a answer) number() (float64, error) {
	switch a.Data.ResultType {
	case "scalar":
		var s sample
		if err := json.Unmarshal(a.Data.Result, &s); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return s.number()
	case "vector":
		var series []struct {
			Value sample `json:"value"`
		}
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		switch len(series) {
		case 0:
			return 0, ErrNoData
		case 1:
			return series[0].Value.number()
		default:
			return 0, fmt.Errorf("%w: %d; aggregate it, for example with sum or max", ErrSeveral, len(series))
		}
	default:
		return 0, fmt.Errorf("%w: the result is a %s, and one number is wanted", ErrQuery, a.Data.ResultType)
	}
}
