package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// TestClockJumpsInTheMiddleOfAnExecution sets the clock forward and back during the work: the execution is not
// considered overdue, its lease is not lost, and the records keep their order.
func TestClockJumpsInTheMiddleOfAnExecution(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"forward": 30 * time.Hour, "back": -30 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
				if err := job.Checkpoint(ctx, 1); err != nil {
					return playbook.Report{}, err
				}
				b.clock.jump(jump)
				const beats = 3
				for range beats {
					if err := job.Checkpoint(ctx, beats); err != nil {
						return playbook.Report{}, err
					}
				}
				return playbook.Report{Message: "done"}, context.Cause(ctx)
			}
			var ids []int64
			for range 3 {
				x, err := b.apply(t, request("a"))
				if err != nil || x.Record.Status != journal.StatusSuccess || x.Record.Result.ActualDuration < 0 {
					t.Fatalf("record %+v, error %v", x.Record, err)
				}
				ids = append(ids, x.Record.ID)
			}
			found, err := b.store.Find(t.Context(), journal.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, rec := range found {
				got = append(got, rec.ID)
			}
			if !slices.Equal(got, ids) {
				t.Errorf("records %v, made %v", got, ids)
			}
		})
	}
}

// TestClockJumpDoesNotFreeATargetOfALivingProcess: what counts is whether the process is alive, not its deadline.
func TestClockJumpDoesNotFreeATargetOfALivingProcess(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{30 * time.Hour, -30 * time.Hour} {
		b := newBench(t)
		b.leave(t, request("a"), other(), true)
		b.clock.jump(jump)
		if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrBusy) || b.fake.count("adopt") != 0 {
			t.Errorf("after %s: %v", jump, err)
		}
	}
}
