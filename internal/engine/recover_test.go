package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

func TestExecutionOfADeadProcess(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		adopt      error
		dispatched bool
		triggers   string // of the apply that finds it
		dispatches int
		adopted    bool
		left       journal.Status // of the record that was left
		want       error
	}{
		"still running or finished: adopted": {dispatched: true, triggers: "1", adopted: true,
			left: journal.StatusSuccess},
		"died before the name was journaled": {triggers: "1", adopted: true, left: journal.StatusSuccess},
		"nothing was sent: runs now": {adopt: playbook.ErrNeverBegan, triggers: "1", dispatches: 1,
			left: journal.StatusCancelled},
		"can't be known: refused": {adopt: errBoom, dispatched: true, triggers: "1",
			left: journal.StatusUnknown, adopted: true, want: engine.ErrOutcome},
		"of another request: settled, then run": {dispatched: true, triggers: "2", dispatches: 1,
			left: journal.StatusSuccess},
		"of another request, can't be known": {adopt: errBoom, dispatched: true, triggers: "2", dispatches: 1,
			left: journal.StatusUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			left := b.leave(t, request("a"), dead(), tt.dispatched)
			b.fake.adopt = tt.adopt
			req := request("a")
			req.Triggers = map[string]string{"run": tt.triggers}
			x, err := b.apply(t, req)
			if !errors.Is(err, tt.want) || x.Adopted != tt.adopted || b.fake.count("dispatch") != tt.dispatches {
				t.Errorf("adopted %v, %d dispatches, error %v", x.Adopted, b.fake.count("dispatch"), err)
			}
			if rec, err := b.store.Get(t.Context(), left.ID); err != nil || rec.Status != tt.left {
				t.Errorf("left record is %q, want %q (%v)", rec.Status, tt.left, err)
			}
		})
	}
}

// TestAdoptedWorkWithoutANameGetsOne: if the process died before the name was journaled, the adopted work continues and
// journals its progress.
func TestAdoptedWorkWithoutANameGetsOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	left := b.leave(t, request("a"), dead(), false)
	b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
		return playbook.Report{}, job.Checkpoint(ctx, 1)
	}
	x, err := b.apply(t, request("a"))
	if err != nil || x.Record.ID != left.ID || x.Record.Status != journal.StatusSuccess ||
		x.Record.RemoteID != fmt.Sprintf("remote-%d", left.ID) {
		t.Errorf("record %+v, error %v", x.Record, err)
	}
}

// TestTargetThatDoesNotAnswerStaysOpen leaves the execution open: an unavailable target says nothing about the
// outcome.
func TestTargetThatDoesNotAnswerStaysOpen(t *testing.T) {
	t.Parallel()
	for _, trigger := range []string{"1", "2"} {
		b := newBench(t)
		left := b.leave(t, request("a"), dead(), true)
		req := request("a")
		req.Triggers = map[string]string{"run": trigger}
		b.fake.adopt = errors.Join(playbook.ErrLater, errBoom)
		for range 2 {
			_, err := b.apply(t, req)
			if !errors.Is(err, playbook.ErrLater) || !errors.Is(err, errBoom) ||
				!strings.Contains(err.Error(), "stays open") {
				t.Fatalf("got %v", err)
			}
			if rec, err := b.store.Get(t.Context(), left.ID); err != nil || !rec.Open() ||
				b.fake.count("dispatch") != 0 {
				t.Fatalf("%d dispatches, record %+v, %v", b.fake.count("dispatch"), rec, err)
			}
		}
		b.fake.adopt = nil
		if _, err := b.apply(t, req); err != nil {
			t.Fatal(err)
		}
		if rec, err := b.store.Get(t.Context(), left.ID); err != nil || rec.Status != journal.StatusSuccess {
			t.Errorf("record %+v, %v", rec, err)
		}
	}
}

