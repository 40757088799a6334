package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
)

func ptr(v float64) *float64 { return &v }

func TestCheck(t *testing.T) {
	t.Parallel()
	good := func() guard.Rail {
		return guard.Rail{Name: "errors", Query: guard.Query{Prometheus: "up"}, Max: ptr(1), OnBreach: guard.Hold}
	}
	if err := guard.Check([]guard.Rail{good()}); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*guard.Rail){
		"It has no name":         func(r *guard.Rail) { r.Name = " " },
		"It has 0 of query":      func(r *guard.Rail) { r.Prometheus = "" },
		"It has 2 of query":      func(r *guard.Rail) { r.HTTP = &guard.HTTP{URL: "http://localhost"} },
		"It has no bound":        func(r *guard.Rail) { r.Max = nil },
		"min is above its max":   func(r *guard.Rail) { r.Min = ptr(2) },
		"can't be negative":      func(r *guard.Rail) { r.MaxDrop = ptr(-1) },
		"wait is no duration":    func(r *guard.Rail) { r.Wait = "soon" },
		"wait is not between":    func(r *guard.Rail) { r.Wait = "25h" },
		`on_breach is "explode"`: func(r *guard.Rail) { r.OnBreach = "explode" },
		`measure is "speed"`: func(r *guard.Rail) {
			r.Prometheus, r.Search = "",
				&guard.Search{Index: "i", Measure: "speed"}
		},
		"body of its search is no JSON": func(r *guard.Rail) {
			r.Prometheus, r.Search = "", &guard.Search{Index: "i", Measure: "hits", Body: "{"}
		},
	} {
		r := good()
		change(&r)
		if err := guard.Check([]guard.Rail{r}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if err := guard.Check([]guard.Rail{good(), good()}); err == nil ||
		!strings.Contains(err.Error(), "Two guardrails have this name") {
		t.Errorf("two of one name: %v", err)
	}
}

// waits is a clock that counts what it slept.
type waits struct{ slept []time.Duration }

func (*waits) Now() time.Time { return time.Time{} }

func (w *waits) Sleep(ctx context.Context, d time.Duration) error {
	w.slept = append(w.slept, d)
	return context.Cause(ctx)
}

type constant float64

func (c constant) Lacks(guard.Query) string { return "" }

func (c constant) Read(context.Context, guard.Query) (float64, error) { return float64(c), nil }

func TestWaitsAreFromTheEndOfTheWork(t *testing.T) {
	t.Parallel()
	rail := func(name, wait string) guard.Rail {
		return guard.Rail{Name: name, Query: guard.Query{Prometheus: "up"}, Max: ptr(5), Wait: wait,
			OnBreach: guard.Hold}
	}
	rails := []guard.Rail{rail("late", "5m"), rail("now", ""), rail("soon", "2m")}
	w, clk := guard.Begin(t.Context(), constant(1), rails), &waits{}
	readings, err := w.After(t.Context(), constant(1), clk)
	if err != nil || len(readings) != 3 || readings[0].Name != "now" || readings[2].Name != "late" {
		t.Errorf("readings %v, %v", readings, err)
	}
	if len(clk.slept) != 2 || clk.slept[0] != 2*time.Minute || clk.slept[1] != 3*time.Minute ||
		guard.Longest(rails) != 5*time.Minute {
		t.Errorf("slept %v", clk.slept)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := errors.New("interrupt")
	cancel(interrupt)
	if _, err := w.After(ctx, constant(1), clk); !errors.Is(err, interrupt) {
		t.Errorf("an interrupt in the wait: %v", err)
	}
}

func TestTheGravestConsequenceCounts(t *testing.T) {
	t.Parallel()
	rail := func(name string, call guard.Breach) guard.Rail {
		return guard.Rail{Name: name, Query: guard.Query{Prometheus: "up"}, Max: ptr(5), OnBreach: call}
	}
	rails := []guard.Rail{rail("a", guard.Hold), rail("b", guard.Rollback), rail("c", guard.Fail),
		rail("d", guard.Warn)}
	_, err := guard.Begin(t.Context(), constant(1), rails).Between(t.Context(), constant(9))
	var verdict *guard.Verdict
	if !errors.As(err, &verdict) || verdict.Call != guard.Rollback || !errors.Is(err, guard.ErrBreached) {
		t.Errorf("got %v", err)
	}
	if _, err := guard.Begin(t.Context(), nil, rails[:1]).Between(t.Context(), nil); !errors.Is(err,
		guard.ErrInconclusive) {
		t.Errorf("without a source: %v", err)
	}
}
