package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// metrics returns one value after the other; the last one stays.
type metrics struct {
	mu     sync.Mutex
	values []any
	// lacks is what must be configured first, by query.
	lacks map[string]string
}

func (m *metrics) Lacks(q guard.Query) string { return m.lacks[q.Prometheus] }

func (m *metrics) Read(context.Context, guard.Query) (float64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.values[0]
	if len(m.values) > 1 {
		m.values = m.values[1:]
	}
	if err, ok := v.(error); ok {
		return 0, err
	}
	f, _ := v.(float64)
	return f, nil
}

// shifting is revertible work of three steps, each with a checkpoint.
type shifting struct {
	work
	steps    *int
	reverted *int
	revert   error
}

func (s shifting) Wait(ctx context.Context) (playbook.Report, error) {
	for *s.steps < 3 {
		*s.steps++
		if err := s.job.Stand(ctx, clock.System{}, s.step); err != nil {
			return playbook.Report{Message: "partly done", Details: map[string]string{"own": "1"}}, err
		}
		if err := s.job.Checkpoint(ctx, map[string]int{"at": *s.steps}); err != nil {
			return playbook.Report{Message: "partly done", Details: map[string]string{"own": "1"}}, err
		}
	}
	return playbook.Report{Message: "done", Details: map[string]string{"own": "1"}, Undo: s.undo}, nil
}

func (s shifting) Revert(ctx context.Context) (playbook.Report, error) {
	*s.reverted++
	s.note("revert at %s", time.Now().Format(time.TimeOnly))
	if ctx.Err() != nil {
		return playbook.Report{}, ctx.Err()
	}
	return playbook.Report{Message: "It is back at the start"}, s.revert
}

type shiftAction struct {
	action
	steps, reverted *int
	revert          error
}

func (a shiftAction) Dispatch(_ context.Context, job playbook.Job) (playbook.Work, error) {
	a.note("dispatch")
	return shifting{work: work{a.action, job}, steps: a.steps, reverted: a.reverted, revert: a.revert}, nil
}

// shiftPlaybook binds to actions whose work has steps.
type shiftPlaybook struct {
	*fakePlaybook
	steps, reverted int
	revert          error
}

func (b *shiftPlaybook) Bind(raw json.RawMessage) (playbook.Action, error) {
	bound, err := b.fakePlaybook.Bind(raw)
	if err != nil {
		return nil, err
	}
	return shiftAction{bound.(action), &b.steps, &b.reverted, b.revert}, nil //nolint:forcetypeassert // a fake
}

func ptr(v float64) *float64 { return &v }

// counting is metrics whose readings are counted from 1.
type counting struct {
	n    int
	read func(n int) float64
}

func (c *counting) Lacks(guard.Query) string { return "" }

func (c *counting) Read(context.Context, guard.Query) (float64, error) {
	c.n++
	return c.read(c.n), nil
}

// TestGuardrailWithoutASourceIsRefused at plan, and at apply if there was no plan, before anything has run.
func TestGuardrailWithoutASourceIsRefused(t *testing.T) {
	t.Parallel()
	source := &metrics{values: []any{1.0}, lacks: map[string]string{"errors": "nobody knows of errors"}}
	b := newBench(t, func(c *engine.Config) { c.Metrics = source })
	req := request("a")
	req.Guardrails = []guard.Rail{
		{Name: "fine", Query: guard.Query{Prometheus: "up"}, Max: ptr(2), OnBreach: guard.Fail},
		{Name: "lost", Query: guard.Query{Prometheus: "errors"}, Max: ptr(2), OnBreach: guard.Warn},
	}
	_, planned := b.Plan(t.Context(), req)
	_, applied := b.apply(t, req)
	for _, err := range []error{planned, applied} {
		p := problem.Of(err, "")
		if err == nil || problem.Where(p.Path) != "guardrail[1].query" ||
			!strings.Contains(p.Why, "Nobody knows of errors") {
			t.Errorf("got %v at %v", err, p.Path)
		}
	}
	if b.fake.count("dispatch") != 0 {
		t.Errorf("calls %v", b.fake.calls)
	}
}

