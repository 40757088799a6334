// Package prometheus reads one number per query from Prometheus. An answer that is not exactly one number is an error.
// Errors quote Prometheus's error messages, but no other answers: the address may belong to another service.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Errors from Query, for errors.Is.
var (
	// ErrNoData: the query returns no series.
	ErrNoData = errors.New("the query returns no data")
	// ErrSeveral: the query returns more than one series.
	ErrSeveral = errors.New("the query returns several series")
	// ErrWarnings: Prometheus warns that the answer may be incomplete.
	ErrWarnings = errors.New("prometheus answers with warnings")
	// ErrQuery: Prometheus rejects the query.
	ErrQuery = errors.New("prometheus refuses the query")
	// ErrUnavailable: there is no usable answer.
	ErrUnavailable = errors.New("prometheus does not answer")
)

// Client reads from a Prometheus server.
type Client struct {
	base string
	web  *web.Client
}

// New returns a client for the Prometheus at base, such as "http://localhost:9090". It does no I/O.
func New(base, token string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), web: web.New(token)}
}

// answer is the answer to GET /api/v1/query.
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

// errorTypes returns the error types that the Prometheus API documents. An error without one of them is not from
// Prometheus.
func errorTypes() []string {
	return []string{"bad_data", "execution", "timeout", "canceled", "internal", "unavailable", "not_found",
		"not_acceptable"}
}

// Query returns the value of an instant query that results in one number: a scalar, or a vector of one series. It may
// be NaN or infinite. A warning in the answer is an error, unless it contains one of the accepted texts.
func (c *Client) Query(ctx context.Context, query string, accepted ...string) (float64, error) {
	v, _, err := c.QueryNow(ctx, query, accepted...)
	return v, err
}

// QueryNow is Query, and also returns the time of the value by the clock of Prometheus, for QueryAt.
func (c *Client) QueryNow(ctx context.Context, query string, accepted ...string) (float64, time.Time, error) {
	return c.query(ctx, url.Values{"query": {query}}, accepted)
}

// QueryAt is Query for an earlier time, to the millisecond.
func (c *Client) QueryAt(ctx context.Context, query string, at time.Time, accepted ...string) (float64, error) {
	values := url.Values{"query": {query}, "time": {at.UTC().Format("2006-01-02T15:04:05.000Z")}}
	v, _, err := c.query(ctx, values, accepted)
	return v, err
}

func (c *Client) query(ctx context.Context, values url.Values, accepted []string) (float64, time.Time, error) {
	s, err := c.sample(ctx, values, accepted)
	if err != nil {
		return 0, time.Time{}, err
	}
	v, err := s.number()
	return v, s.time(), err
}

func (c *Client) sample(ctx context.Context, values url.Values, accepted []string) (sample, error) {
	got, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: c.base + "/api/v1/query?" + values.Encode()})
	if err != nil {
		return sample{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var a answer
	if err := json.Unmarshal(got.Body, &a); err != nil {
		return sample{}, fmt.Errorf("%w: status %d, and the answer is not in Prometheus's format", ErrUnavailable,
			got.Status)
	}
	said := ""
	if slices.Contains(errorTypes(), a.ErrorType) {
		said = ": " + c.web.Mask(a.ErrorType+": "+a.Error)
	}
	switch {
	case got.Status == http.StatusBadRequest || got.Status == http.StatusUnprocessableEntity:
		return sample{}, fmt.Errorf("%w%s", ErrQuery, said)
	case got.Status != http.StatusOK || a.Status != "success":
		return sample{}, fmt.Errorf("%w: status %d%s", ErrUnavailable, got.Status, said)
	}
	warnings := slices.DeleteFunc(a.Warnings, func(warning string) bool {
		return slices.ContainsFunc(accepted, func(text string) bool { return strings.Contains(warning, text) })
	})
	if len(warnings) > 0 {
		return sample{}, fmt.Errorf("%w: %s", ErrWarnings, c.web.Mask(strings.Join(warnings, "; ")))
	}
	return a.sample()
}

// sample is a time and a value as Prometheus encodes them.
type sample [2]any

func (s sample) number() (float64, error) {
	const bits = 64
	text, _ := s[1].(string)
	v, err := strconv.ParseFloat(text, bits)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%w: a value is not a number", ErrUnavailable)
	}
	return v, nil
}

// time returns the time of the value, to the millisecond.
func (s sample) time() time.Time {
	seconds, _ := s[0].(float64)
	const perSecond = 1000
	return time.UnixMilli(int64(math.Round(seconds * perSecond)))
}

func (a answer) sample() (sample, error) {
	switch a.Data.ResultType {
	case "scalar":
		var s sample
		if err := json.Unmarshal(a.Data.Result, &s); err != nil {
			return sample{}, fmt.Errorf("%w: the scalar has an unexpected format", ErrUnavailable)
		}
		return s, nil
	case "vector":
		var series []struct {
			Value sample `json:"value"`
		}
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return sample{}, fmt.Errorf("%w: the vector has an unexpected format", ErrUnavailable)
		}
		switch len(series) {
		case 0:
			return sample{}, ErrNoData
		case 1:
			return series[0].Value, nil
		default:
			return sample{}, fmt.Errorf("%w: %d; aggregate them, for example with sum or max", ErrSeveral, len(series))
		}
	default:
		return sample{}, fmt.Errorf("%w: the result must be one number, a scalar or a vector of one series", ErrQuery)
	}
}
