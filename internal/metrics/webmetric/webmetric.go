// Package webmetric reads a number from a web address: from its JSON answer, or the latency of the answer. Errors quote
// nothing from the answer: plans are posted in pull requests, and the address may be internal.
package webmetric

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-openapi/jsonpointer"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

// Errors from Read, for errors.Is.
var (
	// ErrUnavailable: there is no answer, or its status is not 200.
	ErrUnavailable = errors.New("the address gives no usable answer")
	// ErrNoNumber: the answer has no number at the pointer.
	ErrNoNumber = errors.New("no number found")
)

// Client reads web addresses. It sends no credentials.
type Client struct {
	web   *web.Client
	clock clock.Clock
}

// New returns a client.
func New(clk clock.Clock) *Client { return &Client{web: web.New(""), clock: clk} }

// CheckPointer returns why the text is not a JSON pointer (RFC 6901), or an empty string.
func CheckPointer(pointer string) string {
	if _, err := jsonpointer.New(pointer); err != nil {
		return "is not a JSON pointer such as /stats/error_rate"
	}
	return ""
}

// Read returns the number at the JSON pointer (RFC 6901) in the answer or, without a pointer, the latency in
// milliseconds.
func (c *Client) Read(ctx context.Context, address, pointer string) (float64, error) {
	if why := check.WebAddress(address); why != "" {
		return 0, fmt.Errorf("%w: %s", ErrUnavailable, why)
	}
	began := c.clock.Now()
	got, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: address})
	took := c.clock.Now().Sub(began)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case got.Status != http.StatusOK:
		return 0, fmt.Errorf("%w: status %d", ErrUnavailable, got.Status)
	case pointer == "":
		return float64(took) / float64(time.Millisecond), nil
	}
	return numberAt(got.Body, pointer)
}

func numberAt(body []byte, pointer string) (float64, error) {
	var document any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return 0, fmt.Errorf("%w: the answer is not JSON", ErrNoNumber)
	}
	p, err := jsonpointer.New(pointer)
	if err != nil {
		return 0, fmt.Errorf("%w: %q %s", ErrNoNumber, pointer, CheckPointer(pointer))
	}
	value, _, err := p.Get(document)
	if err != nil {
		return 0, fmt.Errorf("%w: the answer has nothing at %s", ErrNoNumber, pointer)
	}
	n, ok := value.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%w: the value at %s is not a number", ErrNoNumber, pointer)
	}
	v, err := n.Float64()
	if err != nil {
		return 0, fmt.Errorf("%w: the value at %s is out of range", ErrNoNumber, pointer)
	}
	return v, nil
}
