package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/gate"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// now is a clock that only sleeping advances.
type now struct {
	at  time.Time
	end error
}

func start() *now { return &now{at: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)} }

func (n *now) Now() time.Time { return n.at }

func (n *now) Sleep(_ context.Context, d time.Duration) error {
	n.at = n.at.Add(d)
	return n.end
}

// source is a metric: its value after a time since the gate began, and at any earlier time.
type source struct {
	clock  *now
	began  time.Time
	value  func(after time.Duration) any
	before func(at time.Time) any

	mu    sync.Mutex
	asked []time.Time
}

func (*source) Lacks(guard.Query) string { return "" }

func (s *source) Read(context.Context, guard.Query) (float64, error) {
	return number(s.value(s.clock.at.Sub(s.began)))
}

func (s *source) ReadAt(_ context.Context, _ guard.Query, at time.Time) (float64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, at)
	return number(s.before(at))
}

func number(v any) (float64, error) {
	if err, failed := v.(error); failed {
		return 0, err
	}
	return v.(float64), nil //nolint:forcetypeassert // a test
}

var (
	errDown = errors.New("connection refused")
	errNone = fmt.Errorf("%w: no data", guard.ErrNoValue)
)

// then returns values from times on.
func then(first any, later map[time.Duration]any) func(time.Duration) any {
	return func(after time.Duration) any {
		v, at := first, time.Duration(-1)
		for from, next := range later {
			if from <= after && from > at {
				v, at = next, from
			}
		}
		return v
	}
}

// run runs a gate on the source.
func run(t *testing.T, s *source, params string) (gate.Values, playbook.Report, error) {
	t.Helper()
	s.clock = start()
	s.began = s.clock.at
	action, err := gate.New(s, s.clock).Bind(json.RawMessage(params))
	if err != nil {
		t.Fatal(err)
	}
	w, err := action.Dispatch(t.Context(), playbook.Job{ID: 7, Preview: playbook.Preview{Facts: gate.Facts{}},
		IncidentBegan: func(context.Context) (time.Time, error) { return s.began.Add(-time.Hour), nil }})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.Wait(t.Context())
	v, _ := out.Values.(gate.Values)
	return v, out, err
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	const plain = `{"wait": "10m", "guardrail": [{"name": "errors", "query": "e", "max": 5}]}`
	with := func(more string) string { return strings.Replace(plain, `"max": 5`, `"max": 5, `+more, 1) }
	for name, tt := range map[string]struct {
		params string
		value  func(time.Duration) any
		want   string
		// says is a part of the message, after is how long it took.
		says  string
		after time.Duration
	}{
		"good all the time": {plain, then(1.0, nil), gate.Passed, "errors is 1 (max 5)", 10 * time.Minute},
		"in breach all the time": {plain, then(9.0, nil), gate.Failed, "errors: 9 is above the maximum of 5",
			10 * time.Minute},
		"recovers": {plain, then(9.0, map[time.Duration]any{9 * time.Minute: 2.0}), gate.Passed, "errors is 2",
			10 * time.Minute},
		"gets worse": {plain, then(1.0, map[time.Duration]any{time.Minute: 9.0}), gate.Failed, "9 is above",
			time.Minute},
		"recovers and gets worse": {plain, then(9.0, map[time.Duration]any{time.Minute: 1.0, 2 * time.Minute: 9.0}),
			gate.Failed, "9 is above", 2 * time.Minute},
		"one tolerated breach": {with(`"failure_limit": 1`), then(1.0, map[time.Duration]any{time.Minute: 9.0,
			time.Minute + time.Second: 1.0}), gate.Passed, "errors is 1", 10 * time.Minute},
		"a tolerated breach at the end": {with(`"failure_limit": 2`), then(9.0, map[time.Duration]any{
			10*time.Minute + 15*time.Second: 1.0}), gate.Passed, "errors is 1", 10*time.Minute + 20*time.Second},
		"tolerated breaches that stay": {with(`"failure_limit": 2`), then(9.0, nil), gate.Failed,
			"reading 3 of this kind", 10*time.Minute + 20*time.Second},
		"no data": {plain, then(errNone, nil), gate.Inconclusive, "errors: there is no value to evaluate: no data",
			10 * time.Second},
		"no data at first": {plain, then(errNone, map[time.Duration]any{5 * time.Second: 1.0}), gate.Passed,
			"errors is 1", 10 * time.Minute},
		"can't be read": {plain, then(errDown, nil), gate.Inconclusive, "connection refused", 50 * time.Second},
		"can't be read for a while": {plain, then(1.0, map[time.Duration]any{time.Minute: errDown,
			90 * time.Second: 1.0}), gate.Passed, "errors is 1", 10 * time.Minute},
		"at once": {strings.Replace(plain, "10m", "0s", 1), then(9.0, nil), gate.Failed, "9 is above", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &source{value: tt.value}
			v, out, err := run(t, s, tt.params)
			if err != nil || v.Verdict != tt.want || v.Passed != (tt.want == gate.Passed) ||
				!strings.Contains(out.Message, tt.says) || len(v.Readings) != 1 {
				t.Errorf("%+v, %q, %v", v, out.Message, err)
			}
			if took := s.clock.at.Sub(s.began); took != tt.after {
				t.Errorf("it took %s, want %s", took, tt.after)
			}
			_, _, err = run(t, s, strings.Replace(tt.params, "{", `{"fail": true, `, 1))
			if failed := errors.Is(err, gate.ErrVerdict); failed == v.Passed || err != nil && !failed {
				t.Errorf("with fail = true: %v", err)
			}
		})
	}
}

