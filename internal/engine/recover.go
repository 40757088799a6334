package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// A waiting apply checks whether the target is free after firstPoll, then at doubling intervals up to busyPoll.
const (
	firstPoll = 50 * time.Millisecond
	busyPoll  = time.Second
)

// busyTimeout is how long an apply waits for a busy target that can't be previewed: without a preview, there is no
// estimate to derive the time from.
const busyTimeout = 10 * time.Minute

// awaitTarget returns once no execution is open on the target or on anything else that this one would lock. It waits
// for executions of live processes and adopts those of dead ones. An adopted execution of the same request is the
// outcome of this apply: nothing runs twice. If its outcome can't be determined, the apply is refused until triggers
// change.
func (r *run) awaitTarget(ctx context.Context, about journal.Subject) (Execution, error) {
	if err := r.refuseUnknown(ctx, about); err != nil {
		return Execution{}, err
	}
	if r.req.page.ReadOnly {
		return Execution{}, r.closeReadings(ctx, about)
	}
	var heard lastHeard
	var giveUp time.Time
	waited := false
	for poll := firstPoll; ; poll = min(poll+poll, busyPoll) {
		rec, ok, err := blocking(ctx, r.store, about.Target, r.locks)
		if err != nil {
			return Execution{}, err
		}
		if !ok {
			if f, keeps := r.action.(playbook.Invalidator); keeps && waited {
				f.Invalidate() // another execution has changed what it cached
			}
			return Execution{}, r.readEarlier(ctx, about) // the outcome of an adopted or awaited execution is known now
		}
		if !waited {
			logging.Info(ctx, logging.Engine, "waiting for another execution", "target", about.Target,
				"execution", rec.ID,
				"holder", rec.Holder.String())
		}
		waited = true
		x, adopted, err := r.recoverOrphan(ctx, about, rec, &heard)
		if adopted {
			mine := r.sameRun(rec, about)
			switch {
			case overtakenByOthers(err):
				continue // another process adopts it; wait for that
			case mine && !errors.Is(err, playbook.ErrNeverBegan) && !errors.Is(err, playbook.ErrPartway):
				return x, err
			case x.Record.Open():
				return Execution{}, err // it is still open, so the target is not free
			}
			continue
		}
		if err != nil {
			return Execution{}, err
		}
		now := r.engine.cfg.Clock.Now()
		if giveUp.IsZero() {
			giveUp = now.Add(r.waitTimeout(ctx))
		}
		if !now.Before(giveUp) {
			return Execution{}, r.busyProblem(ctx, about, rec)
		}
		if err := r.engine.cfg.Clock.Sleep(ctx, poll); err != nil {
			return Execution{}, err
		}
	}
}

// closeReadings ends open executions of a playbook that only reads, if their processes are gone or have passed their
// deadlines. Nothing waits for them, and this apply reads again. Those of other requests are ended, too: nobody may
// request them again, for example because a wait was changed.
func (r *run) closeReadings(ctx context.Context, about journal.Subject) error {
	open, err := r.store.Find(ctx, journal.Filter{Playbook: about.Playbook, Open: true})
	if err != nil {
		return err
	}
	for _, rec := range open {
		why, err := r.holderGone(ctx, rec, &lastHeard{})
		if err == nil && why == "" && r.engine.cfg.Clock.Now().After(rec.Intent.Deadline.Add(leaseTerm)) {
			why = "its deadline has passed"
		}
		if err != nil || why == "" || rec.Holder == r.engine.cfg.Self || rec.Intent.Origin != nil {
			continue
		}
		_, err = r.adopt(ctx, rec, why)
		if own := rec.Subject.Request == about.Request; own && !errors.Is(err, playbook.ErrNeverBegan) &&
			!overtakenByOthers(err) {
			return err
		}
	}
	return r.readEarlier(ctx, about)
}

// blocking returns an open execution that excludes an execution on target with these locks, if there is one.
func blocking(ctx context.Context, store journal.Store, target string, locks []string) (journal.Record, bool, error) {
	open, err := store.Find(ctx, journal.Filter{Open: true})
	if err != nil {
		return journal.Record{}, false, err
	}
	for _, rec := range open {
		if rec.Excludes(target, locks) {
			return rec, true, nil
		}
	}
	return journal.Record{}, false, nil
}

