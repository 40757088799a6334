package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// busyPoll is how often a waiting apply looks whether the target is free; it begins with firstPoll, which doubles.
const (
	firstPoll = 50 * time.Millisecond
	busyPoll  = time.Second
)

// busyPatience is how long an apply waits for a target that is too busy to be looked at, and so to tell a deadline.
const busyPatience = 10 * time.Minute

// clear sees to it that no execution is open on the target, nor on anything else that this one would hold. It waits for
// those of living processes and settles those of dead ones. When one of these was of just this request, it is the
// outcome of this apply: nothing is run twice. When such a one ended in a way that can't be known, the apply is refused
// until its triggers change.
func (r *run) clear(ctx context.Context, about journal.Subject) (Execution, error) {
	if err := r.refuseUnknown(about); err != nil {
		return Execution{}, err
	}
	var heard silence
	var giveUp time.Time
	waited := false
	for poll := firstPoll; ; poll = min(poll+poll, busyPoll) {
		rec, ok, err := inTheWay(ctx, r.store, about.Target, r.holds)
		if err != nil {
			return Execution{}, err
		}
		if !ok {
			if f, keeps := r.action.(playbook.Invalidator); keeps && waited {
				f.Invalidate() // others have changed what it remembers
			}
			return Execution{}, r.readEarlier(ctx, about) // what was settled or waited for has an outcome now
		}
		waited = true
		x, settled, err := r.settleGone(ctx, about, rec, &heard)
		if settled {
			mine := r.sameRun(rec, about)
			switch {
			case overtakenByOthers(err):
				continue // somebody else settles it; it is waited for
			case mine && !errors.Is(err, playbook.ErrNeverBegan) && !errors.Is(err, playbook.ErrPartway):
				return x, err
			case x.Record.Open():
				return Execution{}, err // it could not be settled, so the target is not free
			}
			continue
		}
		if err != nil {
			return Execution{}, err
		}
		now := r.engine.cfg.Clock.Now()
		if giveUp.IsZero() {
			giveUp = now.Add(r.patience(ctx))
		}
		if !now.Before(giveUp) {
			return Execution{}, r.busyProblem(ctx, about, rec)
		}
		if err := r.engine.cfg.Clock.Sleep(ctx, poll); err != nil {
			return Execution{}, err
		}
	}
}

// inTheWay returns an open execution that excludes one of target, which holds others beside it.
func inTheWay(ctx context.Context, store journal.Store, target string, holds []string) (journal.Record, bool, error) {
	open, err := store.Find(ctx, journal.Filter{Open: true}) // as many as run at this moment
	if err != nil {
		return journal.Record{}, false, err
	}
	for _, rec := range open {
		if rec.Excludes(target, holds) {
			return rec, true, nil
		}
	}
	return journal.Record{}, false, nil
}

// settleGone settles rec where its holder is gone, and tells whether it was.
func (r *run) settleGone(ctx context.Context, about journal.Subject, rec journal.Record,
	heard *silence) (Execution, bool, error) {
	if rec.Subject.Target != about.Target {
		release, ok := r.engine.targets.try(rec.Subject.Target)
		if !ok {
			return Execution{}, false, nil // somebody in this process works on it
		}
		defer release()
	}
	why, err := r.gone(ctx, rec, heard)
	if err != nil || why == "" {
		return Execution{}, false, err
	}
	x, err := r.settle(ctx, rec, why)
	return x, true, err
}

// patience is how long this apply waits for a busy target: as long as its own work may take, and long enough to tell
// that a holder elsewhere is gone.
func (r *run) patience(ctx context.Context) time.Duration {
	if r.req.Timeout != 0 {
		return r.req.Timeout
	}
	review, err := r.engine.look(ctx, r.req, r.action)
	if err != nil {
		return busyPatience
	}
	return max(review.Deadline, leaseTerm+beatEvery)
}

func (r *run) busyProblem(ctx context.Context, about journal.Subject, rec journal.Record) error {
	busy := &journal.BusyError{Record: rec}
	why := busy.Error() + "."
	if pulse, err := r.store.Pulse(ctx, rec.ID); err == nil && !pulse.At.IsZero() {
		why += fmt.Sprintf(" It was last heard of at %s.", pulse.At.Format(time.RFC3339))
	}
	if rec.Subject.Target != about.Target {
		why += fmt.Sprintf(" It works on what %s stands for.", about.Target)
	}
	return &problem.Problem{
		What: fmt.Sprintf("Another execution holds %s", rec.Subject.Target), Why: why,
		Next: fmt.Sprintf("Nothing has run. Wait for it to end and apply again. If that process is gone for good, an "+
			"apply that waits longer "+
			"than %s without hearing of it takes its execution over.", leaseTerm),
		Err: errors.Join(ErrBusy, busy),
	}
}

