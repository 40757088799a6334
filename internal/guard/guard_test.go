package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
)

var (
	errDown   = errors.New("connection refused")
	errNoData = fmt.Errorf("%w: no series", guard.ErrNoValue)
)

// TestBreachInTheMiddleOfAStepIsDetected makes a metric breach for one interval in the middle of a step of two minutes.
func TestBreachInTheMiddleOfAStepIsDetected(t *testing.T) {
	t.Parallel()
	const breach = 63 * time.Second
	s, src := session(t, rail("errors"), guard.MoreTraffic, func(_ string, after time.Duration) any {
		if after >= breach && after < breach+10*time.Second {
			return 9.0
		}
		return 1.0
	})
	v := verdict(t, s.Stand(t.Context(), 2*time.Minute))
	seen := src.clock.at.Sub(src.began)
	if v.Call != guard.Rollback || seen < breach || seen > breach+10*time.Second+time.Second {
		t.Errorf("%s at %s: %v", v.Call, seen, v)
	}
	if got := s.Drain(); len(got) != 7 || got[6].State != guard.Breached || got[6].At != src.clock.at ||
		len(s.Drain()) != 0 {
		t.Errorf("readings %v", got)
	}
}

func TestIntervalPerGuardrail(t *testing.T) {
	t.Parallel()
	slow, fast := rail("slow"), rail("fast")
	slow.Interval, fast.Interval, fast.InitialDelay = "30s", "2s", "50s"
	src := newSource(start(), func(string, time.Duration) any { return 1.0 })
	s := guard.Begin(t.Context(), src, []guard.Rail{slow, fast}, guard.MoreTraffic).Start(src, src.clock, nil)
	if err := s.Stand(t.Context(), time.Minute); err != nil || src.clock.at.Sub(src.began) != time.Minute {
		t.Fatalf("%v after %s", err, src.clock.at.Sub(src.began))
	}
	var times []string
	for _, r := range s.Drain() {
		times = append(times, fmt.Sprint(r.Name, r.At.Sub(src.began)))
	}
	if got := strings.Join(times, " "); got != "slow30s fast50s fast52s fast54s fast56s fast58s" {
		t.Errorf("read %s", got)
	}
}

// TestLimits gives one value per reading of a step of a minute: b is breached, e an error, n no data, all others pass.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change   func(*guard.Rail)
		readings string
		// stops is the number of the reading that stops, or 0.
		stops int
		call  guard.Breach
	}{
		"a breach":                  {func(*guard.Rail) {}, "..b...", 3, guard.Rollback},
		"a breach within the limit": {func(r *guard.Rail) { r.FailureLimit = limit(2) }, "..b...", 0, ""},
		"breaches within the limit": {func(r *guard.Rail) { r.FailureLimit = limit(2) }, "b...b.", 0, ""},
		"one breach more than the limit": {func(r *guard.Rail) { r.FailureLimit = limit(2) }, "b.b.b.", 5,
			guard.Rollback},
		"four errors in a row":          {func(*guard.Rail) {}, "eeee..", 0, ""},
		"five errors in a row":          {func(*guard.Rail) {}, "eeeee.", 5, guard.Hold},
		"errors with a reading between": {func(*guard.Rail) {}, "eeee.e", 0, ""},
		"no error tolerated":            {func(r *guard.Rail) { r.ErrorLimit = limit(0) }, ".e....", 2, guard.Hold},
		"no data":                       {func(*guard.Rail) {}, ".n....", 2, guard.Hold},
		"no data within the limit":      {func(r *guard.Rail) { r.InconclusiveLimit = limit(1) }, ".n....", 0, ""},
		"no data beyond the limit": {func(r *guard.Rail) { r.InconclusiveLimit = limit(1) }, ".n.n..", 4,
			guard.Hold},
		"a rail that warns":   {func(r *guard.Rail) { r.OnBreach = guard.Warn }, "bbnnee", 0, ""},
		"a breach that holds": {func(r *guard.Rail) { r.OnBreach = guard.Hold }, "b.....", 1, guard.Hold},
		"a breach that fails": {func(r *guard.Rail) { r.OnBreach = guard.Fail }, "b.....", 1, guard.Fail},
	} {
		r := rail("errors")
		tt.change(&r)
		s, src := session(t, r, guard.MoreTraffic, func(_ string, after time.Duration) any {
			n := int(after/(10*time.Second)) - 1
			if n < 0 || n >= len(tt.readings) {
				return 1.0
			}
			return map[byte]any{'b': 9.0, 'e': errDown, 'n': errNoData, '.': 1.0}[tt.readings[n]]
		})
		err := s.Stand(t.Context(), 61*time.Second)
		if tt.stops == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if v := verdict(t, err); v.Call != tt.call || len(s.Drain()) != tt.stops {
			t.Errorf("%s: %s at %s", name, v.Call, src.clock.at.Sub(src.began))
		}
	}
}

