package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// elsewhere is a process on another host.
func elsewhere() proc.Identity {
	return proc.Identity{Host: "runner-3", PID: 7, Started: 1, Boot: "x"}
}

// leases is a journal whose leases behave as a test says.
type leases struct {
	journal.Store
	// alive makes the holder renew its lease between any two reads of it.
	alive bool
	// beat is the result of a heartbeat.
	beat  func() error
	beats atomic.Int64
}

func (l *leases) Pulse(ctx context.Context, id int64) (journal.Pulse, error) {
	if l.alive {
		return journal.Pulse{Beats: l.beats.Add(1), At: time.Unix(1, 0).UTC()}, nil
	}
	return l.Store.Pulse(ctx, id)
}

func (l *leases) Beat(ctx context.Context, lease journal.Lease) error {
	l.beats.Add(1)
	if l.beat != nil {
		return l.beat()
	}
	return l.Store.Beat(ctx, lease)
}

func TestHolderElsewhereIsJudgedByItsHeartbeats(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		alive   bool
		timeout time.Duration
		taken   bool
	}{
		"it beats":                         {alive: true},
		"nothing is heard of it":           {taken: true},
		"the apply can't wait long enough": {timeout: 10 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			left := b.leave(t, request("a"), elsewhere(), true)
			b.store = &leases{Store: b.store, alive: tt.alive}
			b.Engine = engine.New(b.cfg)
			req := request("a")
			req.Timeout = tt.timeout
			began := b.clock.Now()
			x, err := b.apply(t, req)
			if !tt.taken {
				if !errors.Is(err, engine.ErrBusy) || !strings.Contains(err.Error(), "process 7 on runner-3") ||
					b.fake.count("adopt")+b.fake.count("dispatch") != 0 {
					t.Fatalf("got %v, calls %v", err, b.fake.calls)
				}
				return
			}
			if err != nil || !x.Adopted || x.Record.ID != left.ID || x.Record.Token != left.Token+1 ||
				x.Record.Holder != proc.Self() {
				t.Fatalf("got %+v, %v", x.Record, err)
			}
			if waited := b.clock.Now().Sub(began); waited < 90*time.Second {
				t.Errorf("taken over after %s", waited)
			}
			from := x.Record.Result.Details["taken_over_from"]
			for _, part := range []string{"process 7 on runner-3", left.CreatedAt.Format(time.RFC3339),
				"no heartbeat"} {
				if !strings.Contains(from, part) {
					t.Errorf("taken over from %q, which lacks %q", from, part)
				}
			}
		})
	}
}

// TestClockJumpsCauseNoTakeover sets the observer's clock forward and back; a holder on another host is judged by its
// heartbeats.
func TestClockJumpsCauseNoTakeover(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.leave(t, request("a"), elsewhere(), true)
	store := &leases{Store: b.store, alive: true}
	b.store = store
	b.Engine = engine.New(b.cfg)
	for _, jump := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		b.clock.jump(jump)
		if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("after %s: %v", jump, err)
		}
	}
	if n := b.fake.count("adopt"); n != 0 {
		t.Errorf("%d adoptions", n)
	}
}