// recoverOrphan adopts rec if its holder is gone, and reports whether it did.
func (r *run) recoverOrphan(ctx context.Context, about journal.Subject, rec journal.Record,
	heard *lastHeard) (Execution, bool, error) {
	if rec.Subject.Target != about.Target {
		release, ok := r.engine.targets.try(rec.Subject.Target)
		if !ok {
			return Execution{}, false, nil // this process works on it
		}
		defer release()
	}
	why, err := r.holderGone(ctx, rec, heard)
	if err != nil || why == "" {
		return Execution{}, false, err
	}
	if o := rec.Intent.Origin; o != nil {
		return Execution{}, false, &problem.Problem{
			What: fmt.Sprintf("The merge of execution %s into the journal was interrupted", o.Execution),
			Why:  fmt.Sprintf("Entry %d lacks its outcome, which the other journal has.", rec.ID),
			Next: "Nothing has run. Run journal merge again with the same file.",
			Err:  ErrOutcome,
		}
	}
	x, err := r.adopt(ctx, rec, why)
	return x, true, err
}

// waitTimeout returns how long this apply waits for a busy target: the configured timeout, or as long as its own work
// may take, and long enough to notice that a holder on another host is gone.
func (r *run) waitTimeout(ctx context.Context) time.Duration {
	if r.req.Timeout != 0 {
		return r.req.Timeout
	}
	review, err := r.engine.look(ctx, r.req, r.action, r.link())
	if err != nil {
		return busyTimeout
	}
	return max(review.Expected, leaseTerm+heartbeatInterval)
}

func (r *run) busyProblem(ctx context.Context, about journal.Subject, rec journal.Record) error {
	busy := &journal.BusyError{Record: rec}
	why := busy.Error() + "."
	if pulse, err := r.store.Pulse(ctx, rec.ID); err == nil && !pulse.At.IsZero() {
		why += fmt.Sprintf(" Its last heartbeat was at %s.", pulse.At.Format(time.RFC3339))
	}
	if rec.Subject.Target != about.Target {
		why += fmt.Sprintf(" It works on what %s refers to.", about.Target)
	}
	return &problem.Problem{
		What: fmt.Sprintf("Another execution has locked %s", rec.Subject.Target), Why: why,
		Next: fmt.Sprintf("Nothing has run. Wait until it ends and apply again. If its process no longer exists, an "+
			"apply that sees no heartbeat for %s takes the execution over.", leaseTerm),
		Err: errors.Join(ErrBusy, busy),
	}
}

// adopt determines the outcome of an execution whose process died: it adopts the work if it can be found, and otherwise
// records that the outcome is unknown. It never sends anything again.
func (r *run) adopt(ctx context.Context, rec journal.Record, why string) (Execution, error) {
	x := Execution{Record: rec, Adopted: true, Earlier: r.before(rec.ID)}
	x.TookOver = fmt.Sprintf("%s, which started it at %s (%s)", rec.Holder, rec.CreatedAt.Format(time.RFC3339), why)
	action, err := r.engine.Bind(Request{ActionType: rec.Subject.Playbook, Params: rec.Intent.Params})
	if err != nil {
		return x, fmt.Errorf("adopt execution %d: %w", rec.ID, err)
	}
	if rec, err = r.takeOver(ctx, rec, why); err != nil {
		return x, err
	}
	x.Record = rec
	ctx, path, done := r.engine.openLog(ctx, rec)
	defer done()
	ctx, stopHeartbeat := r.heartbeat(ctx, rec)
	defer stopHeartbeat()
	past := *r
	past.action, past.observe, past.logPath = action, func(Execution) {}, path
	watched := past.watch(rec)
	r.engine.reached(ctx, PointAdopt, rec)
	work, err := action.Adopt(ctx, watched.guard(r.engine.job(rec, storedPreview(rec), r.store)))
	r.engine.reached(ctx, PointAdopted, rec)
	switch {
	case errors.Is(err, playbook.ErrNeverBegan), errors.Is(err, playbook.ErrPartway):
		var reached playbook.Report
		if stopped, ok := work.(playbook.Stopped); ok {
			reached = stopped.Reached()
		}
		x, concluded := past.conclude(ctx, x, ending{journal.StatusCancelled, reached, err})
		return x, errors.Join(concluded, err)
	case interrupted(ctx, err):
		return x, err
	case errors.Is(err, playbook.ErrLater):
		return x, laterProblem(rec, err)
	case err != nil:
		return past.conclude(ctx, x, ending{journal.StatusUnknown, playbook.Report{}, err})
	}
	if rec.Status == journal.StatusPending {
		// Its process died before the name was durable. The work continues, and needs a name to journal progress.
		named := journal.Dispatch{RemoteID: work.RemoteID()}
		if rec, err = r.store.Append(context.WithoutCancel(ctx), rec.Lease(), journal.KindDispatch, named); err != nil {
			return x, err
		}
		x.Record = rec
	}
	ctx, cancel := r.withDeadline(ctx, rec.Intent.Deadline)
	defer cancel()
	defer r.pastEstimate(ctx, rec)()
	return past.finish(ctx, x, watched.over(work))
}