// TestLimitsEndAGateBeforeItsDeadline lets readings take as long as they can, in the order in which the limits tolerate
// most of them. The deadline is the estimate and the overtime.
func TestLimitsEndAGateBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	const params = `{"guardrail": [{"name": "errors", "query": "e", "max": 5, "failure_limit": 1,
		"inconclusive_limit": 1%s}]}`
	// 4 failures in a row, then a reading that is none.
	order := []any{errDown, errDown, errDown, errDown, errNone, errDown, errDown, errDown, errDown, 9.0}
	for name, more := range map[string]string{"absolute": "", "relative": `, "max_increase_percent": 10`} {
		s := &source{}
		text := fmt.Sprintf(params, more)
		n := -1 // the first reading comes before the session
		s.value = func(time.Duration) any {
			s.clock.at = s.clock.at.Add(guard.ReadTimeout)
			if n++; n == 0 {
				return 9.0
			}
			return order[(n-1)%len(order)]
		}
		s.before = func(time.Time) any {
			s.clock.at = s.clock.at.Add(guard.ReadTimeout)
			return errDown
		}
		v, out, err := run(t, s, text)
		took := s.clock.at.Sub(s.began)
		if err != nil || v.Verdict != gate.Inconclusive {
			t.Errorf("%s: %+v, %q, %v", name, v, out.Message, err)
		}
		action, err := gate.New(&source{clock: start(), value: then(1.0, nil)}, start()).Bind(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := action.Preview(t.Context())
		if limit := p.Duration + p.Overtime; err != nil || took > limit {
			t.Errorf("%s: it took %s of %s, %v", name, took, limit, err)
		}
	}
}

