package plannertest

import (
	"encoding/json"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// projects makes moves, and compares the split after each one with two projections: from the split before the move, and
// from the previous projection, as a plan does for a chain of steps. Nothing but the revision, the requests, and the
// instance may differ.
func projects(t *testing.T, b Backend) {
	before := read(t, b)
	effects := []planner.Effect{
		{Shares: shares(25)},
		{Shares: shares(5)},
		{Shares: shares(0), Decommission: Canary},
		{Deploy: Canary, Shares: shares(40)},
		{Restore: before.State},
		{Shares: shares(0)},
		{Decommission: Canary},
		{Deploy: Canary},
	}
	chained := before
	for i, e := range effects {
		live, ok := planner.Project(b.Planner, read(t, b), e)
		if !ok {
			t.Fatalf("move %d can't be projected: %+v", i, e)
		}
		if chained, ok = planner.Project(b.Planner, reopened(t, chained), e); !ok {
			t.Fatalf("move %d can't be projected on the projection before it", i)
		}
		perform(t, b, e)
		left := read(t, b.Second)
		left.Revision, left.Requests, left.Instance = "", nil, ""
		want := text(t, left)
		if got := text(t, live); got != want {
			t.Errorf("move %d was projected as\n%s\nand left\n%s", i, got, want)
		}
		if got := text(t, chained); got != want {
			t.Errorf("move %d was projected after the others as\n%s\nand left\n%s", i, got, want)
		}
	}
}

// perform makes a move as the playbooks do.
func perform(t *testing.T, b Backend, e planner.Effect) {
	t.Helper()
	ctx := t.Context()
	if e.Deploy != "" {
		if err := b.Deploy(ctx, planner.Version{Name: e.Deploy, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	now := read(t, b)
	var err error
	switch {
	case e.Restore != nil:
		_, err = b.Restore(ctx, planner.Restoration{Revision: now.Revision, State: e.Restore, Reason: "a test"})
	case e.Shares != nil:
		_, err = b.Set(ctx, planner.Change{Revision: now.Revision, Shares: e.Shares, Reason: "a test"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if e.Decommission != "" {
		if err := b.Decommission(ctx, planner.Version{Name: e.Decommission, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
}

// reopened returns a projection as another process reads it from the journal.
func reopened(t *testing.T, s planner.Split) planner.Split {
	t.Helper()
	var out planner.Split
	if err := json.Unmarshal([]byte(text(t, s)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// text returns s as JSON with sorted keys, as in a digest: splits with the same text are the same to a plan.
func text(t *testing.T, s planner.Split) string {
	t.Helper()
	var all any
	out, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(out, &all)
	}
	if err == nil {
		out, err = json.Marshal(all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
