package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

func TestApplyJournalsBeforeEachStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var atWait journal.Record
	b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
		var err error
		if atWait, err = b.store.Get(ctx, job.ID); err != nil {
			return playbook.Report{}, err
		}
		return playbook.Report{Message: "done", Details: map[string]string{"n": "1"}},
			job.Checkpoint(ctx, map[string]int{"step": 1})
	}
	var seen []journal.Status
	x, err := b.Apply(t.Context(), request("a"), nil, func(x engine.Execution) { seen = append(seen, x.Record.Status) })
	if err != nil {
		t.Fatal(err)
	}
	if atWait.Status != journal.StatusRunning || atWait.RemoteID == "" {
		t.Errorf("while waiting, the journal held %q with remote id %q", atWait.Status, atWait.RemoteID)
	}
	if want := []journal.Status{journal.StatusPending, journal.StatusRunning}; !cmp.Equal(seen, want) {
		t.Errorf("observed %v, want %v", seen, want)
	}
	var kinds []journal.Kind
	if err := b.store.Entries(t.Context(), 1,
		func(e journal.Entry) error { kinds = append(kinds, e.Kind); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []journal.Kind{journal.KindIntent, journal.KindDispatch, journal.KindProgress, journal.KindOutcome}
	if !cmp.Equal(kinds, want) {
		t.Errorf("journal %v, want %v", kinds, want)
	}
	if x.Record.Status != journal.StatusSuccess || x.Record.Result.Details["n"] != "1" {
		t.Errorf("record %+v", x.Record)
	}
}

func TestApplyRefusesBeforeAnythingRan(t *testing.T) {
	t.Parallel()
	reviewed := &engine.Reviewed{Digest: "sha256:other", Target: "fake:a", Commands: []string{"fake a"},
		Facts: map[string]any{"things": []any{"a"}}}
	unapproved := func(b *bench) { b.fake.reasons = []string{"it is dangerous"} }
	tests := map[string]struct {
		change   func(*bench)
		req      func(*engine.Request)
		reviewed *engine.Reviewed
		want     error
		says     string
	}{
		"not approved": {change: unapproved, want: engine.ErrNotApproved, says: "it is dangerous"},
		"wrong approver": {change: unapproved, req: func(r *engine.Request) { r.Given.By = "eve@example.org" },
			want: engine.ErrNotApproved, says: "eve@example.org"},
		"a fact moved": {reviewed: reviewed, want: engine.ErrTargetChanged,
			says: "things: added b (was [\"a\"], now [\"a\",\"b\"])"},
		"pinned digest": {req: func(r *engine.Request) { r.ExpectedDigest = "sha256:pinned" },
			want: engine.ErrTargetChanged, says: "sha256:pinned"},
		"preview fails":   {change: func(b *bench) { b.fake.previewErr = errBoom }, want: errBoom},
		"journal is gone": {change: func(b *bench) { _ = b.store.Close() }, says: "database is closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *engine.Config) {
				c.Policy = approval.Policy{Approvers: []string{"*@example.com"}}
			})
			if tt.change != nil {
				tt.change(b)
			}
			req := request("a")
			if tt.req != nil {
				tt.req(&req)
			}
			x, err := b.Apply(t.Context(), req, tt.reviewed,
				func(engine.Execution) { t.Error("something was observed to run") })
			if err == nil || x.Record.ID != 0 || (tt.want != nil && !errors.Is(err, tt.want)) ||
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, record %d; want %v saying %q", err, x.Record.ID, tt.want, tt.says)
			}
			if b.fake.count("dispatch") != 0 {
				t.Error("something was dispatched")
			}
		})
	}
}

func TestApprovedRequestRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *engine.Config) { c.Policy = approval.Policy{Approvers: []string{"*@example.com"}} })
	b.fake.reasons = []string{"it is dangerous"}
	req := request("a")
	req.Given.By = "Boss@Example.com"
	x, err := b.planned(t, req)
	if err != nil || x.Record.Intent.ApprovedBy != "Boss@Example.com" {
		t.Errorf("record %+v, error %v", x.Record, err)
	}
}

