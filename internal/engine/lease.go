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

// An open execution is a lease on its target. Three figures belong together: a holder that can't be heard stops by
// itself before anybody else takes over, and a beat may be late or lost without harm.
const (
	// beatEvery is how often a holder renews its hold.
	beatEvery = 10 * time.Second
	// holdPatience is how long a holder works on without being able to renew it.
	holdPatience = time.Minute
	// leaseTerm is for how long nothing may have been heard of a holder whose process can't be looked at, before it is
	// taken for gone.
	leaseTerm = 90 * time.Second
)

// hold renews the run's hold on rec until the function that it returns is called. The context that it returns ends with
// playbook.ErrTakenOver once another process holds rec, and with ErrLease when the journal couldn't be reached for too
// long.
func (r *run) hold(ctx context.Context, rec journal.Record) (context.Context, context.CancelFunc) {
	// Beats go on while the work is being stopped: the target is not free before that is over.
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, lose := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.beat(beating, rec, lose)
	}()
	return ctx, func() { stop(); <-stopped; lose(context.Canceled) }
}

// beat renews the hold on rec until ctx ends, and calls lose when it is lost.
func (r *run) beat(ctx context.Context, rec journal.Record, lose context.CancelCauseFunc) {
	clk := r.engine.cfg.Clock
	heard := clk.Now()
	for clk.Sleep(ctx, beatEvery) == nil {
		// Others may have seen the beat since the moment that it was sent.
		began := clk.Now()
		err := r.beatWithin(ctx, rec, max(holdPatience-began.Sub(heard), beatEvery))
		switch {
		case err == nil:
			heard = began
		case ctx.Err() != nil:
			return
		case errors.Is(err, journal.ErrFenced), errors.Is(err, journal.ErrClosed):
			lose(errors.Join(playbook.ErrTakenOver, err))
			return
		case clk.Now().Sub(heard) >= holdPatience:
			lose(leaseProblem(rec, err))
			return
		}
	}
}

// beatWithin gives up in time for the work to be stopped before anybody else takes over.
func (r *run) beatWithin(ctx context.Context, rec journal.Record, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.store.Beat(ctx, rec.Lease())
}

func leaseProblem(rec journal.Record, cause error) error {
	return &problem.Problem{
		What: "The hold on " + rec.Subject.Target + " could not be renewed", Err: errors.Join(ErrLease, cause),
		Why:  fmt.Sprintf("The journal could not be written for %s: %s.", holdPatience, cause),
		Next: "The work was stopped, since another process may take the target over. Make the journal writable again.",
	}
}

// silence is what an observer knows of a holder whose process it can't look at: since when, by the observer's own
// clock, nothing has been heard of it.
type silence struct {
	hold  journal.Lease
	beats int64
	since time.Time
}

// gone tells why the holder of rec is taken for gone; empty where it is not. A process of this host is looked at. One
// that can't be is known by its beats.
func (r *run) gone(ctx context.Context, rec journal.Record, heard *silence) (string, error) {
	if rec.Holder == r.engine.cfg.Self {
		// The caller has the target to itself in this process, so what the process left open is nobody's.
		return "it is this process, which left it open", nil
	}
	switch rec.Holder.Liveness() {
	case proc.Alive:
		return "", nil
	case proc.Dead:
		return "its process is gone", nil
	}
	pulse, err := r.store.Pulse(ctx, rec.ID)
	if err != nil {
		return "", err
	}
	now := r.engine.cfg.Clock.Now()
	if heard.hold != rec.Lease() || heard.beats != pulse.Beats {
		*heard = silence{hold: rec.Lease(), beats: pulse.Beats, since: now}
	}
	if now.Sub(heard.since) < leaseTerm {
		return "", nil
	}
	if pulse.At.IsZero() {
		return fmt.Sprintf("nothing was heard of it for %s", leaseTerm), nil
	}
	return fmt.Sprintf("nothing was heard of it for %s, after %s", leaseTerm, pulse.At.Format(time.RFC3339)), nil
}

// takeOver makes this process the holder of rec. The holder of before can append nothing from then on.
func (r *run) takeOver(ctx context.Context, rec journal.Record, why string) (journal.Record, error) {
	return r.store.Append(ctx, rec.Lease(), journal.KindTakeover,
		journal.Takeover{Holder: r.engine.cfg.Self, Reason: why})
}

// elsewhere is for a process that learns that it no longer holds x. Whoever does records the outcome.
func (r *run) elsewhere(ctx context.Context, x Execution, cause error) (Execution, error) {
	why := fmt.Sprintf("Another process took execution %d over: nothing had been heard of this one.", x.Record.ID)
	if now, err := r.store.Get(context.WithoutCancel(ctx), x.Record.ID); err == nil {
		x.Record = now
		why = fmt.Sprintf("%s took execution %d over: nothing had been heard of this process. It is %q now.",
			now.Holder, now.ID, now.Status)
	}
	return x, &problem.Problem{
		What: "The hold on " + x.Record.Subject.Target + " was lost", Why: why, Err: errors.Join(playbook.ErrTakenOver,
			cause),
		Next: "This process touches the target no more and records nothing. The history tells what came of the " +
			"execution.",
	}
}

// overtakenByOthers tells whether err is about a record that another process took over, or brought to its end.
func overtakenByOthers(err error) bool {
	return errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrClosed) ||
		errors.Is(err, playbook.ErrTakenOver)
}