// TestLargestLimitsHaveAnOvertime covers a product that a duration can't hold.
func TestLargestLimitsHaveAnOvertime(t *testing.T) {
	t.Parallel()
	action, err := gate.New(&source{clock: start(), value: then(1.0, nil)}, start()).Bind(json.RawMessage(`{
		"guardrail": [{"name": "errors", "query": "e", "max": 5, "interval": "24h", "failure_limit": 1000,
		"consecutive_error_limit": 1000, "inconclusive_limit": 1000}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := action.Preview(t.Context()); err != nil || p.Overtime < guard.MaxWait {
		t.Errorf("overtime %s, %v", p.Overtime, err)
	}
}

func TestOneOfSeveralGuardrailsDecides(t *testing.T) {
	t.Parallel()
	v, out, err := run(t, &source{value: then(9.0, nil)}, `{"guardrail": [{"name": "a", "query": "e", "max": 10},
		{"name": "b", "query": "e", "max": 5}]}`)
	if err != nil || v.Verdict != gate.Failed || !strings.HasPrefix(out.Message, "Failed: b: ") ||
		v.Readings[0].State != "passed" || v.Readings[1].State != "breached" || *v.Readings[1].Value != 9 ||
		v.Readings[1].Reason == nil || v.Readings[0].Bounds != "max 10" {
		t.Errorf("%+v, %q, %v", v, out.Message, err)
	}
}

func TestToleratedBreachOfOneIsReadAgain(t *testing.T) {
	t.Parallel()
	const params = `{"guardrail": [{"name": "a", "query": "e", "max": 10},
		{"name": "b", "query": "e", "max": 5, "failure_limit": 1}]}`
	for end, want := range map[float64]string{9: gate.Failed, 1: gate.Passed} {
		s := &source{value: then(9.0, map[time.Duration]any{10 * time.Second: end})}
		if v, out, err := run(t, s, params); err != nil || v.Verdict != want {
			t.Errorf("%+v, %q, %v, want %s", v, out.Message, err, want)
		}
	}
}

func TestPercentagesCompareWithTheTimeBeforeTheIncident(t *testing.T) {
	t.Parallel()
	const params = `{"wait": "1m", "guardrail": [{"name": "accuracy", "query": "a", "max_drop_percent": 10}]}`
	at := func(v any) func(time.Time) any { return func(time.Time) any { return v } }
	tries := 0
	for name, tt := range map[string]struct {
		before func(time.Time) any
		want   string
		says   string
	}{
		"a small drop":  {at(95.0), gate.Passed, "accuracy is 90"},
		"a large drop":  {at(120.0), gate.Failed, "a drop of 25%, and 10% is allowed"},
		"no value then": {at(errNone), gate.Inconclusive, "there is no baseline to compare with: there is no value"},
		"not readable":  {at(errDown), gate.Inconclusive, "there is no baseline to compare with: connection refused"},
		"readable at last": {func(time.Time) any {
			if tries++; tries < 3 {
				return errDown
			}
			return 95.0
		}, gate.Passed, "accuracy is 90"},
	} {
		s := &source{value: then(90.0, nil), before: tt.before}
		v, out, err := run(t, s, params)
		if err != nil || v.Verdict != tt.want || !strings.Contains(out.Message, tt.says) {
			t.Errorf("%s: %+v, %q, %v", name, v, out.Message, err)
		}
		if want := s.began.Add(-time.Hour); !s.asked[0].Equal(want) ||
			out.Details["compared_with"] != want.Format(time.RFC3339) {
			t.Errorf("%s: asked for %v, details %v", name, s.asked, out.Details)
		}
	}
}

func TestStoppedGateHasNoVerdict(t *testing.T) {
	t.Parallel()
	s := &source{value: then(1.0, nil)}
	s.clock = start()
	s.clock.end = context.Canceled
	action, err := gate.New(s, s.clock).Bind(json.RawMessage(
		`{"wait": "10m", "guardrail": [{"name": "errors", "query": "e", "max": 5}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := action.Dispatch(t.Context(), playbook.Job{Preview: playbook.Preview{Facts: gate.Facts{}},
		IncidentBegan: func(context.Context) (time.Time, error) { return s.clock.at, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := w.Wait(t.Context()); !errors.Is(err, context.Canceled) || out.Values != nil {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := action.Adopt(t.Context(), playbook.Job{Preview: playbook.Preview{Facts: gate.Facts{}}}); !errors.Is(
		err, playbook.ErrNeverBegan) {
		t.Errorf("adopted: %v", err)
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ params, says, at string }{
		{`{}`, "A gate without guardrails", "guardrail"},
		{`{"guardrail": []}`, "A gate without guardrails", "guardrail"},
		{`{"wait": "-1m"}`, "wait is -1m", "wait"},
		{`{"wait": "soon"}`, "not a valid duration", "wait"},
		{`{"wait": "25h"}`, "wait is 25h", "wait"},
		{`{"guardrail": [{"name": "a", "query": "e", "max": 1, "on_breach": "rollback"}]}`, "nothing to roll back",
			"guardrail[0].on_breach"},
		{`{"guardrail": [{"name": "a", "query": "e", "max": 1, "wait": "1m"}]}`, "read after its wait",
			"guardrail[0].wait"},
		{`{"guardrail": [{"name": "a", "http": {"url": "https://a"}, "max_drop_percent": 1}]}`,
			"only Prometheus can be asked about an earlier time", "guardrail[0].max_drop_percent"},
		{`{"guardrail": [{"name": "a", "elasticsearch": {"index": "i", "measure": "hits"}, "max_increase_percent": 1}]}`,
			"only Prometheus can be asked about an earlier time", "guardrail[0].max_increase_percent"},
		{`{"guardrail": [{"name": "a", "query": "e"}]}`, "It has no bound", "guardrail[0]"},
	} {
		err := gate.Describe().Check(json.RawMessage(tt.params))
		if p := problem.Of(err, ""); err == nil || !strings.Contains(p.Why, tt.says) || problem.Where(p.Path) != tt.at {
			t.Errorf("%s: %v at %v", tt.params, err, p)
		}
	}
}

func TestPreviewSaysWhatIsRead(t *testing.T) {
	t.Parallel()
	s := &source{clock: start(), value: then(9.0, nil)}
	s.began = s.clock.at
	action, err := gate.New(s, s.clock).Bind(json.RawMessage(`{"wait": "10m", "fail": true, "guardrail": [
		{"name": "errors", "query": "sum(\n  e)", "max": 5}, {"name": "p95", "http": {"url": "https://a"}, "max": 5},
		{"name": "hits", "elasticsearch": {"index": "i", "measure": "hits"}, "min": 1},
		{"name": "more", "query": "m", "max_drop_percent": 5}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	target, err := action.Target(t.Context())
	if err != nil || target != "metrics:errors,p95,hits,1 more" {
		t.Errorf("target %q, %v", target, err)
	}
	for want, got := range map[string]string{
		"Will watch 4 metrics for 10m: errors, p95, hits, more":           p.Summary,
		"query sum( e)\nGET https://a\nsearch i (hits)\nquery m":          strings.Join(p.Commands, "\n"),
		"errors: breached, value 9 (9 is above the maximum of 5)":         p.Figures[0],
		"Nothing. Watches the metrics for 10m, then reads them once more": p.Changes[0],
		// What it changed by is not known before the gate asks for the earlier value.
		"more: value 9, compared at apply": p.Figures[3],
		"Percentages compare with the moment before the first execution of the incident (without an incident: of " +
			"this apply)": p.Changes[1],
		"Fails unless every metric passes (fail = true)": p.Changes[2],
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
