package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

func (b *bench) plan(t *testing.T, req engine.Request) engine.Review {
	t.Helper()
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return review
}

// TestPlanShowsTheNewestRecord: a plan appends a record only if the newest one is out of date.
func TestPlanShowsTheNewestRecord(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change  func(t *testing.T, b *bench, req *engine.Request)
		another bool
	}{
		"nothing changed": {change: func(*testing.T, *bench, *engine.Request) {}},
		"59 minutes pass": {change: func(_ *testing.T, b *bench, _ *engine.Request) { b.clock.jump(59 * time.Minute) }},
		"an hour passes": {another: true, change: func(_ *testing.T, b *bench, _ *engine.Request) {
			b.clock.jump(time.Hour)
		}},
		"the digest ran": {another: true, change: func(t *testing.T, b *bench, req *engine.Request) {
			t.Helper()
			if _, err := b.planned(t, *req); err != nil {
				t.Fatal(err)
			}
		}},
		"another target ran": {change: func(t *testing.T, b *bench, _ *engine.Request) {
			t.Helper()
			other := request("b")
			other.Given.By = "lead@example.com"
			if _, err := b.planned(t, other); err != nil {
				t.Fatal(err)
			}
		}},
		"the approval is withdrawn": {another: true, change: func(_ *testing.T, _ *bench, req *engine.Request) {
			req.Given = approval.Given{}
		}},
		"the policy changes": {another: true, change: func(_ *testing.T, b *bench, _ *engine.Request) {
			b.cfg.Policy.Minimum = 2
			b.Engine = engine.New(b.cfg)
		}},
		"the configuration changes": {another: true, change: func(_ *testing.T, b *bench, _ *engine.Request) {
			b.cfg.Configuration = "other"
			b.Engine = engine.New(b.cfg)
		}},
		"another incident": {another: true, change: func(_ *testing.T, _ *bench, req *engine.Request) {
			req.Incident = "INC-2"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fake.reasons = []string{"it is dangerous"}
			req := request("a")
			req.Given.By = boss
			before := b.plan(t, req)
			tt.change(t, b, &req)
			after := b.plan(t, req)
			if before.Record == 0 || (after.Record != before.Record) != tt.another {
				t.Errorf("record %d, then %d", before.Record, after.Record)
			}
			if !tt.another && (after.Text() != before.Text() || after.Decision.Payload != before.Decision.Payload) {
				t.Errorf("the plan shows something else:\n%s\n%s", before.Text(), after.Text())
			}
		})
	}
}

// TestNewFiguresDoNotInvalidateSignatures: the payload names the first record since the digest ran.
func TestNewFiguresDoNotInvalidateSignatures(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	req, _ := b.reviewed(t, request("a"))
	payload := b.plan(t, request("a")).Decision.Payload
	for range 3 {
		b.clock.jump(2 * time.Hour)
		review := b.plan(t, req)
		if review.Decision.Payload != payload || !review.Decision.Granted {
			t.Fatalf("payload %q, was %q; granted %v", review.Decision.Payload, payload, review.Decision.Granted)
		}
	}
	if _, err := b.planned(t, req); err != nil {
		t.Fatal(err)
	}
	if again := b.plan(t, req); again.Decision.Payload == payload || again.Decision.Granted {
		t.Errorf("after the execution: payload %q, granted %v", again.Decision.Payload, again.Decision.Granted)
	}
}

// TestSameChangeUnderAnotherIncidentCanBeApprovedAgain: an identical payload could not be signed twice.
func TestSameChangeUnderAnotherIncidentCanBeApprovedAgain(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	for _, incident := range []string{"INC-1", "INC-2", "INC-3"} {
		asked := request("a")
		asked.Incident = incident
		req, was := b.reviewed(t, asked)
		if _, err := b.Apply(t.Context(), req, was, func(engine.Execution) {}); err != nil {
			t.Errorf("%s: %v", incident, err)
		}
	}
}

