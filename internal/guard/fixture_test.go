package guard_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
)

func ptr(v float64) *float64 { return &v }

func limit(n int) *int { return &n }

// now is a clock that only sleeping advances.
type now struct {
	at    time.Time
	slept []time.Duration
}

func start() *now { return &now{at: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)} }

func (n *now) Now() time.Time { return n.at }

func (n *now) Sleep(ctx context.Context, d time.Duration) error {
	n.at, n.slept = n.at.Add(d), append(n.slept, d)
	return context.Cause(ctx)
}

// source gives values by query and the clock's time. A value is a number or an error.
type source struct {
	clock *now
	value func(query string, after time.Duration) any
	began time.Time

	mu   sync.Mutex
	read int
}

func newSource(clk *now, value func(query string, after time.Duration) any) *source {
	return &source{clock: clk, value: value, began: clk.at}
}

func (*source) Lacks(guard.Query) string { return "" }

func (s *source) Read(_ context.Context, q guard.Query) (float64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read++
	switch v := s.value(q.Prometheus, s.clock.at.Sub(s.began)).(type) {
	case float64:
		return v, nil
	case error:
		return 0, v
	default:
		return 0, errors.New("no such query")
	}
}

func rail(name string) guard.Rail {
	return guard.Rail{Name: name, Query: guard.Query{Prometheus: name}, Max: ptr(5), OnBreach: guard.Rollback}
}

// session begins and starts a session on one rail with the given values.
func session(t *testing.T, r guard.Rail, traffic guard.Traffic, value func(string, time.Duration) any) (*guard.Session,
	*source) {
	t.Helper()
	src := newSource(start(), value)
	w := guard.Begin(t.Context(), src, []guard.Rail{r}, traffic)
	return w.Start(src, src.clock, nil), src
}

func verdict(t *testing.T, err error) *guard.Verdict {
	t.Helper()
	var v *guard.Verdict
	if !errors.As(err, &v) {
		t.Fatalf("no verdict: %v", err)
	}
	return v
}
