// Package webmetric reads a number from a web address: one in its JSON answer, or how long the answer took.
package webmetric

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Errors of Read, for errors.Is.
var (
	// ErrUnavailable: there is no answer, or not the status 200.
	ErrUnavailable = errors.New("the address does not answer as it should")
	// ErrNoNumber: the answer holds no number at the pointer.
	ErrNoNumber = errors.New("no number there")
)

// Client reads web addresses. No credentials are sent.
type Client struct {
	web   *web.Client
	clock clock.Clock
}

// New returns a client.
func New(clk clock.Clock) *Client { return &Client{web: web.New(""), clock: clk} }

// Read returns the number at the JSON pointer (RFC 6901) in the answer, or without a pointer the latency in
// milliseconds.
func (c *Client) Read(ctx context.Context, address, pointer string) (float64, error) {
	if u, err := url.Parse(address); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return 0, fmt.Errorf("%w: %q is no http or https address", ErrUnavailable, address)
	}
	began := c.clock.Now()
	got, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: address})
	took := c.clock.Now().Sub(began)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case got.Status != http.StatusOK:
		return 0, fmt.Errorf("%w: %s", ErrUnavailable, c.web.Text(got))
	case pointer == "":
		return float64(took) / float64(time.Millisecond), nil
	}
	return at(got.Body, pointer)
}

func at(body []byte, pointer string) (float64, error) {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return 0, fmt.Errorf("%w: the answer is no JSON: %w", ErrNoNumber, err)
	}
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return 0, fmt.Errorf("%w: a JSON pointer begins with a slash", ErrNoNumber)
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, part := range strings.Split(rest, "/") {
		switch in := v.(type) {
		case map[string]any:
			v = in[unescape.Replace(part)]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(in) {
				return 0, fmt.Errorf("%w: there is no element %q of %s", ErrNoNumber, part, pointer)
			}
			v = in[i]
		default:
			return 0, fmt.Errorf("%w: %s leads nowhere at %q", ErrNoNumber, pointer, part)
		}
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%w: %s is %T", ErrNoNumber, pointer, v)
	}
	return n.Float64()
}
