package elasticsearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// connectTimeout bounds one connection attempt. Otherwise a dead node could use up the time of a whole call.
const connectTimeout = 10 * time.Second

// Client sends requests to one cluster. It is safe for use by several goroutines.
type Client struct {
	cfg     Config
	clk     clock.Clock
	secrets *redact.Redactor
	// connect runs on first use, because a provider may have no cluster at all.
	connect func() (*elastictransport.Client, error)
	// genuine is true once a server has identified itself as Elasticsearch.
	genuine *atomic.Bool
}

// New returns a client. It does no I/O. Config.Check or the first call reports invalid settings.
func New(cfg Config, clk clock.Clock) *Client {
	c := &Client{cfg: cfg, clk: clk, secrets: cfg.Secrets(), genuine: &atomic.Bool{}}
	c.connect = sync.OnceValues(c.dial)
	return c
}

// WithClock returns a client with another clock for its pauses. Both share their connections.
func (c *Client) WithClock(clk clock.Clock) *Client {
	out := *c
	out.clk = clk
	return &out
}

// Config returns the client's settings.
func (c *Client) Config() Config { return c.cfg }

// Mask hides the credentials in a text.
func (c *Client) Mask(text string) string { return c.secrets.String(text) }

func (c *Client) dial() (*elastictransport.Client, error) {
	if !c.cfg.Configured() {
		return nil, &problem.Problem{
			What: "No Elasticsearch is configured", Why: "The provider has no elasticsearch block with endpoints, " +
				"and ELASTICSEARCH_ENDPOINTS is not set.",
			Next: "Set elasticsearch.endpoints in the provider block.",
			Path: []string{"elasticsearch", "endpoints"}, Err: ErrConfiguration,
		}
	}
	if err := c.cfg.Check(); err != nil {
		return nil, err
	}
	secure, err := c.cfg.tls()
	if err != nil {
		return nil, err
	}
	const idle = 16
	var transport http.RoundTripper = &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: idle,
		DialContext:         (&net.Dialer{Timeout: connectTimeout, Control: access.Control}).DialContext,
		TLSHandshakeTimeout: connectTimeout, IdleConnTimeout: time.Minute,
	}
	if c.cfg.Transport != nil {
		transport = c.cfg.Transport(transport)
	}
	var nodes []*url.URL
	for _, endpoint := range c.cfg.Endpoints {
		node, err := url.Parse(strings.TrimRight(endpoint, "/"))
		if err != nil {
			return nil, c.unanswered("Connect to Elasticsearch", err)
		}
		nodes = append(nodes, node)
	}
	nextNode := func(req *http.Request, err error) bool {
		return len(nodes) > 1 && req.Context().Err() == nil && notSent(err)
	}
	// The transport only tries another node if it can't connect. Do handles all other retries.
	out, err := elastictransport.NewClient(
		elastictransport.WithURLs(nodes...), elastictransport.WithTransport(transport),
		elastictransport.WithBasicAuth(c.cfg.Username, c.cfg.Password), elastictransport.WithAPIKey(c.cfg.APIKey),
		elastictransport.WithHeader(c.cfg.header()), elastictransport.WithUserAgent("terraform-provider-remediation"),
		elastictransport.WithRetry(max(1, len(nodes)-1), math.MaxInt), elastictransport.WithRetryOnError(nextNode),
	)
	if err != nil {
		return nil, c.unanswered("Connect to Elasticsearch", err)
	}
	return out, nil
}