// TestTakenOverWhileWorking lets another process take over the execution while it works: the work learns of it and
// changes nothing more, and the previous holder records nothing.
func TestTakenOverWhileWorking(t *testing.T) {
	t.Parallel()
	tests := map[string]func(ctx context.Context, job playbook.Job) error{
		"noticed at a checkpoint": func(ctx context.Context, job playbook.Job) error { return job.Checkpoint(ctx, 1) },
		"noticed at the end":      func(context.Context, playbook.Job) error { return nil },
		"noticed by a beat": func(ctx context.Context, _ playbook.Job) error {
			<-ctx.Done()
			return context.Cause(ctx)
		},
	}
	for name, notice := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &ticking{testClock: newTestClock()}
			b := newBench(t, func(c *engine.Config) { c.Clock = clock })
			var noticed error
			b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
				hold := journal.Lease{Execution: job.ID, Token: 1}
				if _, err := b.store.Append(ctx, hold, journal.KindTakeover,
					journal.Takeover{Holder: elsewhere()}); err != nil {
					return playbook.Report{}, err
				}
				noticed = notice(ctx, job)
				return playbook.Report{Message: "of the one that lost it"}, noticed
			}
			x, err := b.apply(t, request("a"))
			if !errors.Is(err, playbook.ErrTakenOver) || !strings.Contains(err.Error(), "process 7 on runner-3") {
				t.Errorf("got %v", err)
			}
			if noticed != nil && !errors.Is(noticed, playbook.ErrTakenOver) {
				t.Errorf("the work was told %v", noticed)
			}
			rec, err := b.store.Get(t.Context(), x.Record.ID)
			if err != nil || !rec.Open() || rec.Token != 2 || rec.Progress != nil || x.Record.Holder != elsewhere() {
				t.Errorf("journal %+v, execution %+v, %v", rec, x.Record, err)
			}
		})
	}
}

func TestLeaseIsRenewedWhileWorking(t *testing.T) {
	t.Parallel()
	clock := &ticking{testClock: newTestClock()}
	b := newBench(t, func(c *engine.Config) { c.Clock = clock })
	b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
		for {
			if p, err := b.store.Pulse(ctx, job.ID); err != nil || p.Beats > 2 {
				return playbook.Report{Message: "done"}, err
			}
		}
	}
	if _, err := b.apply(t, request("a")); err != nil {
		t.Fatal(err)
	}
}

// TestSlowHeartbeatCountsFromItsStart loses the lease before any other process may take over, even if the last
// heartbeat took a long time.
func TestSlowHeartbeatCountsFromItsStart(t *testing.T) {
	t.Parallel()
	const slow, others = 45 * time.Second, 90 * time.Second
	clock := &ticking{testClock: newTestClock()}
	b := newBench(t, func(c *engine.Config) { c.Clock = clock })
	var began, lost time.Time
	store := &leases{Store: b.store, beat: func() error {
		if began.IsZero() {
			began = clock.Now()
			clock.jump(slow)
			return nil
		}
		return errors.New("disk full")
	}}
	b.store = store
	b.Engine = engine.New(b.cfg)
	b.fake.wait = func(ctx context.Context, _ playbook.Job) (playbook.Report, error) {
		<-ctx.Done()
		lost = clock.Now()
		return playbook.Report{}, context.Cause(ctx)
	}
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrLease) {
		t.Errorf("got %v", err)
	}
	if after := lost.Sub(began); after <= slow || after >= others {
		t.Errorf("the work was stopped %s after the last beat began", after)
	}
}

// TestLeaseThatCannotBeRenewedStopsTheWork makes the journal fail: another process may soon take over.
func TestLeaseThatCannotBeRenewedStopsTheWork(t *testing.T) {
	t.Parallel()
	clock := &ticking{testClock: newTestClock()}
	b := newBench(t, func(c *engine.Config) { c.Clock = clock })
	store := &leases{Store: b.store, beat: func() error { return errors.New("disk full") }}
	b.store = store
	b.Engine = engine.New(b.cfg)
	b.fake.wait = func(ctx context.Context, _ playbook.Job) (playbook.Report, error) {
		<-ctx.Done()
		return playbook.Report{}, context.Cause(ctx)
	}
	x, err := b.apply(t, request("a"))
	if !errors.Is(err, engine.ErrLease) || !strings.Contains(err.Error(), "disk full") ||
		x.Record.Status != journal.StatusCancelled {
		t.Errorf("status %q, %v", x.Record.Status, err)
	}
	if n := store.beats.Load(); n < 2 {
		t.Errorf("given up after %d beats: one that fails is no reason", n)
	}
}

// ticking is a clock on which heartbeats are due at once, and deadlines never pass.
type ticking struct{ *testClock }

func (c *ticking) Sleep(ctx context.Context, d time.Duration) error {
	const beat, deadline = 10 * time.Second, time.Minute
	if d > deadline {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if d >= beat {
		c.jump(d)
	}
	return ctx.Err()
}