// laterProblem returns the error for an execution that stays open because its target doesn't answer.
func laterProblem(rec journal.Record, cause error) error {
	p := *problem.Of(cause, "The target does not answer")
	p.Why = p.What + ". " + p.Why
	p.What = fmt.Sprintf("The outcome of execution %d can't be determined yet", rec.ID)
	p.Next = "Nothing has run now, and the execution stays open. Apply again when the target answers. " + p.Next
	p.Err = errors.Join(playbook.ErrLater, cause)
	return &p
}

// before returns the request's executions before id.
func (r *run) before(id int64) []journal.Record {
	return slices.DeleteFunc(slices.Clone(r.earlier), func(rec journal.Record) bool { return rec.ID >= id })
}

func storedPreview(rec journal.Record) playbook.Preview {
	was, err := decoded(rec)
	if err != nil {
		return playbook.Preview{}
	}
	return was.Preview
}

// refuseUnknown refuses to repeat a request whose last execution may have run, until its triggers change.
func (r *run) refuseUnknown(ctx context.Context, about journal.Subject) error {
	last, err := r.newestSameRun(ctx, about)
	if err != nil || last.Status != journal.StatusUnknown {
		return err
	}
	why := fmt.Sprintf("Execution %d of %s, started at %s, may or may not have run.", last.ID, last.Subject.Playbook,
		last.CreatedAt.Format(time.RFC3339))
	if last.Result != nil {
		why += " " + last.Result.Message
	}
	return &problem.Problem{
		What: fmt.Sprintf("The outcome of execution %d is unknown", last.ID), Why: why,
		Next: "Nothing has run now. Check what happened on the target, then change triggers to run it again.",
		Path: []string{"triggers"}, Err: ErrOutcome,
	}
}

// searchedAtOnce is how many of a request's older executions are read at a time.
const searchedAtOnce = 100

// newestSameRun returns the newest execution of the request with these triggers, or the zero record. It also searches
// the executions that are too old for the history, because triggers can be set back to an earlier value.
func (r *run) newestSameRun(ctx context.Context, about journal.Subject) (journal.Record, error) {
	records, limit := r.earlier, r.engine.cfg.HistoryLimit
	for {
		for _, rec := range slices.Backward(records) {
			if r.sameRun(rec, about) {
				return rec, nil
			}
		}
		if len(records) < limit || len(records) == 0 || limit == 0 {
			return journal.Record{}, nil
		}
		limit = searchedAtOnce
		older := journal.Filter{Request: about.Request, Before: records[0].ID, Limit: limit}
		var err error
		if records, err = r.store.Find(ctx, older); err != nil {
			return journal.Record{}, err
		}
		if err := journal.Intact(records); err != nil {
			return journal.Record{}, err
		}
	}
}

// UndoRequest returns the request for the action that undoes an execution. The undo needs a separate approval if its
// playbook needs one.
func UndoRequest(execution journal.Ref, action journal.Undo) Request {
	return Request{
		ActionType: action.Type, Params: action.Params, Origin: Origin{Execution: execution},
		// The undo of one execution is a different request from the undo of the next one.
		Triggers: map[string]string{undoTrigger: execution.String()},
	}
}

// undoTrigger is the trigger of an undo. Its value is the identifier of the execution that is undone.
const undoTrigger = "undo_of_execution"

// UndoOf returns the identifier of the execution that the record undoes, or "".
func UndoOf(rec journal.Record) string { return rec.Intent.Triggers[undoTrigger] }

// Recall returns the review that rec ran on, as far as the journal contains it.
func Recall(rec journal.Record) Review {
	r := Review{
		ActionType: rec.Subject.Playbook, Target: rec.Subject.Target, Request: rec.Subject.Request,
		Digest: rec.Intent.Digest, IdentityHash: rec.Subject.Identity, ReadOnly: rec.Intent.ReadOnly,
	}
	decision := approval.Decision{
		Needed: rec.Intent.ApprovedBy != "", Granted: true, Shown: true, By: rec.Intent.ApprovedBy,
		Payload: rec.Intent.Payload,
	}
	if was, err := decoded(rec); err == nil {
		r.restore(rec, was)
		r.ContentHash = was.ContentHash
		decision.Needed, decision.Reasons = was.Approval.Needed, was.Approval.Reasons
	}
	r.Record, r.Deadline = rec.Intent.Record, rec.Intent.Deadline.Sub(rec.CreatedAt)
	if r.Expected == 0 {
		r.Expected = r.Deadline
	}
	r.Decision = decision
	return r
}