// TestTwoEqualRequestsInOneApply: the first execution must not change what the plan of the second request shows.
func TestTwoEqualRequestsInOneApply(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *engine.Config) { c.Terraform = proc.Terraform{Command: "apply", Session: "one"} })
	b.plan(t, request("a"))
	shown := b.plan(t, request("a")) // the second of two plans shows the record of the first
	b.cfg.Self = other()
	apply := engine.New(b.cfg)
	for range 2 {
		inside, err := apply.Plan(t.Context(), request("a"))
		if err != nil || inside.Record != shown.Record || inside.Text() != shown.Text() || len(inside.History) != 0 {
			t.Fatalf("inside the apply: record %d, was %d, %d earlier, %v\n%s", inside.Record, shown.Record,
				len(inside.History), err, inside.Text())
		}
		if _, err := apply.Apply(t.Context(), request("a"), shownBy(shown), func(engine.Execution) {}); err != nil {
			t.Fatal(err)
		}
	}
	if b.fake.count("dispatch") != 2 {
		t.Errorf("%d dispatches", b.fake.count("dispatch"))
	}
}

func TestJournalWithoutTheRecordIsRefused(t *testing.T) {
	t.Parallel()
	b, elsewhere := newBench(t), newBench(t)
	shown := b.plan(t, request("a"))
	_, err := elsewhere.Apply(t.Context(), request("a"), shownBy(shown), func(engine.Execution) {})
	if !errors.Is(err, engine.ErrJournal) || !strings.Contains(err.Error(), "need one journal") ||
		elsewhere.fake.count("dispatch") != 0 {
		t.Errorf("got %v", err)
	}
}

// TestNameApprovesOnlyWhatItWasGivenFor covers a name that stays in the configuration.
func TestNameApprovesOnlyWhatItWasGivenFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.reasons = []string{"it is dangerous"}
	req := request("a")
	req.Given.By = boss
	if _, err := b.planned(t, req); err != nil {
		t.Fatalf("the first execution: %v", err)
	}
	next := req
	next.Triggers = map[string]string{"run": "2"}
	review := b.plan(t, next)
	if review.Decision.Granted || !strings.Contains(review.Decision.Missing, "expected_digest = ") {
		t.Errorf("the name still counts: %+v", review.Decision)
	}
	b.refused(t, next, shownBy(review), engine.ErrNotApproved, "earlier execution on this target used this name")
	pinned := next
	pinned.ExpectedDigest = strings.TrimPrefix(review.Digest, "sha256:")[:20]
	if _, err := b.planned(t, pinned); err != nil {
		t.Errorf("pinned: %v", err)
	}
	short := next
	short.ExpectedDigest = strings.TrimPrefix(review.Digest, "sha256:")[:19]
	if _, err := b.Plan(t.Context(), short); !errors.Is(err, engine.ErrTargetChanged) ||
		!strings.Contains(err.Error(), "fewer than 20") {
		t.Errorf("a short pin: %v", err)
	}
	unseen := request("b")
	unseen.Given.By = "lead@example.com"
	b.refused(t, unseen, nil, engine.ErrNotApproved, "no plan has shown this change")
}

// TestOneNameCanApproveEveryStepOfAPlan: names count as of the record.
func TestOneNameCanApproveEveryStepOfAPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.reasons = []string{"it is dangerous"}
	first, second := request("a"), request("a")
	second.Triggers = map[string]string{"run": "2"}
	first.Given.By, second.Given.By = boss, boss
	one, two := b.plan(t, first), b.plan(t, second)
	for i, step := range []struct {
		req engine.Request
		was engine.Review
	}{{first, one}, {second, two}} {
		if _, err := b.Apply(t.Context(), step.req, shownBy(step.was), func(engine.Execution) {}); err != nil {
			t.Errorf("step %d: %v", i+1, err)
		}
	}
}

func TestUndoOnAnotherTargetIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.undo = &playbook.Rollback{ActionType: "fake", Params: params{Name: "a"}}
	x, err := b.apply(t, request("a"))
	if err != nil {
		t.Fatal(err)
	}
	before := b.fake.count("dispatch")
	for name, move := range map[string]func(){
		"another name":         func() { b.fake.target = "elsewhere" },
		"the same name, moved": func() { b.fake.target, b.fake.identity = "", "another" },
	} {
		move()
		undo := engine.UndoRequest(b.ref(t, x.Record), *x.Record.Rollback)
		if _, err := b.Plan(t.Context(), undo); !errors.Is(err, engine.ErrTarget) ||
			!strings.Contains(err.Error(), "destroy = false") {
			t.Errorf("%s: plan: %v", name, err)
		}
		if _, err := b.apply(t, undo); !errors.Is(err, engine.ErrTarget) || b.fake.count("dispatch") != before {
			t.Errorf("%s: apply: %v", name, err)
		}
	}
}