// settle brings an execution whose process died to its outcome: it adopts its work where that can be found, and records
// that it can't be known otherwise. It never sends anything again.
func (r *run) settle(ctx context.Context, rec journal.Record, why string) (Execution, error) {
	x := Execution{Record: rec, Adopted: true, Earlier: r.before(rec.ID)}
	x.TookOver = fmt.Sprintf("%s, which began it %s (%s)", rec.Holder, rec.CreatedAt.Format(time.RFC3339), why)
	action, err := r.engine.Bind(Request{ActionType: rec.Subject.Playbook, Params: rec.Intent.Params})
	if err != nil {
		return x, fmt.Errorf("settle execution %d: %w", rec.ID, err)
	}
	if rec, err = r.takeOver(ctx, rec, why); err != nil {
		return x, err
	}
	x.Record = rec
	ctx, letGo := r.hold(ctx, rec)
	defer letGo()
	past := *r
	past.action, past.observe = action, func(Execution) {}
	watched := past.watch(rec)
	r.engine.reached(PointAdopt)
	work, err := action.Adopt(ctx, watched.guard(r.engine.job(rec, storedPreview(rec), r.store)))
	r.engine.reached(PointAdopted)
	switch {
	case errors.Is(err, playbook.ErrNeverBegan), errors.Is(err, playbook.ErrPartway):
		x, concluded := past.conclude(ctx, x, ending{journal.StatusCancelled, playbook.Report{}, err})
		return x, errors.Join(concluded, err)
	case interrupted(ctx, err):
		return x, err
	case errors.Is(err, playbook.ErrLater):
		return x, laterProblem(rec, err)
	case err != nil:
		return past.conclude(ctx, x, ending{journal.StatusUnknown, playbook.Report{}, err})
	}
	if rec.Status == journal.StatusPending {
		// Its process died before the name was durable. The work goes on, and can journal its progress only once it has
		// one.
		named := journal.Dispatch{RemoteID: work.RemoteID()}
		if rec, err = r.store.Append(context.WithoutCancel(ctx), rec.Lease(), journal.KindDispatch, named); err != nil {
			return x, err
		}
		x.Record = rec
	}
	ctx, cancel := r.withDeadline(ctx, rec.Intent.Deadline)
	defer cancel()
	return past.finish(ctx, x, watched.over(work))
}

// laterProblem leaves an execution open whose target gives no answer.
func laterProblem(rec journal.Record, cause error) error {
	p := *problem.Of(cause, "The target gives no answer")
	p.Why = p.What + ". " + p.Why
	p.What = fmt.Sprintf("It can't be told now what came of execution %d", rec.ID)
	p.Next = "Nothing has run now, and the execution stays open: apply again once its target answers. " + p.Next
	p.Err = errors.Join(playbook.ErrLater, cause)
	return &p
}

// before are the request's earlier executions.
func (r *run) before(id int64) []journal.Record {
	return slices.DeleteFunc(slices.Clone(r.earlier), func(rec journal.Record) bool { return rec.ID >= id })
}

func storedPreview(rec journal.Record) playbook.Preview {
	var was shown
	if err := json.Unmarshal(rec.Intent.Preview, &was); err != nil {
		return playbook.Preview{}
	}
	was.Preview.Facts = was.Facts
	return was.Preview
}

// refuseUnknown refuses to run a request again whose last execution may have run. New triggers make it another one.
func (r *run) refuseUnknown(about journal.Subject) error {
	same := slices.DeleteFunc(slices.Clone(r.earlier), func(rec journal.Record) bool { return !r.sameRun(rec, about) })
	if len(same) == 0 || same[len(same)-1].Status != journal.StatusUnknown {
		return nil
	}
	last := same[len(same)-1]
	why := fmt.Sprintf("Execution %d of %s, begun %s, may or may not have run.", last.ID, last.Subject.Playbook,
		last.CreatedAt.Format(time.RFC3339))
	if last.Result != nil {
		why += " " + last.Result.Message
	}
	return &problem.Problem{
		What: fmt.Sprintf("It is not known what came of execution %d", last.ID), Why: why,
		Next: "Nothing has run now. Find out what happened on the target; then change triggers to run it again.",
		Path: []string{"triggers"}, Err: ErrOutcome,
	}
}

// UndoRequest asks for the action that takes an execution back. It needs an approval of its own where its playbook asks
// for one.
func UndoRequest(execution int64, action journal.Undo) Request {
	return Request{
		ActionType: action.Type, Params: action.Params,
		// Taking back one execution is another request than taking back the next one.
		Triggers: map[string]string{"undo_of_execution": strconv.FormatInt(execution, 10)},
	}
}

// Recall is the review on which rec ran, as far as the journal keeps it.
func Recall(rec journal.Record) Review {
	return Review{
		Preview: storedPreview(rec), ActionType: rec.Subject.Playbook, Target: rec.Subject.Target,
		Request: rec.Subject.Request,
		Digest:  rec.Intent.Digest, Deadline: rec.Intent.Deadline.Sub(rec.CreatedAt),
		Decision: approval.Decision{
			Needed: rec.Intent.ApprovedBy != "", Granted: true, Shown: true, By: rec.Intent.ApprovedBy,
			Payload: rec.Intent.Payload,
		},
	}
}
