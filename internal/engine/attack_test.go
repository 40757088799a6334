package engine_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

const boss = "boss@example.com"

func signer(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed is an approval of text by the boss.
func signed(t testing.TB, text string) approval.Approval {
	t.Helper()
	sig, err := sshsig.Sign(strings.NewReader(text), signer(t, boss), sshsig.HashSHA512, approval.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	return approval.Approval{By: boss, Signature: string(sshsig.Armor(sig))}
}

// guarded is a bench whose changes need the boss's signature.
func guarded(t *testing.T, change ...func(*engine.Config)) *bench {
	t.Helper()
	list, err := approval.ParseSigners(boss + " " + string(ssh.MarshalAuthorizedKey(signer(t, boss).PublicKey())))
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, append([]func(*engine.Config){func(c *engine.Config) {
		c.Policy = approval.Policy{SignaturesRequired: true, Signers: list, Approvers: []string{"*@example.com"}}
	}}, change...)...)
	b.fake.reasons = []string{"it is dangerous"}
	return b
}

// reviewed plans the request and adds a signature for what the plan shows.
func (b *bench) reviewed(t *testing.T, req engine.Request) (engine.Request, *engine.Reviewed) {
	t.Helper()
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if review.Decision.Granted || review.Decision.Payload == "" {
		t.Fatalf("the plan shows %+v", review.Decision)
	}
	req.Given.Approvals = []approval.Approval{signed(t, review.Decision.Payload)}
	var facts map[string]any
	text, err := json.Marshal(review.Facts)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	was := shownBy(review)
	was.Facts = facts
	return req, was
}

// refused checks that the request is refused and nothing more is dispatched.
func (b *bench) refused(t *testing.T, req engine.Request, was *engine.Reviewed, want error, says string) {
	t.Helper()
	before := b.fake.count("dispatch")
	x, err := b.Apply(t.Context(), req, was, func(engine.Execution) { t.Error("something was observed to run") })
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) || x.Record.ID != 0 {
		t.Errorf("got %v (record %d), want %v that says %q", err, x.Record.ID, want, says)
	}
	if b.fake.count("dispatch") != before {
		t.Error("something was dispatched")
	}
}

func TestSignedApprovalRunsAndIsKept(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	req, was := b.reviewed(t, request("a"))
	x, err := b.Apply(t.Context(), req, was, func(engine.Execution) {})
	if err != nil {
		t.Fatal(err)
	}
	var kept []approval.Used
	if err := json.Unmarshal(x.Record.Intent.Approvals, &kept); err != nil || len(kept) != 1 {
		t.Fatalf("kept %s (%v)", x.Record.Intent.Approvals, err)
	}
	if kept[0].By != boss || kept[0].Signed != x.Record.Intent.Payload || !strings.HasPrefix(kept[0].Key, "SHA256:") ||
		x.Record.Intent.ApprovedBy != boss || kept[0].Signature != req.Given.Approvals[0].Signature {
		t.Errorf("kept %+v, approved by %q", kept[0], x.Record.Intent.ApprovedBy)
	}
}

func TestAttackChangeAfterReview(t *testing.T) {
	t.Parallel()
	const other = "its signature is for something else"
	for name, tt := range map[string]struct {
		change func(*bench, *engine.Request)
		// planned keeps what the plan showed; without it the attacker plans again.
		planned bool
		want    error
		says    string
	}{
		"another input or target": {change: func(_ *bench, r *engine.Request) { r.Params = request("b").Params },
			want: engine.ErrNotApproved, says: other},
		"another input, in a saved plan": {change: func(_ *bench, r *engine.Request) { r.Params = request("b").Params },
			planned: true, want: engine.ErrTargetChanged, says: "target: was fake:a, now fake:b"},
		"another trigger": {change: func(_ *bench,
			r *engine.Request) {
			r.Triggers = map[string]string{"run": "2"}
		}, want: engine.ErrNotApproved,
			says: other},
		"a model more": {change: func(b *bench,
			_ *engine.Request) {
			b.fake.facts = map[string]any{"things": []string{"a", "b", "c"}}
		}, planned: true,
			want: engine.ErrTargetChanged, says: "added c"},
		"a model more, planned anew": {change: func(b *bench,
			_ *engine.Request) {
			b.fake.facts = map[string]any{"things": []string{"a", "b", "c"}}
		},
			want: engine.ErrNotApproved, says: other},
		"another order": {change: func(b *bench,
			_ *engine.Request) {
			b.fake.facts = map[string]any{"things": []string{"b", "a"}}
		}, planned: true,
			want: engine.ErrTargetChanged, says: "another order"},
		"another order, planned anew": {change: func(b *bench,
			_ *engine.Request) {
			b.fake.facts = map[string]any{"things": []string{"b", "a"}}
		},
			want: engine.ErrNotApproved, says: other},
		"another percentage": {change: func(b *bench, _ *engine.Request) {
			b.fake.facts = map[string]any{"things": []string{"a", "b"}, "percent": 11}
		}, want: engine.ErrNotApproved, says: other},
		"another pinned digest": {change: func(_ *bench, r *engine.Request) { r.ExpectedDigest = "sha256:00" },
			want: engine.ErrTargetChanged, says: "sha256:00"},
		"the name without the signature": {change: func(_ *bench,
			r *engine.Request) {
			r.Given = approval.Given{By: boss}
		}, want: engine.ErrNotApproved,
			says: "it is not signed"},
		"the approval taken away": {change: func(_ *bench, r *engine.Request) { r.Given = approval.Given{} },
			planned: true, want: engine.ErrNotApproved, says: "nobody has approved it"},
		"somebody else's name": {change: func(_ *bench,
			r *engine.Request) {
			r.Given.Approvals[0].By = "lead@example.com"
		}, want: engine.ErrNotApproved,
			says: "belongs to boss@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := guarded(t)
			req, was := b.reviewed(t, request("a"))
			tt.change(b, &req)
			if !tt.planned {
				was = nil
			}
			b.refused(t, req, was, tt.want, tt.says)
		})
	}
}

