package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// An open execution is a lease on its target. These durations depend on each other: a holder that can't renew its lease
// stops before any other process takes over, and a late or lost heartbeat does no harm.
const (
	// heartbeatInterval is how often a holder renews its lease.
	heartbeatInterval = 10 * time.Second
	// renewTimeout is how long a holder continues to work while it can't renew its lease.
	renewTimeout = time.Minute
	// leaseTerm is how long a holder on another host may be silent before another process takes its execution over.
	leaseTerm = 90 * time.Second
)

// heartbeat renews the lease on rec until the returned function is called. The returned context ends with
// playbook.ErrTakenOver when another process holds rec, with ErrLease when the journal could not be written for
// renewTimeout, and with ErrCancel when somebody asks the execution to stop.
func (r *run) heartbeat(ctx context.Context, rec journal.Record) (context.Context, context.CancelFunc) {
	// Heartbeats continue while the work is being stopped: the target is not free until it has stopped.
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, lose := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.renew(beating, rec, lose)
	}()
	return ctx, func() { stop(); <-stopped; lose(context.Canceled) }
}

// renew renews the lease on rec until ctx ends, and calls lose when the lease is lost or somebody asks the execution to
// stop.
func (r *run) renew(ctx context.Context, rec journal.Record, lose context.CancelCauseFunc) {
	clk := r.engine.cfg.Clock
	heard := clk.Now()
	for clk.Sleep(ctx, heartbeatInterval) == nil {
		// Other processes may have seen the heartbeat from the moment it was sent.
		began := clk.Now()
		err := r.renewWithin(ctx, rec, max(renewTimeout-began.Sub(heard), heartbeatInterval))
		switch {
		case err == nil:
			heard = began
			r.obeyCancel(ctx, rec, lose)
		case ctx.Err() != nil:
			return
		case errors.Is(err, journal.ErrFenced), errors.Is(err, journal.ErrClosed):
			lose(errors.Join(playbook.ErrTakenOver, err))
			return
		case clk.Now().Sub(heard) >= renewTimeout:
			lose(leaseProblem(rec, err))
			return
		}
	}
}

// renewWithin renews the lease, and gives up at the timeout: the work must stop before another process takes over.
func (r *run) renewWithin(ctx context.Context, rec journal.Record, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.store.Beat(ctx, rec.Lease())
}

func leaseProblem(rec journal.Record, cause error) error {
	return &problem.Problem{
		What: "The lease on " + rec.Subject.Target + " could not be renewed", Err: errors.Join(ErrLease, cause),
		Why:  fmt.Sprintf("The journal could not be written for %s: %s.", renewTimeout, cause),
		Next: "The work was stopped, because another process may now take over. Make the journal writable again.",
	}
}

// lastHeard is what an observer knows about a holder on another host: when its newest heartbeat was first seen, by the
// observer's own clock.
type lastHeard struct {
	lease journal.Lease
	beats int64
	since time.Time
}

// holderGone returns why the holder of rec counts as gone, or "" while it may be alive. A process on this host is
// looked up; one on another host is judged by its heartbeats.
func (r *run) holderGone(ctx context.Context, rec journal.Record, heard *lastHeard) (string, error) {
	if rec.Holder == r.engine.cfg.Self {
		// The caller has the target to itself in this process, so nothing here works on that execution anymore.
		return "this process left it open", nil
	}
	switch rec.Holder.Liveness() {
	case proc.Alive:
		return "", nil
	case proc.Dead:
		return "its process has ended", nil
	}
	pulse, err := r.store.Pulse(ctx, rec.ID)
	if err != nil {
		return "", err
	}
	now := r.engine.cfg.Clock.Now()
	if heard.lease != rec.Lease() || heard.beats != pulse.Beats {
		*heard = lastHeard{lease: rec.Lease(), beats: pulse.Beats, since: now}
	}
	if now.Sub(heard.since) < leaseTerm {
		return "", nil
	}
	if pulse.At.IsZero() {
		return fmt.Sprintf("no heartbeat for %s", leaseTerm), nil
	}
	return fmt.Sprintf("no heartbeat for %s since %s", leaseTerm, pulse.At.Format(time.RFC3339)), nil
}

// takeOver makes this process the holder of rec. The previous holder can append nothing after that.
func (r *run) takeOver(ctx context.Context, rec journal.Record, why string) (journal.Record, error) {
	return r.store.Append(ctx, rec.Lease(), journal.KindTakeover,
		journal.Takeover{Holder: r.engine.cfg.Self, Reason: why})
}

// elsewhere ends an apply whose execution another process took over. That process records the outcome.
func (r *run) elsewhere(ctx context.Context, x Execution, cause error) (Execution, error) {
	why := fmt.Sprintf("Another process took over execution %d, because it saw no heartbeat from this one.",
		x.Record.ID)
	if now, err := r.store.Get(context.WithoutCancel(ctx), x.Record.ID); err == nil {
		x.Record = now
		why = fmt.Sprintf("%s took over execution %d, because it saw no heartbeat from this process. Its status is %q.",
			now.Holder, now.ID, now.Status)
	}
	return x, &problem.Problem{
		What: "The lease on " + x.Record.Subject.Target + " was lost", Why: why, Err: errors.Join(playbook.ErrTakenOver,
			cause),
		Next: "This process has stopped changing the target and records nothing more. See the history for the outcome.",
	}
}

// overtakenByOthers reports whether another process took the record over, or ended it.
func overtakenByOthers(err error) bool {
	return errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrClosed) ||
		errors.Is(err, playbook.ErrTakenOver)
}
