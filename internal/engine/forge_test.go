package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

// reviews is a forge that answers as a test says, and counts the reads.
type reviews struct {
	mu    sync.Mutex
	says  approval.Confirmed
	asked int
}

func (r *reviews) Confirmed(context.Context) approval.Confirmed {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.says
}

const change = "acme/search pull request 12 at commit 6dcb09b"

// confirmed is a bench whose changes need an approval that the forge confirms; a saved plan is applied.
func confirmed(t *testing.T) (*bench, *reviews) {
	t.Helper()
	forge := &reviews{says: approval.Confirmed{Change: change}}
	b := newBench(t, func(c *engine.Config) {
		c.Policy = approval.Policy{Forge: "github acme/search", Aliases: map[string][]string{boss: {"the-boss"}}}
		c.Forge, c.Terraform = forge, savedPlan()
	})
	b.fake.reasons = []string{"it is dangerous"}
	return b, forge
}

func TestForgeConfirmsAndIsKept(t *testing.T) {
	t.Parallel()
	b, forge := confirmed(t)
	forge.says.By = []string{"the-boss"}
	req := request("a")
	req.Given.By = boss
	req.Given.Approvals = []approval.Approval{{By: "lead@example.com"}} // the forge doesn't confirm it
	review, err := b.Plan(t.Context(), req)
	if err != nil || !review.Decision.Granted || forge.asked != 1 {
		t.Fatalf("%+v, %v, asked %d times", review.Decision, err, forge.asked)
	}
	x, err := b.Apply(t.Context(), req, shownBy(review), func(engine.Execution) {})
	if err != nil || forge.asked != 2 {
		t.Fatalf("%v, asked %d times", err, forge.asked)
	}
	var kept []approval.Used
	if err := json.Unmarshal(x.Record.Intent.Approvals, &kept); err != nil || len(kept) != 1 || kept[0].By != boss ||
		kept[0].Confirmed != change {
		t.Errorf("kept %s (%v)", x.Record.Intent.Approvals, err)
	}
	if x.Record.Intent.ApprovedBy != boss {
		t.Errorf("recorded as approved by %q", x.Record.Intent.ApprovedBy)
	}
}

func TestForgeIsAskedOnlyIfAnApprovalIsNeeded(t *testing.T) {
	t.Parallel()
	b, forge := confirmed(t)
	b.fake.reasons = nil
	forge.says.Problem = "it is down"
	req := request("a")
	req.Given.By = boss
	if _, err := b.Plan(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := b.apply(t, req); err != nil || forge.asked != 0 {
		t.Errorf("%v, asked %d times", err, forge.asked)
	}
}

// The plan shows the same whatever the forge answers: a plan is made before the review and applied after it.
func TestAttackNotApprovedAtTheForge(t *testing.T) {
	t.Parallel()
	b, forge := confirmed(t)
	forge.says.By = []string{"the-boss"}
	req := request("a")
	req.Given.By = boss
	before, err := b.Plan(t.Context(), req)
	if err != nil || !before.Decision.Granted {
		t.Fatalf("%+v, %v", before.Decision, err)
	}
	for says, answer := range map[string]approval.Confirmed{
		"they have not approved " + change + " (those who have: nobody)": {Change: change},
		"those who have: eve": {Change: change, By: []string{"eve"}},
		"the forge could not confirm it: it is down": {Change: change,
			By: []string{"the-boss"}, Problem: "it is down"},
	} {
		forge.says = answer
		after, err := b.Plan(t.Context(), req)
		if err != nil || after.Decision.Granted || !strings.Contains(after.Decision.Missing, says) {
			t.Errorf("the plan warns of %q (%v), want %q", after.Decision.Missing, err, says)
		}
		if after.Text() != before.Text() || after.Decision.Payload != before.Decision.Payload ||
			after.Digest != before.Digest {
			t.Errorf("what the plan shows moved by what the forge says:\n%s\n%s", before.Text(),
				after.Text())
		}
		b.refused(t, req, shownBy(before), engine.ErrNotApproved, says)
	}
	// A policy names a forge, and none is configured.
	b.cfg.Forge = nil
	b.Engine = engine.New(b.cfg)
	b.refused(t, req, shownBy(before), engine.ErrNotApproved, "the forge was not asked")
}

func TestAttackForgeRemovedFromThePolicy(t *testing.T) {
	t.Parallel()
	b, forge := confirmed(t)
	forge.says.By = []string{"the-boss"}
	req := request("a")
	req.Given.By = boss
	if _, err := b.planned(t, req); err != nil {
		t.Fatal(err)
	}
	b.cfg.Policy.Forge, b.cfg.Forge = "", nil
	review, err := engine.New(b.cfg).Plan(t.Context(), req)
	if err != nil || !strings.Contains(strings.Join(review.Warnings, "\n"),
		"approvals were confirmed at the forge github acme/search, and now at none") {
		t.Errorf("warnings %q, %v", review.Warnings, err)
	}
}