func TestAttackPlanFromAnotherState(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	_, foreign := b.reviewed(t, request("b"))
	req, _ := b.reviewed(t, request("a"))
	b.refused(t, req, foreign, engine.ErrTargetChanged, "changed since it was reviewed")
}

func TestAttackReplay(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]bool{"after success": false, "after failure": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := guarded(t)
			if fail {
				b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
					return playbook.Report{},
						errBoom
				}
			}
			req, was := b.reviewed(t, request("a"))
			if _, err := b.Apply(t.Context(), req, was, func(engine.Execution) {}); (err != nil) != fail {
				t.Fatal(err)
			}
			b.refused(t, req, nil, engine.ErrNotApproved, "its signature was used by execution 2") // 1 is the dry run
			// the saved plan again
			b.refused(t, req, was, engine.ErrNotApproved, "its signature was used by execution 2")
			elsewhere := req
			elsewhere.Incident = "INC-2"
			b.refused(t, elsewhere, nil, engine.ErrNotApproved, "its signature was used by execution 2")
			b.fake.wait = nil
			again, _ := b.reviewed(t, request("a"))
			x, err := b.apply(t, again)
			if err != nil || !strings.HasSuffix(x.Record.Intent.Payload, "shown="+x.Record.Journal+"-5") {
				t.Errorf("a new signature: payload %q, %v", x.Record.Intent.Payload, err)
			}
		})
	}
}

func TestUnsignedRetryNeedsNoNewApproval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.reasons = []string{"it is dangerous"}
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) { return playbook.Report{}, errBoom }
	req := request("a")
	req.Given.By = "me@example.com"
	if _, err := b.planned(t, req); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	b.fake.wait = nil
	if _, err := b.planned(t, req); err != nil {
		t.Errorf("the retry: %v", err)
	}
}

func TestAttackOneSignatureForTwoConcurrentExecutions(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	long := request("a")
	long.Timeout = time.Hour // of the test's clock, on which waits take no time
	req, _ := b.reviewed(t, long)
	elsewhere := b.cfg
	elsewhere.Self = other()
	var ran atomic.Int32
	var group sync.WaitGroup
	for incident, e := range map[string]*engine.Engine{"INC-1": b.Engine, "INC-2": engine.New(elsewhere)} {
		group.Go(func() {
			mine := req
			mine.Incident = incident
			if _, err := e.Apply(t.Context(), mine, nil, func(engine.Execution) {}); err == nil {
				ran.Add(1)
			} else if !errors.Is(err, engine.ErrNotApproved) && !errors.Is(err, engine.ErrBusy) {
				t.Error(err) // if it waits for the other one, the timeout by the test's clock may pass first
			}
		})
	}
	group.Wait()
	if ran.Load() != 1 || b.fake.count("dispatch") != 1 {
		t.Errorf("%d executions, %d dispatches", ran.Load(), b.fake.count("dispatch"))
	}
}

// slow is a journal in which another execution uses the signature between the decision and the intent.
type slow struct {
	journal.Store
	once   sync.Once
	before func()
}

func (s *slow) Begin(ctx context.Context, about journal.Subject, kind journal.Kind,
	intent journal.Intent) (journal.Record, error) {
	if kind == journal.KindIntent {
		s.once.Do(s.before)
	}
	return s.Store.Begin(ctx, about, kind, intent)
}

