package engine_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// passed is a point with the journal's records and the playbook's calls at that time.
type passed struct {
	Point      engine.Point
	Status     journal.Status
	RemoteID   string
	Dispatched int
}

func TestPointsAreReachedInOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		leave bool
		want  []passed
	}{
		"a run": {want: []passed{
			{engine.PointIntent, journal.StatusPending, "", 0},
			{engine.PointDispatch, journal.StatusPending, "", 0},
			{engine.PointDispatched, journal.StatusPending, "", 1},
			{engine.PointRemoteID, journal.StatusRunning, "remote-1", 1},
			{engine.PointProgress, journal.StatusRunning, "remote-1", 1},
			{engine.PointWaited, journal.StatusRunning, "remote-1", 1},
			{engine.PointOutcome, journal.StatusSuccess, "remote-1", 1},
		}},
		"an adoption": {leave: true, want: []passed{
			{engine.PointAdopt, journal.StatusRunning, "remote-of-the-dead", 0},
			{engine.PointAdopted, journal.StatusRunning, "remote-of-the-dead", 0},
			{engine.PointProgress, journal.StatusRunning, "remote-of-the-dead", 0},
			{engine.PointWaited, journal.StatusRunning, "remote-of-the-dead", 0},
			{engine.PointOutcome, journal.StatusSuccess, "remote-of-the-dead", 0},
		}},
	}
	listed := map[engine.Point]bool{}
	for _, tt := range tests {
		for _, p := range tt.want {
			listed[p.Point] = true
		}
	}
	for _, p := range engine.Points() {
		if !listed[p] {
			t.Errorf("%s is listed and never passed", p)
		}
		delete(listed, p)
	}
	if len(listed) > 0 {
		t.Errorf("not listed: %v", listed)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []passed
			var b *bench
			b = newBench(t, func(c *engine.Config) {
				c.Reached = func(p engine.Point) {
					found, err := b.store.Find(t.Context(), journal.Filter{Limit: 1})
					if err != nil || len(found) != 1 {
						t.Fatalf("at %s: %d records, error %v", p, len(found), err)
					}
					got = append(got, passed{p, found[0].Status, found[0].RemoteID, b.fake.count("dispatch")})
				}
			})
			if tt.leave {
				b.leave(t, request("a"), dead(), true)
			}
			b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
				return playbook.Report{Message: "done"}, job.Checkpoint(ctx, map[string]int{"step": 1})
			}
			if _, err := b.apply(t, request("a")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("points (-want +got):\n%s", diff)
			}
		})
	}
}
