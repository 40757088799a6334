package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// overlapping is a bench on which the alias refers to two indices, one of which is also requested by its own name.
func overlapping(t *testing.T, change ...func(*engine.Config)) *bench {
	t.Helper()
	b := newBench(t, change...)
	b.fake.locks = map[string][]string{"alias": {"fake:index-1", "fake:index-2"}, "index-2": {"fake:index-2"}}
	return b
}

// TestNamesOfOneTargetNeverRunTogether applies under both names in one process, several times each and concurrently.
func TestNamesOfOneTargetNeverRunTogether(t *testing.T) {
	t.Parallel()
	b := overlapping(t, func(c *engine.Config) { c.Clock = clock.System{} })
	var inside, most atomic.Int64
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		time.Sleep(20 * time.Millisecond) // long enough for the others to arrive
		return playbook.Report{Message: "done"}, nil
	}
	const each = 4
	var all sync.WaitGroup
	for _, name := range []string{"alias", "index-2"} {
		for i := range each {
			all.Go(func() {
				req := request(name)
				req.Triggers = map[string]string{"run": strings.Repeat("x", i)}
				if _, err := b.Apply(t.Context(), req, nil, func(engine.Execution) {}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	all.Wait()
	if most.Load() != 1 || b.fake.count("dispatch") != 2*each || b.fake.count("adopt") != 0 {
		t.Errorf("%d at once; calls %v", most.Load(), b.fake.calls)
	}
}

func TestHolderUnderAnotherName(t *testing.T) {
	t.Parallel()
	for name, names := range map[string][2]string{"an index of the alias": {"alias", "index-2"},
		"an alias of the index": {"index-2", "alias"}} {
		for _, tt := range []struct {
			what    string
			holder  proc.Identity
			settled bool
		}{{"alive", other(), false}, {"dead", dead(), true}, {"left open by this process", proc.Self(), true}} {
			t.Run(name+" held by one that is "+tt.what, func(t *testing.T) {
				t.Parallel()
				b := overlapping(t)
				left := b.leave(t, request(names[0]), tt.holder, true)
				_, err := b.apply(t, request(names[1]))
				now, getErr := b.store.Get(t.Context(), left.ID)
				if getErr != nil {
					t.Fatal(getErr)
				}
				if !tt.settled {
					if !errors.Is(err, engine.ErrBusy) || !strings.Contains(err.Error(),
						"It works on what fake:"+names[1]+" refers to") || !now.Open() ||
						b.fake.count("dispatch") != 0 {
						t.Errorf("got %v, record %+v, calls %v", err, now, b.fake.calls)
					}
					return
				}
				if err != nil || now.Status != journal.StatusSuccess || b.fake.count("adopt") != 1 ||
					b.fake.count("dispatch") != 1 || b.fake.count("forget") == 0 {
					t.Errorf("got %v, record %+v, calls %v", err, now, b.fake.calls)
				}
			})
		}
	}
}

// TestUnreadableUnderAnotherName plans and applies under one name what a dead execution under the other name left
// unreadable.
func TestUnreadableUnderAnotherName(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{{"alias", "index-2"}, {"index-2", "alias"}} {
		b := overlapping(t)
		left := b.leave(t, request(names[0]), dead(), true)
		b.fake.previewErr = errClosed
		review, err := b.Plan(t.Context(), request(names[1]))
		if err != nil || !review.Unseen {
			t.Errorf("%s: review %+v, %v", names[1], review, err)
		}
		// The adoption opens it.
		b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
			b.fake.previewErr = nil
			return playbook.Report{Message: "open again"}, nil
		}
		if _, err := b.apply(t, request(names[1])); err != nil {
			t.Errorf("%s: %v", names[1], err)
		}
		if now, err := b.store.Get(t.Context(), left.ID); err != nil || now.Status != journal.StatusSuccess {
			t.Errorf("left %+v, %v", now, err)
		}
	}
}
