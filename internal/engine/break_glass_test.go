package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

func TestAttackPolicyLoosenedInTheSameChange(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	req, was := b.reviewed(t, request("a"))
	if _, err := b.Apply(t.Context(), req, was, func(engine.Execution) {}); err != nil {
		t.Fatal(err)
	}
	b.cfg.Policy = approval.Policy{}
	loose := engine.New(b.cfg)
	next := request("a")
	next.Triggers, next.Given.By = map[string]string{"run": "2"}, "eve@example.org"
	const says = "signatures are no longer required"
	for range 2 { // its own plan must not make the policy look old
		review, err := loose.Plan(t.Context(), next)
		if err != nil || !strings.Contains(strings.Join(review.Warnings, "\n"), says) {
			t.Fatalf("warnings %q, %v", review.Warnings, err)
		}
	}
	shown, err := loose.Plan(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	x, err := loose.Apply(t.Context(), next, shownBy(shown), func(engine.Execution) {})
	if err != nil || !strings.Contains(x.Record.Result.Details["remarks"], says) ||
		!strings.Contains(strings.Join(x.Record.Intent.Remarks, ""), "Since execution 2") {
		t.Errorf("the history says %+v, remarks %q: %v", x.Record.Result, x.Record.Intent.Remarks, err)
	}
	review, err := loose.Plan(t.Context(), request("b"))
	if err != nil || len(review.Warnings) != 0 {
		t.Errorf("warned for ever: %q, %v", review.Warnings, err)
	}
}

func TestBreakGlassIsMarkedInTheHistory(t *testing.T) {
	t.Parallel()
	freeze, err := approval.Freeze{Name: "always", Recurrence: "FREQ=DAILY", Length: 25 * time.Hour}.Parse(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *engine.Config) { c.Policy = approval.Policy{Freeze: []approval.Freeze{freeze}} })
	b.refused(t, request("a"), nil, engine.ErrNotApproved, `the freeze "always" is in force`)
	req := request("a")
	req.Given.Approvals = []approval.Approval{{By: boss, BreakGlass: true}}
	x, err := b.apply(t, req)
	if err != nil || !strings.Contains(x.Record.Result.Details["remarks"], "break-glass by boss@example.com") {
		t.Errorf("record %+v, %v", x.Record.Result, err)
	}
}

// TestAttackBreakGlassLeftInTheConfiguration executes another change with a break-glass approval that was used before:
// it is for one execution. The digest in expected_digest renews it.
func TestAttackBreakGlassLeftInTheConfiguration(t *testing.T) {
	t.Parallel()
	freeze, err := approval.Freeze{Name: "always", Recurrence: "FREQ=DAILY", Length: 25 * time.Hour}.Parse(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *engine.Config) { c.Policy = approval.Policy{Freeze: []approval.Freeze{freeze}} })
	req := request("a")
	req.Given.Approvals = []approval.Approval{{By: boss, BreakGlass: true}}
	if _, err := b.apply(t, req); err != nil {
		t.Fatal(err)
	}
	req.Triggers = map[string]string{"n": "2"}
	b.refused(t, req, nil, engine.ErrNotApproved, "its break_glass was used by an earlier execution")
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	req.ExpectedDigest = review.Digest
	if _, err := b.apply(t, req); err != nil {
		t.Errorf("pinned: %v", err)
	}
}

// TestClockThatWasAheadDoesNotEndAFreeze plans once with a clock that is three days ahead.
func TestClockThatWasAheadDoesNotEndAFreeze(t *testing.T) {
	t.Parallel()
	freeze, err := approval.Freeze{Name: "today", Recurrence: "FREQ=WEEKLY", Length: 24 * time.Hour,
		Start: newTestClock().now.Add(-time.Hour)}.Parse(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *engine.Config) { c.Policy = approval.Policy{Freeze: []approval.Freeze{freeze}} })
	const ahead = 72 * time.Hour
	b.clock.jump(ahead)
	if _, err := b.Plan(t.Context(), request("b")); err != nil {
		t.Fatal(err)
	}
	b.clock.jump(-ahead)
	b.refused(t, request("a"), nil, engine.ErrNotApproved, `the freeze "today" is in force`)
}
