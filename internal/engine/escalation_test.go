package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// TestEveryKindOfFailureEscalates covers the ways in which an execution can end without success.
func TestEveryKindOfFailureEscalates(t *testing.T) {
	t.Parallel()
	works := func(err error) func(context.Context, playbook.Job) (playbook.Report, error) {
		return func(context.Context, playbook.Job) (playbook.Report, error) { return playbook.Report{}, err }
	}
	for name, tt := range map[string]struct {
		wait func(context.Context, playbook.Job) (playbook.Report, error)
		want journal.Status
	}{
		"failed": {works(errBoom), journal.StatusFailed},
		"held": {works(&guard.Verdict{Call: guard.Hold, Reading: guard.Reading{State: guard.Breached}}),
			journal.StatusCancelled},
		"unknown": {works(playbook.ErrUncertain), journal.StatusUnknown},
		"stopped": {func(ctx context.Context, _ playbook.Job) (playbook.Report, error) {
			<-ctx.Done()
			return playbook.Report{}, context.Cause(ctx)
		}, journal.StatusCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fake.wait = tt.wait
			for _, step := range []string{"a", "b", "c"} {
				ctx, cancel := context.WithCancel(t.Context())
				if name == "stopped" {
					cancelWhenRunning(b, cancel)
				}
				x, err := b.Apply(ctx, request(step), nil, func(engine.Execution) {})
				cancel()
				if err == nil || x.Record.Status != tt.want {
					t.Fatalf("%s: %s, %v", step, x.Record.Status, err)
				}
			}
			if _, err := b.apply(t, request("d")); !errors.Is(err, engine.ErrNotApproved) {
				t.Errorf("a fourth execution without an approval: %v", err)
			}
			b.fake.wait = nil
			approved := request("d")
			approved.Given.By = "lead@example.com"
			review, err := b.Plan(t.Context(), approved)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Apply(t.Context(), approved, shownBy(review), func(engine.Execution) {}); err != nil {
				t.Errorf("the fourth, approved: %v", err)
			}
		})
	}
}

// cancelWhenRunning cancels an apply once its work runs.
func cancelWhenRunning(b *bench, cancel context.CancelFunc) {
	before := b.fake.count("wait")
	go func() {
		for b.fake.count("wait") == before {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
}
