package engine_test

import (
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// done journals an execution that succeeded in a process that died before its caller kept it.
func (b *bench) done(t *testing.T, req engine.Request, holder proc.Identity, status journal.Status) journal.Record {
	t.Helper()
	rec := b.leave(t, req, holder, true)
	rec, err := b.store.Append(t.Context(), rec.Lease(), journal.KindOutcome, journal.Outcome{Status: status})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestSucceededExecutionThatWasNotKeptIsNotRunAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status  journal.Status
		holder  proc.Identity
		session string
		change  func(t *testing.T, b *bench, rec journal.Record, req *engine.Request)
		runs    bool
	}{
		"it succeeded":          {},
		"of another host":       {holder: elsewhere()},
		"it failed":             {status: journal.StatusFailed, runs: true},
		"it was cancelled":      {status: journal.StatusCancelled, runs: true},
		"this process ran it":   {holder: proc.Self(), runs: true},
		"this Terraform ran it": {session: "host:boot:2:2", runs: true},
		"the state has it": {runs: true, change: func(_ *testing.T, _ *bench, rec journal.Record,
			req *engine.Request) {
			req.Known = rec.ID
		}},
		"the state has an earlier one": {change: func(_ *testing.T, _ *bench, rec journal.Record,
			req *engine.Request) {
			req.Known = rec.ID - 1
		}},
		"other triggers": {runs: true, change: func(_ *testing.T, _ *bench, _ journal.Record, req *engine.Request) {
			req.Triggers = map[string]string{"run": "2"}
		}},
		"other inputs": {runs: true, change: func(_ *testing.T, _ *bench, _ journal.Record,
			req *engine.Request) {
			req.Params = request("b").Params
		}},
		"its resource was destroyed": {runs: true, change: func(t *testing.T, b *bench, rec journal.Record,
			_ *engine.Request) {
			t.Helper()
			for range 2 {
				if err := b.Acknowledge(t.Context(), b.ref(t, rec)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"other triggers ran since": {runs: true, change: func(t *testing.T, b *bench, _ journal.Record,
			_ *engine.Request) {
			t.Helper()
			later := request("a")
			later.Triggers = map[string]string{"run": "2"}
			b.done(t, later, dead(), journal.StatusSuccess)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *engine.Config) { c.Terraform.Session = "host:boot:1:1" })
			if tt.status == "" {
				tt.status = journal.StatusSuccess
			}
			if tt.holder == (proc.Identity{}) {
				tt.holder = dead()
			}
			b.session = tt.session
			rec := b.done(t, request("a"), tt.holder, tt.status)
			b.cfg.Terraform.Session = "host:boot:2:2"
			b.Engine = engine.New(b.cfg)
			req := request("a")
			if tt.change != nil {
				tt.change(t, b, rec, &req)
			}
			review, err := b.Plan(t.Context(), req)
			if err != nil || review.Finished == tt.runs || strings.Contains(strings.Join(review.Warnings, ""),
				"already did this") == tt.runs {
				t.Errorf("plan: finished %v, warnings %q, error %v", review.Finished, review.Warnings, err)
			}
			x, err := b.apply(t, req)
			if err != nil || (b.fake.count("dispatch") == 1) != tt.runs || x.Adopted == tt.runs ||
				(x.Record.ID == rec.ID) == tt.runs {
				t.Errorf("%d dispatches, execution %d after %d, adopted %v, error %v", b.fake.count("dispatch"),
					x.Record.ID, rec.ID, x.Adopted, err)
			}
		})
	}
}

func TestAcknowledgingAnExecutionThatIsNotInTheJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rec := b.done(t, request("a"), dead(), journal.StatusSuccess)
	mine := b.ref(t, rec)
	for _, foreign := range []journal.Ref{{Journal: "00000000", Number: rec.ID}, {Journal: mine.Journal, Number: 99}} {
		if err := b.Acknowledge(t.Context(), foreign); err != nil {
			t.Errorf("an execution of another journal: %v", err)
		}
	}
	if now, err := b.store.Get(t.Context(), rec.ID); err != nil || now.Acknowledged {
		t.Errorf("an execution of another journal was acknowledged in this one: %v", err)
	}
	_ = b.store.Close()
	if err := b.Acknowledge(t.Context(), mine); err == nil {
		t.Error("a journal that can't be written is no error")
	}
}

// TestAdoptedExecutionIsAmongTheEarlierOnes: the record whose outcome the apply itself determined is in its
// result.
func TestAdoptedExecutionIsAmongTheEarlierOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	left := b.leave(t, request("a"), dead(), false)
	b.fake.adopt = playbook.ErrNeverBegan
	x, err := b.apply(t, request("a"))
	if err != nil || len(x.Earlier) != 1 || x.Earlier[0].ID != left.ID ||
		x.Earlier[0].Status != journal.StatusCancelled {
		t.Errorf("earlier %+v, error %v", x.Earlier, err)
	}
}

