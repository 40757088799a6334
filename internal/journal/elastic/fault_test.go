package elastic

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// explained fails the test unless err is a problem with the sentinel and a message.
func explained(t *testing.T, err, want error, says string) {
	t.Helper()
	var p *problem.Problem
	if !errors.Is(err, want) || !errors.As(err, &p) || p.Next == "" || len(p.Path) == 0 ||
		!strings.Contains(p.Error(), says) {
		t.Errorf("want %q, got %v", says, err)
	}
}

// errReset is a connection that breaks.
var errReset = errors.New("connection reset by peer")

// fault is what happens to a request on its way, or to its answer.
type fault func(req *http.Request, through http.RoundTripper) (*http.Response, error)

func never(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errReset }

// lost is a request that arrived, but whose answer was lost.
func lost(req *http.Request, through http.RoundTripper) (*http.Response, error) {
	res, err := through.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return nil, errors.Join(errReset, err, res.Body.Close())
}

// answers are made up, without the server.
func answers(status int, retryAfter, body string) fault {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		header := http.Header{"X-Elastic-Product": {"Elasticsearch"}}
		if retryAfter != "" {
			header.Set("Retry-After", retryAfter)
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
			Request: req}, nil
	}
}

// replaced lets the request arrive and replaces the answer.
func replaced(status int, body func(string) string) fault {
	return func(req *http.Request, through http.RoundTripper) (*http.Response, error) {
		res, err := through.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return nil, err
		}
		if status != 0 {
			res.StatusCode = status
		}
		changed := body(string(text))
		res.Body, res.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
		return res, nil
	}
}

func unchanged(text string) string          { return text }
func constant(s string) func(string) string { return func(string) string { return s } }
func half(text string) string               { return text[:len(text)/2] }

// broken is a connection that injects a fault into some requests.
type broken struct {
	through http.RoundTripper
	fault   fault
	when    func(n int64, req *http.Request) bool
	n       atomic.Int64
	hits    atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (b *broken) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.when(b.n.Add(1), req) {
		b.hits.Add(1)
		return b.fault(req, b.through)
	}
	return b.through.RoundTrip(req)
}

// breaking is a place behind a broken connection.
func breaking(on *elastictest.Server, index string, b *broken) Config {
	cfg := on.Config
	cfg.Transport = func(through http.RoundTripper) http.RoundTripper {
		b.through = through
		return b
	}
	return at(cfg, index)
}

// impatient is a clock whose sleeps advance the time at once. It records how long they were.
type impatient struct {
	clock.System
	mu    sync.Mutex
	ahead time.Duration
	slept []time.Duration
}

func (c *impatient) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.System.Now().Add(c.ahead)
}

func (c *impatient) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.slept = c.ahead+d, append(c.slept, d)
	return ctx.Err()
}

// TestFaults makes every second request fail in each way. No entry is lost or duplicated.
func TestFaults(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	const overload = `{"error":{"type":"es_rejected_execution_exception","reason":"queue is full"},"status":429}`
	for name, f := range map[string]fault{
		"reset before":         never,
		"reset after":          lost,
		"429":                  answers(http.StatusTooManyRequests, "", overload),
		"429 with Retry-After": answers(http.StatusTooManyRequests, "1", overload),
		"500": answers(http.StatusInternalServerError, "",
			`{"error":{"type":"node_closed_exception","reason":"node closed"},"status":500}`),
		"503 of a proxy":         answers(http.StatusServiceUnavailable, "", "<html>no upstream</html>"),
		"503 and it was done":    replaced(http.StatusServiceUnavailable, unchanged),
		"504 and it was done":    replaced(http.StatusGatewayTimeout, constant("timeout")),
		"truncated":              replaced(0, half),
		"empty":                  replaced(0, constant("")),
		"an object with nothing": replaced(http.StatusOK, constant("{}")),
		"another page":           replaced(http.StatusOK, constant("<html>welcome</html>")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const executions = 3
			index := place(t, on)
			b := &broken{fault: f, when: func(n int64, _ *http.Request) bool { return n%2 == 1 }}
			cfg := breaking(on, index, b)
			cfg.Clock = &impatient{}
			s := openTest(t, cfg, usual())
			if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), executions); err != nil {
				t.Fatal(err)
			}
			journaltest.Complete(t, s, executions)
			r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Beat(t.Context(), r.Lease()); err != nil {
				t.Error(err)
			}
			if p, err := s.Pulse(t.Context(), r.ID); err != nil || p.Beats != 1 {
				t.Errorf("pulse %+v, %v", p, err)
			}
			if n, err := s.Count(t.Context(), journal.Filter{}); err != nil || n != executions+1 {
				t.Errorf("counted %d, %v", n, err)
			}
			if all := journaltest.Verify(t, openTest(t, at(on.Config, index), usual())); len(all) != 4*executions+1 {
				t.Errorf("%d entries", len(all))
			}
			if b.hits.Load() < 4*executions {
				t.Errorf("only %d requests failed", b.hits.Load())
			}
		})
	}
}