// TestStepWaitsForAConclusiveReading expects the end of a step to wait for a value.
func TestStepWaitsForAConclusiveReading(t *testing.T) {
	t.Parallel()
	s, src := session(t, rail("errors"), guard.MoreTraffic, func(_ string, after time.Duration) any {
		if after > 0 && after < 25*time.Second {
			return errDown
		}
		return 1.0
	})
	src.clock.at = src.clock.at.Add(time.Second)
	if err := s.EndOfStep(t.Context()); err != nil || src.clock.at.Sub(src.began) != 31*time.Second {
		t.Errorf("%v after %s", err, src.clock.at.Sub(src.began))
	}
	s, _ = session(t, rail("errors"), guard.LessTraffic, func(string, time.Duration) any { return errDown })
	if err := s.EndOfStep(t.Context()); err != nil {
		t.Errorf("less traffic: %v", err)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	warns, relative := rail("errors"), rail("errors")
	warns.OnBreach = guard.Warn
	relative.Max, relative.MaxDrop = nil, ptr(10)
	samples := rail("errors")
	samples.Samples, samples.MinSamples = "requests", ptr(100)
	for name, tt := range map[string]struct {
		rail    guard.Rail
		traffic guard.Traffic
		value   any
		// stops is the expected refusal, or nil. warns is a substring of the plan's warning, or empty.
		stops error
		warns string
	}{
		"more, holds":     {rail("errors"), guard.MoreTraffic, 1.0, nil, ""},
		"more, in breach": {rail("errors"), guard.MoreTraffic, 9.0, guard.ErrBreached, "Apply will refuse"},
		"more, down": {rail("errors"), guard.MoreTraffic, errDown, guard.ErrInconclusive,
			"Apply will refuse"},
		"more, no data": {rail("errors"), guard.MoreTraffic, errNoData, guard.ErrInconclusive,
			"Apply will refuse"},
		"more, in breach, warns": {warns, guard.MoreTraffic, 9.0, nil, "runs nevertheless"},
		"more, down, warns":      {warns, guard.MoreTraffic, errDown, nil, "runs nevertheless"},
		"more, too few samples":  {samples, guard.MoreTraffic, 1.0, nil, "too few samples"},
		"more, no samples":       {samples, guard.MoreTraffic, errors.Join(errNoData, guard.ErrNoData), nil, "too few samples"},
		"more, samples that can't be counted": {samples, guard.MoreTraffic, errNoData, guard.ErrInconclusive,
			"Apply will refuse"},
		"more, samples not a number": {samples, guard.MoreTraffic, math.NaN(), guard.ErrInconclusive,
			"Apply will refuse"},
		"less, in breach":   {rail("errors"), guard.LessTraffic, 9.0, nil, "does not stop the execution"},
		"less, down":        {rail("errors"), guard.LessTraffic, errDown, nil, "runs nevertheless"},
		"less, no baseline": {relative, guard.LessTraffic, errDown, nil, "runs nevertheless"},
		"other, in breach":  {rail("errors"), guard.NoTraffic, 9.0, nil, "counts again once"},
		"other, down": {rail("errors"), guard.NoTraffic, errDown, guard.ErrInconclusive,
			"Apply will refuse"},
		"other, no baseline":     {relative, guard.NoTraffic, errNoData, guard.ErrInconclusive, "Apply will refuse"},
		"other, a baseline of 0": {relative, guard.NoTraffic, 0.0, nil, "Percentages of a baseline of 0"},
	} {
		src := newSource(start(), func(string, time.Duration) any { return tt.value })
		w := guard.Begin(t.Context(), src, []guard.Rail{tt.rail}, tt.traffic)
		if err := w.Ready(); (err == nil) != (tt.stops == nil) || !errors.Is(err, tt.stops) {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(w.Warnings(), "\n"); (got == "") != (tt.warns == "") || !strings.Contains(got,
			tt.warns) {
			t.Errorf("%s: warnings %q", name, got)
		}
		w.Lifted = "boss@example.com"
		lifted := tt.traffic != guard.MoreTraffic
		if err := w.Ready(); lifted && err != nil || !lifted && (err == nil) != (tt.stops == nil) {
			t.Errorf("%s with break_glass: %v", name, err)
		}
	}
}

// TestInitialBreachCountsAfterRecovery clears a cache because of a latency that is in breach.
func TestInitialBreachCountsAfterRecovery(t *testing.T) {
	t.Parallel()
	waits := rail("latency")
	waits.Wait = "5m"
	for name, tt := range map[string]struct {
		rail   guard.Rail
		values []float64 // at the start, at the end of each of two steps, at the end
		stops  bool
	}{
		"still in breach, no wait":       {rail("latency"), []float64{9, 9, 9, 9}, false},
		"still in breach after the wait": {waits, []float64{9, 9, 9, 9}, true},
		"better after the wait":          {waits, []float64{9, 9, 9, 1}, false},
		"in breach again after it held":  {rail("latency"), []float64{9, 1, 9, 9}, true},
		"better":                         {rail("latency"), []float64{9, 9, 1, 1}, false},
	} {
		for _, traffic := range []guard.Traffic{guard.NoTraffic, guard.LessTraffic} {
			n := 0
			s, _ := session(t, tt.rail, traffic, func(string, time.Duration) any {
				v := tt.values[min(n, len(tt.values)-1)]
				n++
				return v
			})
			err := s.EndOfStep(t.Context())
			if err == nil {
				err = s.EndOfStep(t.Context())
			}
			if err == nil {
				err = s.After(t.Context())
			}
			if (err != nil) != tt.stops {
				t.Fatalf("%s: %v", name, err)
			}
			// A containment that does not help never gives traffic back.
			if want := map[guard.Traffic]guard.Breach{guard.NoTraffic: guard.Rollback,
				guard.LessTraffic: guard.Fail}[traffic]; tt.stops && verdict(t, err).Call != want {
				t.Errorf("%s: %s, want %s", name, verdict(t, err).Call, want)
			}
		}
	}
}

// TestContainmentIsNotStoppedByMetrics covers metrics that can't be read, from the start to the end.
func TestContainmentIsNotStoppedByMetrics(t *testing.T) {
	t.Parallel()
	r := rail("errors")
	r.Wait, r.MaxIncrease = "1m", ptr(10)
	for _, broken := range []error{errDown, errNoData} {
		s, _ := session(t, r, guard.LessTraffic, func(string, time.Duration) any { return broken })
		if err := errors.Join(s.Stand(t.Context(), 10*time.Minute), s.EndOfStep(t.Context()),
			s.After(t.Context())); err != nil {
			t.Error(err)
		}
		if d := s.Details(); !strings.Contains(d["guardrail.errors"], broken.Error()) {
			t.Errorf("details %v", d)
		}
	}
}

// TestUndecodableWatchHolds expects such a watch to hold the execution instead of being dropped.
func TestUndecodableWatchHolds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{`, `[]`, `{}`, `null`, `{"rails": [{"name": "a"}]}`,
		`{"rails": [{"name": "a", "query": "up", "max": 1, "on_breach": "explode"}], "baseline": [{}]}`,
		`{"rails": [{"name": "a", "query": "up", "max": "1", "on_breach": "fail"}], "baseline": [{}]}`} {
		src := newSource(start(), func(string, time.Duration) any { return 1.0 })
		s := guard.Decode([]byte(text)).Start(src, src.clock, nil)
		if v := verdict(t, s.EndOfStep(t.Context())); v.Call != guard.Hold || !errors.Is(v, guard.ErrInconclusive) {
			t.Errorf("%s: %v", text, v)
		}
	}
}

func TestWaitBeginsAtTheEndOfTheWork(t *testing.T) {
	t.Parallel()
	waiting := func(name, wait string) guard.Rail {
		r := rail(name)
		r.Wait = wait
		return r
	}
	rails := []guard.Rail{waiting("late", "5m"), waiting("now", ""), waiting("soon", "2m")}
	src := newSource(start(), func(string, time.Duration) any { return 1.0 })
	s := guard.Begin(t.Context(), src, rails, guard.NoTraffic).Start(src, src.clock, nil)
	if err := s.After(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Drain(); len(got) != 3 || got[0].Name != "now" || got[2].Name != "late" {
		t.Errorf("readings %v", got)
	}
	if got := src.clock.slept; len(got) != 2 || got[0] != 2*time.Minute || got[1] != 3*time.Minute ||
		guard.Longest(rails) != 5*time.Minute {
		t.Errorf("slept %v", got)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := errors.New("interrupt")
	cancel(interrupt)
	if err := s.After(ctx); !errors.Is(err, interrupt) {
		t.Errorf("an interrupt in the wait: %v", err)
	}
}

// TestGuardrailsAreReadDuringAWaitAfterMoreTraffic expects a breach in the middle of the wait to be seen within one
// interval.
func TestGuardrailsAreReadDuringAWaitAfterMoreTraffic(t *testing.T) {
	t.Parallel()
	r := rail("errors")
	r.Wait = "10m"
	s, src := session(t, r, guard.MoreTraffic, func(_ string, after time.Duration) any {
		return map[bool]any{true: 9.0, false: 1.0}[after >= 2*time.Minute]
	})
	if v := verdict(t, s.After(t.Context())); v.Call != guard.Rollback ||
		src.clock.at.Sub(src.began) > 2*time.Minute+11*time.Second {
		t.Errorf("%v after %s", v, src.clock.at.Sub(src.began))
	}
}

func TestCountsSurviveATakeover(t *testing.T) {
	t.Parallel()
	r := rail("errors")
	r.FailureLimit = limit(1)
	src := newSource(start(), func(_ string, after time.Duration) any {
		return map[bool]any{true: 1.0,
			false: 9.0}[after == 0]
	})
	w := guard.Begin(t.Context(), src, []guard.Rail{r}, guard.MoreTraffic)
	src.clock.at = src.clock.at.Add(time.Second)
	first := w.Start(src, src.clock, nil)
	if err := first.EndOfStep(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	second := guard.Decode(text).Start(src, src.clock, first.Tallies())
	if v := verdict(t, second.EndOfStep(t.Context())); v.Count != 2 {
		t.Errorf("%v", v)
	}
	if got := second.Details()["guardrail.errors"]; !strings.Contains(got, "9 is above the maximum of 5") {
		t.Errorf("details %q", got)
	}
}

func TestMostSevereBreachWins(t *testing.T) {
	t.Parallel()
	var rails []guard.Rail
	for name, call := range map[string]guard.Breach{"a": guard.Hold, "b": guard.Rollback, "c": guard.Fail,
		"d": guard.Warn} {
		r := rail(name)
		r.OnBreach = call
		rails = append(rails, r)
	}
	src := newSource(start(), func(_ string, after time.Duration) any {
		return map[bool]any{true: 1.0,
			false: 9.0}[after == 0]
	})
	s := guard.Begin(t.Context(), src, rails, guard.MoreTraffic).Start(src, src.clock, nil)
	src.clock.at = src.clock.at.Add(time.Second)
	if v := verdict(t, s.EndOfStep(t.Context())); v.Call != guard.Rollback || !errors.Is(v, guard.ErrBreached) {
		t.Errorf("got %v", v)
	}
	none := guard.Begin(t.Context(), nil, rails[:1], guard.NoTraffic)
	if err := none.Ready(); rails[0].OnBreach != guard.Warn && !errors.Is(err, guard.ErrInconclusive) {
		t.Errorf("without a source: %v", err)
	}
}

// TestRailsAreReadAgainAtTheirOwnIntervals: a rail with a short interval must not use up the limit of one with a long
// interval, at the end of a step and at the end of a session.
func TestRailsAreReadAgainAtTheirOwnIntervals(t *testing.T) {
	t.Parallel()
	often, seldom := rail("often"), rail("seldom")
	often.InconclusiveLimit, seldom.InconclusiveLimit = limit(100), limit(3)
	often.Interval, seldom.Interval = "10s", "1m"
	for name, read := range map[string]func(*guard.Session) error{
		"end of a step":      func(s *guard.Session) error { return s.EndOfStep(t.Context()) },
		"end of the session": func(s *guard.Session) error { return s.Final(t.Context()) },
	} {
		src := newSource(start(), func(string, time.Duration) any { return errNoData })
		w := guard.Begin(t.Context(), src, []guard.Rail{often, seldom}, guard.MoreTraffic)
		s := w.Start(src, src.clock, nil)
		v := verdict(t, read(s))
		if took := src.clock.at.Sub(src.began); v.Reading.Name != "seldom" || took != 3*time.Minute {
			t.Errorf("%s: %s after %s", name, v.Reading.Name, took)
		}
	}
}

// TestToleratedBreachIsReadAgainWhileAnotherRailFails expects no rail to wait for another one.
func TestToleratedBreachIsReadAgainWhileAnotherRailFails(t *testing.T) {
	t.Parallel()
	breached, down := rail("breached"), rail("down")
	breached.FailureLimit = limit(2)
	src := newSource(start(), func(query string, _ time.Duration) any {
		if query == "down" {
			return errDown
		}
		return 9.0
	})
	w := guard.Begin(t.Context(), src, []guard.Rail{breached, down}, guard.NoTraffic)
	v := verdict(t, w.Start(src, src.clock, nil).Final(t.Context()))
	if took := src.clock.at.Sub(src.began); v.Reading.Name != "breached" || took != 20*time.Second {
		t.Errorf("%s after %s", v.Reading.Name, took)
	}
}