// Do sends the request of a call, repeats it as call.Retry allows, and decodes a successful answer. Errors are
// *problem.Problem values.
func (c *Client) Do(ctx context.Context, call Call) error {
	call = call.withDefaults()
	on, err := c.connect()
	if err != nil {
		return err
	}
	if call.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, call.Timeout)
		defer cancel()
	}
	req, err := build(ctx, call)
	if err != nil {
		return c.unanswered(call.What, err)
	}
	began := c.clk.Now()
	for attempt := 1; ; attempt++ {
		if call.Retry.Stop != nil {
			if err := call.Retry.Stop(); err != nil {
				return err
			}
		}
		res := c.attempt(ctx, on, call, req)
		if res.err == nil || !res.again || ctx.Err() != nil {
			return res.err
		}
		pause := max(res.after, call.Retry.pause(attempt))
		late := call.Retry.For > 0 && c.clk.Now().Add(pause).After(began.Add(call.Retry.For))
		if late || attempt == call.Retry.Attempts {
			return tried(res.err, attempt)
		}
		if c.clk.Sleep(ctx, pause) != nil {
			return errors.Join(c.unanswered(call.What, ctx.Err()), res.err)
		}
	}
}

// pause returns how long to wait after an attempt. The first attempt is 1.
func (r Retry) pause(attempt int) time.Duration {
	const doublings = 10
	wait := max(1, min(r.Pause<<min(attempt-1, doublings), r.Longest))
	return wait + rand.N(wait) //nolint:gosec // spreads load, hides nothing
}

// result is the outcome of one attempt.
type result struct {
	err error
	// again means that the request may be retried, after the pause in after at the earliest.
	again bool
	after time.Duration
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, on *elastictransport.Client, call Call, req *http.Request) result {
	whole := ctx
	if call.Retry.Attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, call.Retry.Attempt)
		defer cancel()
	}
	req = req.Clone(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return result{err: c.unanswered(call.What, err)}
		}
		req.Body = body
	}
	exchange := logging.Exchange{Method: req.Method, Path: req.URL.RequestURI()}
	began := c.clk.Now()
	res, err := on.Perform(req) //nolint:bodyclose // read closes it
	var answer []byte
	if err == nil {
		exchange.Status = res.StatusCode
		answer, err = read(res.Body, call.Limit)
	}
	exchange.Took = c.clk.Now().Sub(began)
	if err != nil {
		err = c.unanswered(call.What, err)
		exchange.Err = err
		logging.Request(whole, call.Log, exchange)
		return result{err: err, again: !permanent(err) && (!call.Once || FateOf(err) == NotSent)}
	}
	logging.Request(whole, call.Log, exchange)
	return c.evaluate(call, res, answer)
}

// read reads an answer up to a limit in bytes.
func read(body io.ReadCloser, limit int64) ([]byte, error) {
	defer body.Close()
	answer, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case int64(len(answer)) > limit:
		const mebibyte = 20
		return nil, fmt.Errorf("%w: it is longer than %d MiB", ErrTooLong, limit>>mebibyte)
	}
	return answer, nil
}

// evaluate converts an HTTP response to the result of the attempt.
func (c *Client) evaluate(call Call, res *http.Response, answer []byte) result {
	const success = 2
	product := res.Header.Get("X-Elastic-Product") != ""
	if res.StatusCode/100 == success {
		if !product && !c.genuine.Load() {
			return result{err: c.otherProduct(call.What)}
		}
		c.genuine.Store(true)
		if err := call.decode(answer); err != nil {
			var p *problem.Problem
			if errors.As(err, &p) { // the caller found a refusal in the answer
				return result{err: err, again: errors.Is(err, ErrBusy) && !call.Once}
			}
			return result{err: c.unreadable(call.What, err), again: call.Retry.ServerErrors && !call.Once}
		}
		return result{}
	}
	refused := c.refusal(res.StatusCode, answer)
	denied := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
	out := result{err: c.refused(call.What, refused), after: retryAfter(res.Header.Get("Retry-After"), c.clk.Now())}
	if refused.Type == "" && !product && !denied {
		out.err = c.foreignAnswer(call.What, refused)
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		out.again = true
	default:
		out.again = call.Retry.ServerErrors && (refused.passing() || !json.Valid(answer) && !denied)
	}
	out.again = out.again && !call.Once
	return out
}

// retryAfter parses the Retry-After header, which contains seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