// TestBreachAfterATakeoverIsLeftToTheNewHolder lets another process take over the execution right before a reading that
// asks for a rollback.
func TestBreachAfterATakeoverIsLeftToTheNewHolder(t *testing.T) {
	t.Parallel()
	const betweenSteps, afterTheWork, breach = 3, 5, 99
	for _, at := range []int{betweenSteps, afterTheWork} {
		metrics := &counting{}
		fake := &shiftPlaybook{}
		b := newBench(t, func(c *engine.Config) { c.Metrics = metrics })
		fake.fakePlaybook = b.fake
		b.cfg.Catalogue = playbook.NewCatalogue(fake)
		b.Engine = engine.New(b.cfg)
		metrics.read = func(n int) float64 {
			if n != at {
				return 1
			}
			open, err := b.store.Find(t.Context(), journal.Filter{Open: true})
			if err != nil || len(open) != 1 {
				t.Fatalf("%+v, %v", open, err)
			}
			if _, err := b.store.Append(t.Context(), open[0].Lease(), journal.KindTakeover,
				journal.Takeover{Holder: elsewhere()}); err != nil {
				t.Fatal(err)
			}
			return breach
		}
		req := request("a")
		req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "q"}, Max: ptr(10),
			OnBreach: guard.Rollback}}
		if _, err := b.apply(t, req); !errors.Is(err, playbook.ErrTakenOver) || fake.reverted != 0 {
			t.Errorf("at reading %d of %d: gone back %d times, error %v", at, metrics.n, fake.reverted, err)
		}
	}
}