// TestPlanWithinApplyHasTheHistoryOfThePlan: a process that outlives its Terraform can begin an execution between a
// plan and its apply.
func TestPlanWithinApplyHasTheHistoryOfThePlan(t *testing.T) {
	t.Parallel()
	for session, want := range map[string]int{"host:boot:1:1": 1, "host:boot:2:2": 2} {
		b := newBench(t)
		b.done(t, request("a"), dead(), journal.StatusFailed)
		b.cfg.Terraform.Session = "host:boot:1:1"
		b.Engine = engine.New(b.cfg)
		b.leave(t, request("a"), dead(), true) // plans first
		b.cfg.Terraform.Session, b.cfg.Terraform.Command, b.cfg.Self = session, "apply", other()
		review, err := engine.New(b.cfg).Plan(t.Context(), request("a"))
		if err != nil || len(review.History) != want || review.Executions != want {
			t.Errorf("session %s: %d records of %d, want %d, error %v", session, len(review.History), review.Executions,
				want, err)
		}
	}
}

// TestNormalEndOfTerraformAcknowledgesOutcomes runs the same request in several Terraform runs with nothing kept
// between them, as pipelines without a state do: each run executes it, except after a run that died.
func TestNormalEndOfTerraformAcknowledgesOutcomes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	apply := func(session string, ends bool) bool {
		t.Helper()
		b.cfg.Terraform.Session = session
		b.cfg.Self = proc.Identity{Host: session, PID: 7, Started: 1, Boot: "x"}
		b.Engine = engine.New(b.cfg)
		before := b.fake.count("dispatch")
		if _, err := b.apply(t, request("a")); err != nil {
			t.Fatal(err)
		}
		if ends {
			b.AcknowledgeAll(t.Context())
			b.AcknowledgeAll(t.Context()) // there is nothing left to acknowledge
		}
		return b.fake.count("dispatch") > before
	}
	for i, run := range []struct{ ends, runs bool }{
		{ends: true, runs: true}, {ends: true, runs: true}, {ends: false,
			runs: true}, {ends: false}, {ends: true}, {ends: true, runs: true},
	} {
		if ran := apply(strings.Repeat("i", i+1), run.ends); ran != run.runs {
			t.Errorf("Terraform %d: it ran: %v, want %v", i+1, ran, run.runs)
		}
	}
	entries := map[journal.Kind]int{}
	if err := b.store.Entries(t.Context(), 1,
		func(e journal.Entry) error { entries[e.Kind]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if entries[journal.KindAcknowledged] != 4 {
		t.Errorf("entries %v", entries)
	}
}

// TestPlanWithinApplyShowsWhatWasOpenAtThePlan: an execution that ends between the two is still shown as open.
func TestPlanWithinApplyShowsWhatWasOpenAtThePlan(t *testing.T) {
	t.Parallel()
	for session, open := range map[string]bool{"host:boot:1:1": true, "host:boot:2:2": false} {
		b := newBench(t)
		left := b.leave(t, request("a"), dead(), true)
		b.cfg.Terraform.Session = "host:boot:1:1"
		if _, err := engine.New(b.cfg).Plan(t.Context(), request("a")); err != nil {
			t.Fatal(err)
		}
		outcome := journal.Outcome{Status: journal.StatusSuccess, Result: journal.Result{FinishedAt: b.clock.Now()}}
		if _, err := b.store.Append(t.Context(), left.Lease(), journal.KindOutcome, outcome); err != nil {
			t.Fatal(err)
		}
		b.cfg.Terraform.Session, b.cfg.Terraform.Command, b.cfg.Self = session, "apply", other()
		review, err := engine.New(b.cfg).Plan(t.Context(), request("a"))
		if err != nil || len(review.History) != 1 || review.History[0].Open() != open || review.Finished == open {
			t.Errorf("session %s: history %+v, finished %v, error %v", session, review.History, review.Finished, err)
		}
	}
}