func TestFailureIsKeptAndTheNextApplyRunsAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
		return playbook.Report{LogsURL: "file:///here"}, errBoom
	}
	x, err := b.apply(t, request("a"))
	if !errors.Is(err, errBoom) || x.Record.Status != journal.StatusFailed {
		t.Fatalf("record %+v, error %v", x.Record, err)
	}
	for _, part := range []string{"execution 1", "boom", "The next apply tries again", "file:///here"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	b.fake.wait = nil
	x, err = b.apply(t, request("a"))
	if err != nil || len(x.Earlier) != 1 || x.Earlier[0].Status != journal.StatusFailed {
		t.Errorf("earlier %+v, error %v", x.Earlier, err)
	}
}

func TestUncertainDispatchIsNeverSentAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.dispatchErr = errors.Join(playbook.ErrUncertain, errBoom)
	if x, err := b.apply(t, request("a")); x.Record.Status != journal.StatusUnknown ||
		!errors.Is(err, engine.ErrOutcome) {
		t.Fatalf("record %+v, error %v", x.Record, err)
	}
	b.fake.dispatchErr = nil
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrOutcome) ||
		!strings.Contains(err.Error(), "triggers") {
		t.Errorf("the second apply gave %v", err)
	}
	if n := b.fake.count("dispatch"); n != 1 {
		t.Errorf("%d dispatches", n)
	}
	again := request("a")
	again.Triggers = map[string]string{"run": "2"}
	if _, err := b.apply(t, again); err != nil {
		t.Errorf("new triggers: %v", err)
	}
}

func TestInterruptAndDeadlineAreRecordedAsCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	started := make(chan struct{}, 1)
	b.fake.wait = func(ctx context.Context, _ playbook.Job) (playbook.Report, error) {
		started <- struct{}{}
		<-ctx.Done()
		return playbook.Report{Message: "stopped"}, context.Cause(ctx)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { <-started; interrupt() }()
	x, err := b.Apply(ctx, request("a"), nil, func(engine.Execution) {})
	if x.Record.Status != journal.StatusCancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupt: record %+v, error %v", x.Record, err)
	}
	go func() { <-started; close(b.clock.ring) }()
	x, err = b.apply(t, request("a"))
	if x.Record.Status != journal.StatusCancelled || !errors.Is(err, engine.ErrDeadline) ||
		!strings.Contains(err.Error(), "Escalate") || !late(err) {
		t.Errorf("deadline: record %+v, error %v", x.Record, err)
	}
	if got := x.Record.Intent.Deadline.Sub(x.Record.CreatedAt).Round(time.Second); got != 2*time.Minute {
		t.Errorf("the deadline was %s after the start, want twice the estimate of 1m", got)
	}
}

// late reports whether a target can tell that time ran out.
func late(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// failing is a journal that fails at one kind of entry.
type failing struct {
	journal.Store
	kind journal.Kind
}

func (f failing) Append(ctx context.Context, lease journal.Lease, kind journal.Kind, body any) (journal.Record, error) {
	if kind == f.kind {
		return journal.Record{}, errors.New("disk full")
	}
	return f.Store.Append(ctx, lease, kind, body)
}

func TestWorkWhoseNameCannotBeJournaledIsStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stopped := false
	b.fake.wait = func(ctx context.Context, _ playbook.Job) (playbook.Report, error) {
		<-ctx.Done()
		stopped = true
		return playbook.Report{}, context.Cause(ctx)
	}
	b.store = failing{b.store, journal.KindDispatch}
	x, err := b.apply(t, request("a"))
	if !stopped || x.Record.Status != journal.StatusCancelled || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("stopped %v, record %+v, error %v", stopped, x.Record, err)
	}
}