func TestGuardrailsDecideTheOutcome(t *testing.T) {
	t.Parallel()
	ok, bad := 1.0, 9.0
	noData := fmt.Errorf("%w: no data", guard.ErrNoValue)
	tests := map[string]struct {
		rail   guard.Rail
		values []any // the baseline, then one per reading
		// steps is how many steps the work took, reverted how often it was reverted.
		steps, reverted int
		status          journal.Status
		reading         string
		never           bool
	}{
		"all pass": {guard.Rail{Max: ptr(5)}, []any{ok}, 3, 0, journal.StatusSuccess, "passed", false},
		"breach in step 2": {guard.Rail{Max: ptr(5)}, []any{ok, ok, bad}, 2, 1, journal.StatusFailed, "breached",
			false},
		"breach after the work": {guard.Rail{Max: ptr(5)}, []any{ok, ok, ok, ok, bad}, 3, 1, journal.StatusFailed,
			"breached", false},
		"below the minimum": {guard.Rail{Min: ptr(5)}, []any{bad, ok}, 1, 1, journal.StatusFailed,
			"below the minimum", false},
		"hold": {guard.Rail{Max: ptr(5), OnBreach: guard.Hold}, []any{ok, bad}, 1, 0,
			journal.StatusCancelled, "breached", false},
		"fail": {guard.Rail{Max: ptr(5), OnBreach: guard.Fail}, []any{ok, bad}, 1, 0,
			journal.StatusFailed, "breached", false},
		"warn": {guard.Rail{Max: ptr(5), OnBreach: guard.Warn}, []any{ok, bad}, 3, 0,
			journal.StatusSuccess, "breached", false},
		"already breached": {guard.Rail{Max: ptr(5), OnBreach: guard.Hold}, []any{bad, ok}, 3, 0,
			journal.StatusSuccess, "passed", false},
		"increase": {guard.Rail{MaxIncrease: ptr(50)}, []any{ok, 1.4, 1.6}, 2, 1, journal.StatusFailed,
			"an increase of 60%", false},
		"drop": {guard.Rail{MaxDrop: ptr(10)}, []any{bad, 8.5, 8.0}, 2, 1, journal.StatusFailed,
			"a drop of 11.1111%", false},
		"increase from zero": {guard.Rail{MaxIncrease: ptr(50)}, []any{0.0, 0.0, 0.1}, 2, 0, journal.StatusCancelled,
			"the baseline is 0", false},
		"no data holds": {guard.Rail{Max: ptr(5)}, []any{ok, noData}, 1, 0, journal.StatusCancelled,
			"no data", false},
		"NaN holds": {guard.Rail{Max: ptr(5)}, []any{ok, math.NaN()}, 1, 0, journal.StatusCancelled,
			"the value is NaN", false},
		"infinity holds": {guard.Rail{Min: ptr(5)}, []any{bad, math.Inf(1)}, 1, 0, journal.StatusCancelled,
			"the value is +Inf", false},
		"no data that only warns": {guard.Rail{Max: ptr(5), OnBreach: guard.Warn}, []any{ok, noData}, 3, 0,
			journal.StatusSuccess, "inconclusive", false},
		"no data after the work": {guard.Rail{Max: ptr(5)}, []any{ok, ok, ok, ok, noData}, 3, 0,
			journal.StatusCancelled, "no data", false},
		"unreadable at the start": {guard.Rail{Max: ptr(5)}, []any{errors.New("connection refused"), ok}, 0, 0, "", "",
			true},
		"no data at the start": {guard.Rail{Max: ptr(5)}, []any{noData, ok}, 0, 0, "", "", true},
		"no baseline":          {guard.Rail{MaxDrop: ptr(5)}, []any{noData, ok}, 0, 0, "", "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fake.undo = &playbook.Rollback{ActionType: "fake", Params: params{Name: "back"}}
			fake := &shiftPlaybook{fakePlaybook: b.fake}
			b.cfg.Catalogue, b.cfg.Metrics = playbook.NewCatalogue(fake), &metrics{values: tt.values}
			e := engine.New(b.cfg)
			tt.rail.Name, tt.rail.Prometheus = "errors", "up"
			if tt.rail.OnBreach == "" {
				tt.rail.OnBreach = guard.Rollback
			}
			req := request("a")
			req.Guardrails = []guard.Rail{tt.rail}
			x, err := e.Apply(t.Context(), req, nil, func(engine.Execution) {})
			if tt.never {
				if x.Record.ID != 0 || !errors.Is(err, guard.ErrInconclusive) || b.fake.count("dispatch") != 0 {
					t.Fatalf("record %+v, error %v", x.Record, err)
				}
				return
			}
			if (err == nil) != (tt.status == journal.StatusSuccess) || x.Record.Status != tt.status {
				t.Fatalf("status %q, error %v", x.Record.Status, err)
			}
			if fake.steps != tt.steps || fake.reverted != tt.reverted {
				t.Errorf("%d steps, reverted %d times", fake.steps, fake.reverted)
			}
			d := x.Record.Result.Details
			if !strings.Contains(d["guardrail.errors"], tt.reading) || d["own"] != "1" ||
				d["guardrail.errors.before"] == "" {
				t.Errorf("details %q", d)
			}
			if tt.reverted == 1 && (d["rollback"] != "It is back at the start" ||
				!strings.Contains(err.Error(), "It is back at the start")) {
				t.Errorf("details %q, error %v", d, err)
			}
			// Completed work can be undone, unless it was reverted.
			if undo := x.Record.Rollback != nil; undo != (tt.steps == 3 && tt.reverted == 0) {
				t.Errorf("after %d steps, reverted %d times, there is an undo: %t", tt.steps, tt.reverted, undo)
			}
		})
	}
}

func TestReadingsAreJournaledBetweenSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.Catalogue = playbook.NewCatalogue(&shiftPlaybook{fakePlaybook: b.fake})
	b.cfg.Metrics = &metrics{values: []any{1.0}}
	req := request("a")
	req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "up"}, Max: ptr(5),
		OnBreach: guard.Hold}}
	if _, err := engine.New(b.cfg).Apply(t.Context(), req, nil, func(engine.Execution) {}); err != nil {
		t.Fatal(err)
	}
	readings := 0
	if err := b.store.Entries(t.Context(), 1, func(e journal.Entry) error {
		if e.Kind == journal.KindProgress && strings.Contains(string(e.Body), `"state":"passed"`) {
			readings++
		}
		return nil
	}); err != nil || readings != 4 {
		t.Errorf("%d entries with readings: %v", readings, err)
	}
}

func TestFailedRollbackIsReported(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.Catalogue, b.cfg.Metrics = playbook.NewCatalogue(&shiftPlaybook{fakePlaybook: b.fake,
		revert: errBoom}), &metrics{values: []any{1.0, 9.0}}
	req := request("a")
	req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "up"}, Max: ptr(5),
		OnBreach: guard.Rollback}}
	x, err := engine.New(b.cfg).Apply(t.Context(), req, nil, func(engine.Execution) {})
	if !errors.Is(err, errBoom) || !errors.Is(err, guard.ErrBreached) ||
		!strings.Contains(x.Record.Result.Message, "The rollback failed") {
		t.Errorf("message %q, error %v", x.Record.Result.Message, err)
	}
}

func TestPlanReadsGuardrailsAndOnlyWarns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.Metrics = &metrics{values: []any{9.0}}
	e := engine.New(b.cfg)
	bare, err := e.Plan(t.Context(), request("a"))
	if err != nil {
		t.Fatal(err)
	}
	req := request("a")
	req.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "up"}, Max: ptr(5),
		OnBreach: guard.Rollback}}
	review, err := e.Plan(t.Context(), req)
	if err != nil || len(review.Warnings) != 1 || !strings.Contains(review.Warnings[0], "does not stop the execution") {
		t.Errorf("warnings %q, error %v", review.Warnings, err)
	}
	if review.Digest == bare.Digest || review.Request != bare.Request {
		t.Error("the digest must bind guardrails, and the request must not")
	}
}

func TestGuardrailsOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.cfg.Metrics = &metrics{values: []any{9.0}}
	review, err := b.Plan(t.Context(), request("a"))
	if err != nil {
		t.Fatal(err)
	}
	watch, err := json.Marshal(guard.Watch{
		Rails: []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "up"}, MaxIncrease: ptr(50),
			OnBreach: guard.Fail}},
		Baseline: []guard.Reading{{Name: "errors", Value: ptr(1), State: guard.Passed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	subject := journal.Subject{Playbook: "fake", Target: review.Target, Request: review.Request, Incident: "INC-1"}
	rec, err := b.store.Begin(t.Context(), subject, journal.KindIntent, journal.Intent{
		Params: request("a").Params, Triggers: request("a").Triggers, Holder: dead(), Deadline: b.clock.Now().Add(1e12),
		Guardrails: watch,
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := engine.New(b.cfg).Apply(t.Context(), request("a"), nil, func(engine.Execution) {})
	if !errors.Is(err, guard.ErrBreached) || x.Record.ID != rec.ID || x.Record.Status != journal.StatusFailed {
		t.Errorf("record %+v, error %v", x.Record, err)
	}
}

func TestWorkThatStoppedPartwayContinuesInTheSameApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	left := b.leave(t, request("a"), dead(), true)
	b.fake.adopt = errors.Join(playbook.ErrPartway, errBoom)
	x, err := b.apply(t, request("a"))
	if err != nil || x.Record.ID == left.ID || b.fake.count("dispatch") != 1 {
		t.Fatalf("record %+v, error %v", x.Record, err)
	}
	if old, err := b.store.Get(t.Context(), left.ID); err != nil || old.Status != journal.StatusCancelled {
		t.Errorf("the partial one: %+v, %v", old, err)
	}
}