func TestAttackSignatureUsedBetweenDecisionAndIntent(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	req, _ := b.reviewed(t, request("a"))
	plain := b.store
	b.store = &slow{Store: plain, before: func() {
		cfg := b.cfg
		cfg.Journal = func(context.Context) (journal.Store, error) { return plain, nil }
		if _, err := engine.New(cfg).Apply(t.Context(), req, nil, func(engine.Execution) {}); err != nil {
			t.Error(err)
		}
	}}
	x, err := engine.New(b.cfg).Apply(t.Context(), req, nil, func(engine.Execution) {})
	if !errors.Is(err, engine.ErrNotApproved) || x.Record.Status != journal.StatusCancelled ||
		b.fake.count("dispatch") != 1 {
		t.Errorf("status %q, %d dispatches, %v", x.Record.Status, b.fake.count("dispatch"), err)
	}
}

func TestAttackUnknownAtPlanRiskyAtApply(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	// Nothing was shown at plan: an input, or run_if, only became known during apply.
	b.refused(t, request("a"), nil, engine.ErrNotApproved, "Plan again")
	b.fake.reasons = nil
	req, was := request("b"), &engine.Reviewed{}
	review, err := b.Plan(t.Context(), req)
	if err != nil || !review.Decision.Granted {
		t.Fatalf("%+v, %v", review.Decision, err)
	}
	b.fake.reasons = []string{"it became dangerous"}
	was.Digest = review.Digest
	b.refused(t, req, was, engine.ErrNotApproved, "it became dangerous")
}

func TestAttackClockSetBack(t *testing.T) {
	t.Parallel()
	b := guarded(t, func(c *engine.Config) { c.Policy.MaxAge = time.Hour })
	req, _ := b.reviewed(t, request("a"))
	began := b.clock.Now()
	set := func(to time.Time) {
		b.clock.mu.Lock()
		b.clock.now = to
		b.clock.mu.Unlock()
	}
	set(began.Add(2 * time.Hour))
	b.refused(t, req, nil, engine.ErrNotApproved, "it expired")
	if _, err := b.Plan(t.Context(), request("b")); err != nil { // the journal records the time
		t.Fatal(err)
	}
	set(began)
	b.refused(t, req, nil, engine.ErrNotApproved, "it expired")
}

func TestAttackExpiryIsRefusedWhileThePlanStaysTheSame(t *testing.T) {
	t.Parallel()
	b := guarded(t, func(c *engine.Config) {
		c.Policy.MaxAge = time.Hour
		c.Terraform = savedPlan()
	})
	req, was := b.reviewed(t, request("a"))
	before, err := b.Plan(t.Context(), req)
	if err != nil || !before.Decision.Granted {
		t.Fatalf("%+v, %v", before.Decision, err)
	}
	b.clock.mu.Lock()
	b.clock.now = b.clock.now.Add(2 * time.Hour)
	b.clock.mu.Unlock()
	after, err := b.Plan(t.Context(), req)
	if err != nil || after.Decision.Granted || after.Text() != before.Text() ||
		after.Decision.Payload != before.Decision.Payload {
		t.Errorf("what the plan shows moved by time passing: %v\n%s\n%s", err, before.Text(), after.Text())
	}
	b.refused(t, req, was, engine.ErrNotApproved, "it expired")
}

func TestAttackUndoWithTheApprovalOfTheExecution(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	b.fake.undo = &playbook.Rollback{ActionType: "fake", Params: params{Name: "a"}}
	req, was := b.reviewed(t, request("a"))
	x, err := b.Apply(t.Context(), req, was, func(engine.Execution) {})
	if err != nil {
		t.Fatal(err)
	}
	undo := engine.UndoRequest(b.ref(t, x.Record), *x.Record.Rollback)
	undo.Given = req.Given
	b.refused(t, undo, nil, engine.ErrNotApproved, "its signature is for something else")
}

// TestChangeExecutedBetweenPlanAndApply: the plan inside an apply shows what was reviewed, and apply decides.
func TestChangeExecutedBetweenPlanAndApply(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	req, was := b.reviewed(t, request("a"))
	before, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Apply(t.Context(), req, was, func(engine.Execution) {}); err != nil {
		t.Fatal(err)
	}
	b.cfg.Terraform = savedPlan()
	inside, err := engine.New(b.cfg).Plan(t.Context(), req)
	if err != nil || inside.Record != before.Record || inside.Text() != before.Text() ||
		inside.Decision.Payload != before.Decision.Payload {
		t.Errorf("inside the apply: record %d, was %d: %v\n%s", inside.Record, before.Record, err, inside.Text())
	}
	b.refused(t, req, was, engine.ErrNotApproved, "its signature was used by execution")
	b.cfg.Terraform = proc.Terraform{Session: "new"}
	again, err := engine.New(b.cfg).Plan(t.Context(), req)
	if err != nil || again.Record == before.Record || again.Decision.Payload == before.Decision.Payload {
		t.Errorf("a new plan shows record %d, %v", again.Record, err)
	}
}