func TestUnknownOutcomeAsksForNewTriggersEachTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.leave(t, request("a"), dead(), true)
	b.fake.adopt = errBoom
	for range 2 {
		if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrOutcome) ||
			!strings.Contains(err.Error(), "triggers") {
			t.Fatalf("got %v", err)
		}
	}
	if n := b.fake.count("dispatch"); n != 0 {
		t.Errorf("%d dispatches", n)
	}
}

// TestUnknownOutcomeIsFoundBeyondTheHistoryLimit goes back to the triggers of an execution that may have run, after
// more executions than the engine reads for the history.
func TestUnknownOutcomeIsFoundBeyondTheHistoryLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(cfg *engine.Config) { cfg.HistoryLimit = 1 })
	left := b.leave(t, request("a"), dead(), true)
	b.fake.adopt = errBoom
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrOutcome) {
		t.Fatalf("got %v", err)
	}
	for i := range 120 {
		other := request("a")
		other.Triggers = map[string]string{"run": fmt.Sprint("later ", i)}
		if _, err := b.apply(t, other); err != nil {
			t.Fatal(err)
		}
		if i > 1 && i < 118 {
			continue // a history that fits into one search, and a longer one
		}
		_, err := b.apply(t, request("a"))
		if !errors.Is(err, engine.ErrOutcome) || !strings.Contains(err.Error(), fmt.Sprintf("execution %d", left.ID)) {
			t.Fatalf("after %d other executions: %v", i+1, err)
		}
	}
	if n := b.fake.count("dispatch"); n != 120 {
		t.Errorf("%d dispatches, want 120", n)
	}
}

func TestLivingHolderIsWaitedForThenNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	left := b.leave(t, request("a"), other(), true)
	_, err := b.apply(t, request("a"))
	if !errors.Is(err, engine.ErrBusy) || !strings.Contains(err.Error(), "process 1 on") ||
		!strings.Contains(err.Error(), "execution 2") {
		t.Fatalf("got %v", err)
	}
	if b.fake.count("adopt")+b.fake.count("dispatch") != 0 {
		t.Error("the work of a living process was touched")
	}
	outcome := journal.Outcome{Status: journal.StatusSuccess, Result: journal.Result{FinishedAt: b.clock.Now()}}
	if _, err := b.store.Append(t.Context(), left.Lease(), journal.KindOutcome, outcome); err != nil {
		t.Fatal(err)
	}
	if _, err := b.apply(t, request("a")); err != nil {
		t.Errorf("after the holder ended: %v", err)
	}
}

func TestAdoptionGivesTheActionWhatTheJournalContains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	left := b.leave(t, request("a"), dead(), true)
	if _, err := b.store.Append(t.Context(), left.Lease(), journal.KindProgress,
		map[string]any{"step": map[string]int{"stage": 2}}); err != nil {
		t.Fatal(err)
	}
	b.fake.wait = func(_ context.Context, job playbook.Job) (playbook.Report, error) {
		if job.ID != left.ID || job.RemoteID != "remote-of-the-dead" || string(job.Progress) != `{"stage":2}` {
			t.Errorf("job %+v", job)
		}
		return playbook.Report{}, nil
	}
	if _, err := b.apply(t, request("a")); err != nil {
		t.Fatal(err)
	}
}

// TestRecallKeepsWhetherAnApprovalWasNeeded: a name in approved_by doesn't mean that the execution needed an approval.
func TestRecallKeepsWhetherAnApprovalWasNeeded(t *testing.T) {
	t.Parallel()
	for name, reasons := range map[string][]string{"needed": {"it is dangerous"}, "not needed": nil} {
		b := newBench(t)
		b.fake.reasons = reasons
		req := request("a")
		req.Given.By = boss
		x, err := b.planned(t, req)
		if err != nil {
			t.Fatal(err)
		}
		d := engine.Recall(x.Record).Decision
		if d.Needed != (reasons != nil) || !slices.Equal(d.Reasons, reasons) || !d.Granted || d.By != boss {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
