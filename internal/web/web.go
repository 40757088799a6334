// Package web sends HTTP requests to planners, metric sources, forges, webhooks, and the incident service. Reads are
// retried. Writes are only retried if the server says that it did not accept them (429), because a write whose answer
// was lost may have been done; a request with Once is never retried. Redirects are not followed, connections to
// link-local addresses and metadata services are refused, and tokens never reach an error or a log.
package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

const (
	retries   = 3
	firstWait = 200 * time.Millisecond
	// longestWait bounds the wait between two attempts if the server names none (Retry-After).
	longestWait = 2 * time.Second
	// longestRetryAfter is the longest wait that a server can ask for. An answer that asks for a longer one is returned
	// without a retry.
	longestRetryAfter = 30 * time.Second
	// timeout bounds one attempt, and dialTimeout its connection and TLS handshake, each.
	timeout     = 30 * time.Second
	dialTimeout = 10 * time.Second
	// maxBody is the largest answer that is read, in bytes.
	maxBody = 4 << 20
)

// Errors from Do, for errors.Is.
var (
	// ErrNotSent: no connection could be made, so the server has not seen the request.
	ErrNotSent = errors.New("the server can't be reached")
	// ErrLost: the request may have been done, but its answer was lost.
	ErrLost = errors.New("the answer was lost")
)

// Client sends requests with a token. It is safe for use by several goroutines.
type Client struct {
	header, value string // of the token

	http   *retryablehttp.Client
	redact *redact.Redactor
}

// New returns a client that sends a bearer token. An empty token sends none.
func New(token string) *Client { return NewWith("Authorization", "Bearer ", token) }

// NewMasking returns a client that sends no token and masks secrets, such as the path of an address, in errors and
// logs.
func NewMasking(secrets ...string) *Client {
	c := New("")
	c.redact = redact.New(secrets...)
	return c
}

// NewWith returns a client that sends the token in the header, after the prefix. An empty token sends none.
func NewWith(header, prefix, token string) *Client {
	c := retryablehttp.NewClient()
	c.Logger, c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = nil, retries, firstWait, longestWait
	c.HTTPClient.Timeout = timeout
	client := &Client{header: header, http: c, redact: redact.New(token)}
	c.HTTPClient.Transport = logged{client: client, next: transport()}
	// A redirect could carry a write, or the token, to another address.
	c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.CheckRetry = retry
	// The answer to the last attempt counts, even if it is an error.
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	if token != "" {
		client.value = prefix + token
	}
	return client
}

// transport returns Go's own, except that it does not connect to link-local addresses and metadata services.
func transport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: access.Control}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: timeout,
	}
}

// logged logs each attempt.
type logged struct {
	client *Client
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l logged) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := l.next.RoundTrip(req)
	x := logging.Exchange{Method: req.Method, Path: l.client.Mask(req.URL.Host + req.URL.EscapedPath()),
		Took: time.Since(began)}
	if resp != nil {
		x.Status = resp.StatusCode
	}
	if err != nil {
		x.Err = errors.New(l.client.Mask(err.Error()))
	}
	logging.Request(req.Context(), logging.HTTP, x)
	return resp, err
}

type requestKey struct{}

func retry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	r, _ := ctx.Value(requestKey{}).(Request)
	if errors.Is(err, access.ErrRefused) || r.Once {
		return false, nil
	}
	if err == nil && retryablehttp.DefaultBackoff(0, 0, 0, resp) > longestRetryAfter {
		return false, nil
	}
	if r.Method == http.MethodGet {
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return err == nil && resp.StatusCode == http.StatusTooManyRequests, nil
}

// Request is a request to send.
type Request struct {
	Method, URL string
	Header      map[string]string
	// Body is sent as JSON; nil sends no body.
	Body []byte
	// Once prevents retries, regardless of the answer.
	Once bool
}

// Answer is the server's answer. Secrets in the body are masked, because an answer that quotes the request must not
// carry them into messages or records.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Mask returns s with secrets masked.
func (c *Client) Mask(s string) string { return c.redact.String(s) }

// Text returns the status and the beginning of the body for people, with secrets masked.
func (c *Client) Text(a Answer) string {
	const longest = 300
	text := strings.TrimSpace(c.Mask(string(a.Body)))
	if len(text) > longest {
		text = text[:longest] + "..."
	}
	if text == "" {
		return fmt.Sprintf("status %d", a.Status)
	}
	return fmt.Sprintf("status %d: %s", a.Status, text)
}

// Do sends a request and returns the answer, regardless of its status. An error wraps ErrNotSent or ErrLost.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	ctx = context.WithValue(ctx, requestKey{}, r)
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, r.URL, r.Body)
	if err != nil {
		return Answer{}, c.failed(ErrNotSent, err)
	}
	req.Header.Set("Accept", "application/json")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.value != "" {
		req.Header.Set(c.header, c.value)
	}
	for name, v := range r.Header {
		req.Header.Set(name, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return Answer{}, c.failed(ErrNotSent, err)
		}
		return Answer{}, c.failed(ErrLost, err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(resp.Body, maxBody+1))
	if err == nil && n > maxBody {
		err = fmt.Errorf("it is longer than %d bytes", maxBody)
	}
	if err != nil {
		return Answer{}, c.failed(ErrLost, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: []byte(c.Mask(body.String()))}, nil
}

// failed returns an error of the kind, with secrets masked. It wraps no cause except the end of a context, because the
// cause's own text is not masked.
func (c *Client) failed(kind, cause error) error {
	text := c.Mask(cause.Error())
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(cause, end) {
			return fmt.Errorf("%w: %s: %w", kind, text, end)
		}
	}
	return fmt.Errorf("%w: %s", kind, text)
}
