package elasticsearch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const secret = "Kanarie-password"

// sleeper is a clock whose sleeps advance the time at once.
type sleeper struct {
	clock.System
	ahead time.Duration
	slept []time.Duration
}

func (c *sleeper) Now() time.Time { return c.System.Now().Add(c.ahead) }

func (c *sleeper) Sleep(ctx context.Context, d time.Duration) error {
	c.ahead, c.slept = c.ahead+d, append(c.slept, d)
	return ctx.Err()
}

// serve answers every request with handle and counts them.
func serve(t *testing.T, handle http.HandlerFunc) (elasticsearch.Config, *atomic.Int64) {
	t.Helper()
	var count atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return elasticsearch.Config{Endpoints: []string{s.URL + "/prefix/"}, Username: "elastic", Password: secret}, &count
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, body)
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}

const refusal = `{"error":{"type":"some_exception","reason":"the test says so ` + secret +
	`","caused_by":{"reason":"a deeper cause"}}}`

func TestFatesAndRetries(t *testing.T) {
	t.Parallel()
	const attempts, refused, lost = 4, elasticsearch.Refused, elasticsearch.Lost
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		once   bool
		want   int64
		fate   elasticsearch.Fate
		is     error
	}{
		"400":      {status(http.StatusBadRequest, refusal), false, 1, refused, elasticsearch.ErrRequest},
		"403":      {status(http.StatusForbidden, refusal), false, 1, refused, elasticsearch.ErrForbidden},
		"404":      {status(http.StatusNotFound, refusal), false, 1, refused, elasticsearch.ErrNotFound},
		"409":      {status(http.StatusConflict, refusal), false, 1, refused, elasticsearch.ErrConflict},
		"429":      {status(http.StatusTooManyRequests, refusal), false, attempts, refused, elasticsearch.ErrBusy},
		"429 once": {status(http.StatusTooManyRequests, refusal), true, 1, refused, elasticsearch.ErrBusy},
		"500":      {status(http.StatusInternalServerError, refusal), false, 1, lost, elasticsearch.ErrRequest},
		"503":      {status(http.StatusServiceUnavailable, refusal), false, attempts, lost, elasticsearch.ErrTimeout},
		"503 once": {status(http.StatusServiceUnavailable, refusal), true, 1, lost, elasticsearch.ErrTimeout},

		"connection":      {reset, false, attempts, lost, elasticsearch.ErrUnreachable},
		"connection once": {reset, true, 1, lost, elasticsearch.ErrUnreachable},
		"nobody":          {nil, true, 0, elasticsearch.NotSent, elasticsearch.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, count := serve(t, c.handle)
			if c.handle == nil {
				cfg.Endpoints = []string{dead.URL}
			}
			clk := &sleeper{}
			err := elasticsearch.New(cfg, clk).Do(t.Context(), elasticsearch.Call{What: "Ask", Once: c.once,
				Request: esapi.InfoRequest{}})
			if count.Load() != c.want || elasticsearch.FateOf(err) != c.fate || !errors.Is(err, c.is) {
				t.Errorf("%d requests, fate %v: %v", count.Load(), elasticsearch.FateOf(err), err)
			}
			if p := problem.Of(err, ""); p.What != "Ask failed" || strings.Contains(p.Error(), secret) {
				t.Errorf("problem: %v", p)
			}
			if strings.Contains(err.Error(), "the test says so") && !strings.Contains(err.Error(), "a deeper cause") {
				t.Errorf("the cause is missing: %v", err)
			}
			if (c.want == attempts || c.handle == nil) && (len(clk.slept) != attempts-1 ||
				!strings.Contains(err.Error(), "tried 4 times")) {
				t.Errorf("pauses %v: %v", clk.slept, err)
			}
		})
	}
}

// TestServerErrorsAreRetried retries the answers of a node that shuts down, within the limit, and does not retry
// permanent errors.
func TestServerErrorsAreRetried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		many   bool
	}{
		"500":               {status(http.StatusInternalServerError, refusal), true},
		"408":               {status(http.StatusRequestTimeout, refusal), true},
		"a page of a proxy": {status(http.StatusNotFound, "<html>"), true},
		"half":              {status(http.StatusOK, `{"a":`), true},
		"404":               {status(http.StatusNotFound, refusal), false},
		"401":               {status(http.StatusUnauthorized, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, count := serve(t, c.handle)
			clk := &sleeper{}
			err := elasticsearch.New(cfg, clk).Do(t.Context(), elasticsearch.Call{
				What: "Ask", Request: elasticsearch.Plain{Method: http.MethodGet, Path: "/x"},
				Read: func(text []byte) error { return json.Unmarshal(text, &struct{}{}) },
				Retry: elasticsearch.Retry{For: time.Minute, Pause: time.Second, Longest: 10 * time.Second,
					ServerErrors: true},
			})
			if err == nil || (count.Load() > 1) != c.many || clk.ahead > time.Minute ||
				c.many && clk.ahead < time.Minute/2 {
				t.Errorf("%d requests in %s: %v", count.Load(), clk.ahead, err)
			}
		})
	}
}

// recorder keeps log records as text.
type recorder struct{ lines []string }

func (*recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *recorder) WithGroup(string) slog.Handler          { return r }
func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	line := record.Message
	record.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	r.lines = append(r.lines, line)
	return nil
}

// TestRequest checks what the server receives: the whole body at each attempt, escaped names, media types and the
// origin. Each attempt is logged.
func TestRequest(t *testing.T) {
	t.Parallel()
	var seen []string
	cfg, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, strings.Join([]string{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"),
			r.Header.Get("Accept"), r.Header.Get("X-Opaque-Id"), string(body)}, " "))
		if len(seen) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprint(w, `{"count":7}`)
	})
	log := &recorder{}
	ctx := logging.With(elasticsearch.WithOrigin(t.Context(), "4f9c2a17-12"), log)
	var out struct{ Count int }
	err := elasticsearch.New(cfg, &sleeper{}).Do(ctx, elasticsearch.Call{What: "Count", Out: &out,
		Request: esapi.CountRequest{Index: []string{"a%2Bb"}, Body: elasticsearch.Body(map[string]int{"x": 1})}})
	if err != nil || out.Count != 7 {
		t.Fatalf("%+v, %v", out, err)
	}
	const json = "application/vnd.elasticsearch+json;compatible-with=8"
	want := `POST /prefix/a+b/_count ` + json + " " + json + ` 4f9c2a17-12 {"x":1}`
	if len(seen) != 2 || seen[0] != want || seen[1] != want {
		t.Errorf("sent %q, want twice %q", seen, want)
	}
	if len(log.lines) != 2 || !strings.HasPrefix(log.lines[0],
		"request method=POST path=/a%2Bb/_count status=503 ms=") || !strings.Contains(log.lines[1], "status=200") {
		t.Errorf("log: %q", log.lines)
	}
	if _, err := io.ReadAll(elasticsearch.Body(make(chan int))); err == nil {
		t.Error("a channel is no body")
	}
}

// TestAnswerLimits refuses an answer that is too long, and does not retry.
func TestAnswerLimits(t *testing.T) {
	t.Parallel()
	cfg, count := serve(t, status(http.StatusOK, strings.Repeat("x", 100)))
	err := elasticsearch.New(cfg, &sleeper{}).Do(t.Context(), elasticsearch.Call{What: "Ask", Limit: 99,
		Request: esapi.InfoRequest{}})
	if !errors.Is(err, elasticsearch.ErrTooLong) || count.Load() != 1 {
		t.Errorf("%d requests, %v", count.Load(), err)
	}
}
