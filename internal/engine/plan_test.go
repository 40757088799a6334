package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

func dryRuns(t *testing.T, b *bench) []journal.Record {
	t.Helper()
	found, err := b.store.Find(t.Context(), journal.Filter{DryRuns: true})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPlanRecordsEachDryRunOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 3 {
		if _, err := b.Plan(t.Context(), request("a")); err != nil {
			t.Fatal(err)
		}
	}
	b.fake.facts = map[string]any{"things": []string{"a"}}
	if _, err := b.Plan(t.Context(), request("a")); err != nil {
		t.Fatal(err)
	}
	b.fake.previewErr = errBoom
	if _, err := b.Plan(t.Context(), request("a")); !errors.Is(err, errBoom) {
		t.Fatalf("got %v", err)
	}
	found := dryRuns(t, b)
	if len(found) != 3 || found[0].Status != journal.StatusDryRunOK || found[2].Status != journal.StatusDryRunBad {
		t.Errorf("dry runs %+v", found)
	}
	if b.fake.count("dispatch") != 0 {
		t.Error("plan dispatched")
	}
}

func TestPlanWithinAnApplyNamesWhatChanged(t *testing.T) {
	t.Parallel()
	for name, parent := range map[string]proc.Terraform{
		"saved plan":                   {Command: "apply", PlanFile: "missing.tfplan", Session: "apply"},
		"the same Terraform as before": {Command: "apply", Session: "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *engine.Config) { c.Terraform = proc.Terraform{Session: "one"} })
			if _, err := b.Plan(t.Context(), request("a")); err != nil {
				t.Fatal(err)
			}
			b.fake.facts = map[string]any{"things": []string{"a", "b", "c"}}
			b.cfg.Terraform, b.cfg.Self = parent, other()
			_, err := engine.New(b.cfg).Plan(t.Context(), request("a"))
			if !errors.Is(err, engine.ErrTargetChanged) || !strings.Contains(err.Error(), "things: added c") {
				t.Errorf("got %v", err)
			}
			b.cfg.Terraform = proc.Terraform{Session: "two"}
			if _, err := engine.New(b.cfg).Plan(t.Context(), request("a")); err != nil {
				t.Errorf("a new plan of a moved target is refused: %v", err)
			}
		})
	}
}

func TestPlanApproval(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy approval.Policy
		by     string
		refuse bool
	}{
		"missing":                   {},
		"missing, enforced at plan": {policy: approval.Policy{Enforce: approval.EnforcePlan}, refuse: true},
		"given":                     {by: "boss@example.com"},
		"by a stranger": {policy: approval.Policy{Approvers: []string{"*@example.com"}},
			by: "eve@example.org", refuse: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *engine.Config) { c.Policy = tt.policy })
			b.fake.reasons = []string{"it is dangerous"}
			req := request("a")
			req.Given.By = tt.by
			review, err := b.Plan(t.Context(), req)
			if refused := errors.Is(err, engine.ErrNotApproved); refused != tt.refuse {
				t.Fatalf("refused %v: %v", refused, err)
			}
			if err == nil && review.Decision.Granted != (tt.by != "") {
				t.Errorf("decision %+v", review.Decision)
			}
		})
	}
}

func TestPlanOnlyWarnsOfABrokenJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *engine.Config) {
		c.Journal = func(context.Context) (journal.Store, error) { return nil, errBoom }
	})
	review, err := b.Plan(t.Context(), request("a"))
	if err != nil || len(review.Warnings) != 1 || !strings.Contains(review.Warnings[0], "Apply will refuse") {
		t.Errorf("warnings %q, error %v", review.Warnings, err)
	}
}

func TestThreeFailuresRequireAnApproval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) { return playbook.Report{}, errBoom }
	for i := range 3 {
		review, err := b.Plan(t.Context(), request("a"))
		if err != nil || review.Decision.Needed {
			t.Fatalf("before failure %d: %+v, %v", i+1, review.Decision, err)
		}
		if _, err := b.apply(t, request("a")); err == nil {
			t.Fatal("no failure")
		}
	}
	review, err := b.Plan(t.Context(), request("a"))
	if err != nil || !strings.Contains(strings.Join(review.Decision.Reasons, "\n"), "escalate") ||
		review.Executions != 3 || review.Decision.Granted {
		t.Errorf("decision %+v, %d executions, %v", review.Decision, review.Executions, err)
	}
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
		t.Errorf("a fourth execution without an approval: %v", err)
	}
}

func TestDigestBindsWhatWasReviewed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	digest := func(req engine.Request) string {
		review, err := b.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return review.Digest
	}
	base := digest(request("a"))
	trigger, policy := request("a"), request("a")
	trigger.Triggers = map[string]string{"run": "2"}
	policy.Given.By, policy.Incident = "boss@example.com", "INC-2"
	if base != digest(request("a")) || base != digest(policy) {
		t.Error("the digest is not stable, or depends on policy")
	}
	for name, change := range map[string]func(*engine.Request){
		"timeout":    func(r *engine.Request) { r.Timeout = time.Hour },
		"on_destroy": func(r *engine.Request) { r.OnDestroy = "rollback" },
		"guardrail": func(r *engine.Request) {
			r.Guardrails = []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "up"}, OnBreach: guard.Warn}}
		},
	} {
		safety := request("a")
		change(&safety)
		if digest(safety) == base {
			t.Errorf("the digest does not bind the %s", name)
		}
	}
	other := digest(request("b"))
	b.fake.facts = map[string]any{"things": []string{"a"}}
	for name, d := range map[string]string{"input": other, "trigger": digest(trigger), "fact": digest(request("a"))} {
		if d == base {
			t.Errorf("the digest does not bind the %s", name)
		}
	}
}