// appends reports whether the request writes an entry.
func appends(req *http.Request) bool { return strings.Contains(req.URL.Path, "/_create/") }

// TestLostAnswers loses the answers to some appends while another handle writes in between.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	const executions = 10
	on := elastictest.Shared(t)
	index := place(t, on)
	var flushes atomic.Int64
	b := &broken{fault: lost, when: func(n int64, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/_flush") {
			flushes.Add(1)
		}
		return appends(req) && n%3 == 0
	}}
	cfg := breaking(on, index, b)
	cfg.Clock = &impatient{}
	stores := []*Store{openTest(t, cfg, usual()), openTest(t, at(on.Config, index), usual())}
	errs := make(chan error)
	for i, s := range stores {
		go func() { errs <- journaltest.Work(t.Context(), s, journaltest.Subject(i), executions) }()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		t.Fatal(err)
	}
	journaltest.Complete(t, stores[1], 2*executions)
	// An entry that is only known from reading is flushed to disk before it is reported.
	if b.hits.Load() == 0 || flushes.Load() == 0 {
		t.Errorf("%d answers were lost, %d flushes", b.hits.Load(), flushes.Load())
	}
}

// TestRetryAfter waits as long as the server asks for, unless that exceeds the timeout.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "": firstPause, "100000": 0} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			clk := &impatient{}
			refused := false
			b := &broken{fault: answers(http.StatusTooManyRequests, header, "{}"),
				when: func(_ int64, req *http.Request) bool {
					first := appends(req) && !refused
					refused = refused || first
					return first
				}}
			cfg := breaking(on, place(t, on), b)
			cfg.Clock = clk
			s := openTest(t, cfg, usual())
			_, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
			if want == 0 {
				explained(t, err, journal.ErrUnavailable, "429")
				return
			}
			if err != nil || len(clk.slept) != 1 || clk.slept[0] < want || clk.slept[0] > 2*want {
				t.Errorf("slept %v, %v", clk.slept, err)
			}
		})
	}
}

// TestRetriesEnd covers a server that keeps refusing: requests are retried until the timeout, then sent only once
// each for a while.
func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	clk := &impatient{}
	down := false
	b := &broken{fault: answers(http.StatusServiceUnavailable, "", "no"),
		when: func(int64, *http.Request) bool { return down }}
	cfg := breaking(on, place(t, on), b)
	cfg.Clock = clk
	s := openTest(t, cfg, usual())
	begin := func() error {
		_, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
		return err
	}
	down = true
	explained(t, begin(), journal.ErrUnavailable, "503")
	if waited := clk.ahead; waited < retryFor-2*longestPause || waited > retryFor {
		t.Errorf("waited %v", waited)
	}
	tries := b.hits.Load()
	explained(t, begin(), journal.ErrUnavailable, "503")
	if more := b.hits.Load() - tries; more != 1 {
		t.Errorf("%d attempts", more)
	}
	clk.ahead += rest
	explained(t, begin(), journal.ErrUnavailable, "tried")
	down = false
	if err := begin(); err != nil {
		t.Error(err)
	}
	if all := journaltest.Verify(t, s); len(all) != 1 {
		t.Errorf("%d entries", len(all))
	}
}

// TestHangs covers a server that accepts a request and never answers. The caller's context ends it, and so does the
// store's own timeout.
func TestHangs(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	hanging := func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	hangs := false
	l := usual()
	l.attempt, l.retryFor = 100*time.Millisecond, 300*time.Millisecond
	s := openTest(t, breaking(on, place(t, on), &broken{fault: hanging,
		when: func(int64, *http.Request) bool { return hangs }}), usual())
	s.limits, s.retryFor = l, l.retryFor
	hangs = true
	_, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
	explained(t, err, journal.ErrUnavailable, "did not answer in time")
	ctx, cancel := context.WithTimeout(t.Context(), l.attempt/2)
	defer cancel()
	if _, err := s.Begin(ctx, journaltest.Subject(1), journal.KindDryRun, journaltest.Intent()); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestOneRequestAnAppend counts the requests per execution.
func TestOneRequestAnAppend(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	var seen []string
	b := &broken{when: func(_ int64, req *http.Request) bool {
		seen = append(seen, req.Method+" "+req.URL.Path)
		return false
	}}
	s := openTest(t, breaking(on, place(t, on), b), usual())
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), 1); err != nil {
		t.Fatal(err)
	}
	seen = nil
	const executions, entries = 5, 4
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), executions); err != nil {
		t.Fatal(err)
	}
	if len(seen) != executions*entries {
		t.Errorf("%d requests: %v", len(seen), seen)
	}
}