// TestOneTargetUnderTwoNamesNeverRunsTwiceAtOnce: the lease is on the identity.
func TestOneTargetUnderTwoNamesNeverRunsTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.identity = "one warehouse"
	held := b.leave(t, request("a"), other(), true)
	if len(held.Intent.Locks) == 0 {
		t.Fatal("the execution does not lock the identity")
	}
	review := b.plan(t, request("b"))
	if !strings.Contains(strings.Join(review.Warnings, "\n"), "fake:a is held by execution") {
		t.Errorf("the plan doesn't say who holds it: %q", review.Warnings)
	}
	req := request("b")
	req.Timeout = time.Second
	if _, err := b.apply(t, req); !errors.Is(err, engine.ErrBusy) || b.fake.count("dispatch") != 0 {
		t.Errorf("got %v", err)
	}
}

// TestJournalThatIsNotIntact: nothing runs on an approval if its single use can't be proved.
func TestJournalThatIsNotIntact(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.apply(t, request("a")); err != nil {
		t.Fatal(err)
	}
	mark := newestEntry(t, b.Engine)
	edited, older, foreign := mark, mark, mark
	edited.Hash = strings.Repeat("0", len(mark.Hash))
	older.Seq += 100
	foreign.Journal = "00000000"
	for name, tt := range map[string]struct {
		mark journal.Mark
		says string
	}{
		"it holds":         {mark: mark},
		"short":            {mark: mark.Short()},
		"another":          {foreign, "this is another journal"},
		"rolled back":      {older, "it is an older copy"},
		"rewritten":        {edited, "rolled back and continued"},
		"rewritten, short": {edited.Short(), "rolled back and continued"},
	} {
		req := request("c")
		req.Mark = tt.mark
		review := b.plan(t, req)
		warned := strings.Join(review.Warnings, "\n")
		if (tt.says == "") != (warned == "") || !strings.Contains(warned, tt.says) {
			t.Errorf("%s: the plan warns %q", name, warned)
		}
		x, err := b.Apply(t.Context(), req, shownBy(review), func(engine.Execution) {})
		if err != nil || x.Record.ID == 0 {
			t.Errorf("%s: what needs no approval is refused: %v", name, err)
		}
		open := request("d")
		open.Mark, open.Open = tt.mark, true
		if _, err := b.apply(t, open); errors.Is(err, engine.ErrJournal) == (tt.says == "") {
			t.Errorf("%s: after an open execution: %v", name, err)
		}
	}
	b.fake.reasons = []string{"it is dangerous"}
	req := request("e")
	req.Mark, req.Given.By = older, boss
	review := b.plan(t, req)
	b.refused(t, req, shownBy(review), engine.ErrJournal, "can't be proved")

	// A replacement has no state, and that of the replaced resource counts.
	req.Mark, req.Creates = journal.Mark{}, true
	review = b.plan(t, req)
	b.Saw(older)
	b.Saw(mark)
	if _, err := b.Plan(t.Context(), req); !errors.Is(err, engine.ErrJournal) {
		t.Errorf("the plan of a replacement: %v", err)
	}
	b.refused(t, req, shownBy(review), engine.ErrJournal, "can't be proved")
}

// TestNewJournalNeverRunsTwice: numbers of different journals can't be compared. The state contains execution 9 of
// another journal, and Terraform died before it saved execution 2 of this one.
func TestNewJournalNeverRunsTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	done := b.done(t, request("a"), dead(), journal.StatusSuccess)
	req := request("a")
	req.Known, req.Mark = done.ID+100, journal.Mark{Journal: "00000000"}
	x, err := b.apply(t, req)
	if err != nil || !x.Adopted || b.fake.count("dispatch") != 0 {
		t.Errorf("%d dispatches, %v", b.fake.count("dispatch"), err)
	}
}
