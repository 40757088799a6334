package guard_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	good := func() guard.Rail {
		return guard.Rail{Name: "errors", Query: guard.Query{Prometheus: "up"}, Max: ptr(1), OnBreach: guard.Hold}
	}
	zero := good() // limits of zero tolerate nothing, which is the default of most limits
	zero.Name, zero.FailureLimit, zero.ErrorLimit, zero.InconclusiveLimit = "zero", limit(0), limit(0), limit(0)
	if err := guard.Check([]guard.Rail{good(), zero}); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*guard.Rail){
		"It has no name":                         func(r *guard.Rail) { r.Name = " " },
		"It has 0 of query":                      func(r *guard.Rail) { r.Prometheus = "" },
		"It has 2 of query":                      func(r *guard.Rail) { r.HTTP = &guard.HTTP{URL: "http://localhost"} },
		"It has no bound":                        func(r *guard.Rail) { r.Max = nil },
		"min is above its max":                   func(r *guard.Rail) { r.Min = ptr(2) },
		"percent is negative":                    func(r *guard.Rail) { r.MaxDrop = ptr(-1) },
		"wait is not a duration":                 func(r *guard.Rail) { r.Wait = "soon" },
		"wait is not between":                    func(r *guard.Rail) { r.Wait = "25h" },
		"interval is not between":                func(r *guard.Rail) { r.Interval = "0s" },
		"initial_delay is not between":           func(r *guard.Rail) { r.InitialDelay = "-1s" },
		"failure_limit is not between":           func(r *guard.Rail) { r.FailureLimit = limit(-1) },
		"consecutive_error_limit is not between": func(r *guard.Rail) { r.ErrorLimit = limit(1001) },
		"inconclusive_limit is not between":      func(r *guard.Rail) { r.InconclusiveLimit = limit(-1) },
		"no query for the version": func(r *guard.Rail) {
			r.HTTP, r.Prometheus, r.Stable, r.MaxDrop = &guard.HTTP{URL: "http://localhost"}, "", "up", ptr(1)
		},
		"and neither max_drop_percent": func(r *guard.Rail) { r.Stable = "up" },
		"no samples_query":             func(r *guard.Rail) { r.MinSamples = ptr(10) },
		"no min_samples":               func(r *guard.Rail) { r.Samples = "up" },
		"min_samples is less":          func(r *guard.Rail) { r.Samples, r.MinSamples = "up", ptr(0) },
		`on_breach is "explode"`:       func(r *guard.Rail) { r.OnBreach = "explode" },
		`measure is "speed"`: func(r *guard.Rail) {
			r.Prometheus, r.Search = "",
				&guard.Search{Index: "i", Measure: "speed"}
		},
		"body is not a JSON object": func(r *guard.Rail) {
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

func TestIntervalsLongerThanAStepAreRefused(t *testing.T) {
	t.Parallel()
	rails := []guard.Rail{rail("default"), rail("slow")}
	rails[1].Interval = "1m"
	for step, refused := range map[time.Duration]bool{0: false, time.Second: true, 59 * time.Second: true,
		time.Minute: false} {
		err := guard.CheckSteps(rails, step)
		if (err != nil) != refused || refused && problem.Where(problem.Of(err, "").Path) != "guardrail[1].interval" {
			t.Errorf("a step of %s: %v", step, err)
		}
	}
}

func TestComparisons(t *testing.T) {
	t.Parallel()
	rises := guard.Rail{Name: "errors", Query: guard.Query{Prometheus: "canary"}, MaxIncrease: ptr(50),
		OnBreach: guard.Fail}
	against := rises
	against.Stable = "stable"
	falls := rises
	falls.MaxIncrease, falls.MaxDrop = nil, ptr(50)
	enough := rail("canary")
	enough.Samples, enough.MinSamples = "requests", ptr(100)
	for name, tt := range map[string]struct {
		rail          guard.Rail
		before, after map[string]any
		want          guard.State
	}{
		"an increase": {rises, vals{"canary": 1.0}, vals{"canary": 1.6}, guard.Breached},
		"both rise": {against, vals{"canary": 1.0, "stable": 1.0}, vals{"canary": 9.0, "stable": 8.0},
			guard.Passed},
		"the stable one falls": {against, vals{"canary": 1.0, "stable": 1.0}, vals{"canary": 1.0, "stable": 0.5},
			guard.Breached},
		"the stable one is down": {against, vals{"canary": 1.0, "stable": 1.0}, vals{"canary": 1.0,
			"stable": errNoData}, guard.Inconclusive},
		"the stable one errs": {against, vals{"canary": 1.0, "stable": 1.0}, vals{"canary": 1.0,
			"stable": errDown}, guard.Unreadable},
		"from zero to little":         {rises, vals{"canary": 0.0}, vals{"canary": 0.0001}, guard.Inconclusive},
		"from zero to zero":           {rises, vals{"canary": 0.0}, vals{"canary": 0.0}, guard.Passed},
		"a rise from zero is no drop": {falls, vals{"canary": 0.0}, vals{"canary": 1.0}, guard.Passed},
		"a fall below zero":           {falls, vals{"canary": 0.0}, vals{"canary": -1.0}, guard.Inconclusive},
		"not a number":                {rises, vals{"canary": 1.0}, vals{"canary": math.NaN()}, guard.Inconclusive},
		"infinite":                    {rises, vals{"canary": 1.0}, vals{"canary": math.Inf(1)}, guard.Inconclusive},
		"enough samples": {enough, vals{"canary": 1.0, "requests": 100.0}, vals{"canary": 9.0,
			"requests": 100.0}, guard.Breached},
		"too few samples": {enough, vals{"canary": 1.0, "requests": 100.0}, vals{"canary": 9.0,
			"requests": 99.0}, guard.Inconclusive},
		"no samples": {enough, vals{"canary": 1.0, "requests": 100.0}, vals{"canary": 9.0,
			"requests": errNoData}, guard.Inconclusive},
		"samples that can't be read": {enough, vals{"canary": 1.0, "requests": 100.0}, vals{"canary": 9.0,
			"requests": errDown}, guard.Unreadable},
	} {
		values := tt.before
		s, _ := session(t, tt.rail, guard.MoreTraffic, func(query string, _ time.Duration) any { return values[query] })
		values = tt.after
		_ = s.Stand(t.Context(), 11*time.Second)
		if got := s.Drain(); len(got) != 1 || got[0].State != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

type vals = map[string]any

func TestDescriptionNamesWhatIsTolerated(t *testing.T) {
	t.Parallel()
	r := rail("errors")
	if got, want := r.Describe(guard.MoreTraffic), "errors: max 5, read every 10s; rollback on a breach"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Samples, r.MinSamples = "requests", ptr(100)
	r.FailureLimit, r.InconclusiveLimit, r.ErrorLimit = limit(1), limit(2), limit(30)
	if got, want := r.Describe(guard.MoreTraffic), "errors: max 5, read every 10s, with at least 100 samples, "+
		"tolerates 1 breached reading, tolerates 2 inconclusive readings, tolerates 30 failed readings in a row; "+
		"rollback on a breach"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
