package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

var errClosed = errors.New("the index is closed")

// TestTargetThatADeadExecutionLeftUnreadable covers the plan that can't read the target, the apply that adopts the
// execution, and the next plan.
func TestTargetThatADeadExecutionLeftUnreadable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*engine.Request){
		"the same request": func(*engine.Request) {},
		"new triggers":     func(r *engine.Request) { r.Triggers = map[string]string{"run": "2"} },
		"another incident": func(r *engine.Request) { r.Incident = "INC-2" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			left := b.leave(t, request("a"), dead(), true)
			b.fake.previewErr = errClosed
			req := request("a")
			change(&req)
			b.cfg.Terraform = proc.Terraform{Session: "later"}
			for range 2 { // the plan, and the plan inside its apply
				review, err := engine.New(b.cfg).Plan(t.Context(), req)
				if err != nil || !review.Unseen || review.Digest != "" || review.Target != "fake:a" {
					t.Fatalf("review %+v, error %v", review, err)
				}
				warning := strings.Join(review.Warnings, "\n")
				for _, want := range []string{"Execution 2 of fake is still open", left.Holder.String(),
					"the index is closed", "apply first adopts"} {
					if !strings.Contains(warning, want) {
						t.Errorf("the warning lacks %q: %s", want, warning)
					}
				}
			}
			b.fake.adopt = playbook.ErrNeverBegan // the target can be read after the adoption
			b.fake.previewErr = nil
			if _, err := b.apply(t, req); err != nil {
				t.Fatal(err)
			}
			if rec, err := b.store.Get(t.Context(), left.ID); err != nil || rec.Open() {
				t.Errorf("left open: %+v, %v", rec, err)
			}
			b.fake.previewErr = errClosed
			if _, err := b.Plan(t.Context(), req); !errors.Is(err, errClosed) {
				t.Errorf("nothing is open, so the plan has to fail: %v", err)
			}
		})
	}
}

func TestUnreadableTargetIsAnErrorIfNothingIsOpenOnIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.leave(t, request("b"), dead(), true)
	b.fake.previewErr = errClosed
	if _, err := b.Plan(t.Context(), request("a")); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
	broken := newBench(t, func(c *engine.Config) {
		c.Journal = func(context.Context) (journal.Store, error) { return nil, errBoom }
	})
	broken.fake.previewErr = errClosed
	if _, err := broken.Plan(t.Context(), request("a")); !errors.Is(err, errClosed) {
		t.Errorf("without a journal: %v", err)
	}
}

// TestTargetThatWasReadAtPlanMustBeReadWithinApply: Terraform refuses an unknown value if plan had a known one.
func TestTargetThatWasReadAtPlanMustBeReadWithinApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.leave(t, request("a"), dead(), true) // makes a plan, too
	b.fake.previewErr = errClosed
	b.cfg.Terraform = savedPlan()
	_, err := engine.New(b.cfg).Plan(t.Context(), request("a"))
	if !errors.Is(err, errClosed) || !strings.Contains(err.Error(), "Plan again") {
		t.Errorf("got %v", err)
	}
	b.cfg.Terraform = proc.Terraform{Session: "new"}
	if review, err := engine.New(b.cfg).Plan(t.Context(), request("a")); err != nil || !review.Unseen {
		t.Errorf("a new plan: %+v, %v", review, err)
	}
}