func TestOutcomeThatCannotBeJournaledIsReportedAndFoundLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.store
	b.store = failing{good, journal.KindOutcome}
	x, err := b.apply(t, request("a"))
	// The outcome is kept as open, as in the journal, so the next apply looks for it.
	if err == nil || !x.Record.Open() || x.Record.Result.Message != "done" ||
		!strings.Contains(err.Error(), "without running it again") {
		t.Fatalf("record %+v, error %v", x.Record, err)
	}
	later := *b
	later.store = good
	later.cfg.Journal = func(context.Context) (journal.Store, error) { return good, nil }
	later.Engine = engine.New(later.cfg)
	x, err = later.apply(t, request("a"))
	if err != nil || !x.Adopted || b.fake.count("dispatch") != 1 {
		t.Errorf("adopted %v, %d dispatches, error %v", x.Adopted, b.fake.count("dispatch"), err)
	}
}

func TestOneExecutionPerTargetAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var running sync.Map
	var most atomic.Int32
	var together atomic.Int32
	const patience = 20 * time.Second
	met := make(chan struct{})
	var meet sync.Once
	b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
		rec, err := b.store.Get(ctx, job.ID)
		if err != nil {
			return playbook.Report{}, err
		}
		if _, busy := running.LoadOrStore(rec.Subject.Target, true); busy {
			t.Errorf("two executions on %s at once", rec.Subject.Target)
		}
		now := together.Add(1)
		if most.Store(max(most.Load(), now)); now > 1 {
			meet.Do(func() { close(met) })
		}
		// The first apply waits for an apply on the other target, however slow the machine is.
		select {
		case <-met:
		case <-time.After(patience):
		}
		together.Add(-1)
		running.Delete(rec.Subject.Target)
		return playbook.Report{}, nil
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if _, err := b.apply(t, request([]string{"a", "b"}[i%2])); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if most.Load() != 2 {
		t.Errorf("at most %d executions ran at once, want 2 targets in parallel", most.Load())
	}
}

func TestUndoRunsTheRollbackAction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.undo = &playbook.Rollback{ActionType: "fake", Params: params{Name: "a"}}
	x, err := b.apply(t, request("a"))
	if err != nil || x.Record.Rollback == nil {
		t.Fatalf("record %+v, error %v", x.Record, err)
	}
	x, err = b.apply(t, engine.UndoRequest(b.ref(t, x.Record), *x.Record.Rollback))
	if err != nil || x.Record.Intent.Triggers["undo_of_execution"] == "" || b.fake.count("dispatch") != 2 {
		t.Errorf("record %+v, error %v", x.Record, err)
	}
}

// TestUndoIsKeptHoweverItEnded covers work that had changed something before it failed.
func TestUndoIsKeptHoweverItEnded(t *testing.T) {
	t.Parallel()
	undo := &playbook.Rollback{ActionType: "fake", Params: params{Name: "back"}}
	for name, tt := range map[string]struct {
		err  error
		undo *playbook.Rollback
		want journal.Status
	}{
		"failed":               {errBoom, undo, journal.StatusFailed},
		"unknown":              {playbook.ErrUncertain, undo, journal.StatusUnknown},
		"cancelled":            {context.Canceled, undo, journal.StatusCancelled},
		"failed, nothing done": {errBoom, nil, journal.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
				if errors.Is(tt.err, context.Canceled) {
					cancel()
				}
				return playbook.Report{Undo: tt.undo}, tt.err
			}
			x, err := b.Apply(ctx, request("a"), nil, func(engine.Execution) {})
			if err == nil || x.Record.Status != tt.want || (x.Record.Rollback != nil) != (tt.undo != nil) {
				t.Fatalf("record %+v, error %v", x.Record, err)
			}
			if rec, err := b.store.Get(t.Context(), x.Record.ID); err != nil ||
				(rec.Rollback != nil) != (tt.undo != nil) {
				t.Errorf("the journal holds %+v, %v", rec.Rollback, err)
			}
		})
	}
}
