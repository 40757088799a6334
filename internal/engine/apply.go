package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Execution is the result of Apply.
type Execution struct {
	// Record is the execution's record; its ID is zero if nothing has run.
	Record journal.Record
	// Review is the preview that it ran on. Its digest is empty for an execution that was adopted.
	Review Review
	// Adopted reports that an earlier process had begun it.
	Adopted bool
	// Late says that it passed twice its estimate, which nobody had measured. Empty otherwise.
	Late string
	// TookOver names the process that it was taken over from, and says why that process counted as gone. Empty if it
	// was not taken over.
	TookOver string
	// Earlier are the executions of the same request before this one, oldest first.
	Earlier []journal.Record
}

// Apply executes the request, or adopts an execution of it that an earlier process left open. reviewed is what plan
// showed, or nil if plan had no preview. observe is called with the record as soon as something may have run.
//
// An error with a zero Record.ID means that nothing has run. With a record it means that the execution failed, was
// canceled, has an unknown outcome, or is still open.
func (e *Engine) Apply(ctx context.Context, req Request, reviewed *Reviewed,
	observe func(Execution)) (Execution, error) {
	action, err := e.bind(&req)
	if err != nil {
		return Execution{}, err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return Execution{}, err
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return Execution{}, err
	}
	if !req.page.ReadOnly {
		release, err := e.targets.acquire(ctx, target)
		if err != nil {
			return Execution{}, err
		}
		defer release()
	}
	r := run{engine: e, store: store, action: action, req: req, reviewed: reviewed, observe: observe}
	x, err := r.apply(ctx, target)
	e.markDelivered(x.Record)
	return x, err
}

// run is one call of Apply.
type run struct {
	engine   *Engine
	store    journal.Store
	action   playbook.Action
	req      Request
	reviewed *Reviewed
	observe  func(Execution)
	// earlier are the request's newest earlier executions, as last read from the journal.
	earlier []journal.Record
	// locks are the names that the execution would lock besides the target, as far as they are known.
	locks []string
	// now is the review of the target as it is now, if its digest is not the reviewed one.
	now Review
	// logPath is the execution's own log, or empty.
	logPath string
}

func (r *run) apply(ctx context.Context, target string) (Execution, error) {
	about, err := subject(r.req, Review{Target: target})
	if err != nil {
		return Execution{}, err
	}
	for {
		if err := r.readEarlier(ctx, about); err != nil {
			return Execution{}, err
		}
		adopted, err := r.awaitTarget(ctx, about)
		if err != nil || adopted.Record.ID != 0 {
			return adopted, err
		}
		if rec, ok := r.engine.finished(r.req, about, r.earlier); ok {
			return Execution{Record: rec, Adopted: true, Earlier: r.before(rec.ID)}, nil
		}
		review, err := r.engine.look(ctx, r.req, r.action, r.link())
		r.locks = slices.DeleteFunc(slices.Clone(review.Locks), func(name string) bool { return name == target })
		if err == nil {
			r.locks = append(r.locks, review.identityLock())
		}
		if err != nil {
			if _, ok, findErr := blocking(ctx, r.store, target, r.locks); findErr == nil && ok {
				continue // the other execution may be the reason
			}
			return Execution{}, err
		}
		if err := r.admit(ctx, &review); err != nil {
			return Execution{}, err
		}
		watch, err := r.baseline(ctx, &review)
		if err != nil {
			return Execution{}, err
		}
		intent, err := r.engine.intent(r.req, review)
		if err != nil {
			return Execution{}, err
		}
		if names := review.Decision.Counted(); names != "" {
			intent.ApprovedBy = names // a name that was offered and didn't count has approved nothing
		}
		about.Digest, about.Identity = review.Digest, review.IdentityHash
		intent.Guardrails = encodeWatch(watch)
		began := r.engine.cfg.Clock.Now()
		intent.Deadline, intent.Locks = began.Add(review.Deadline), r.locks
		if review.Expected < review.Deadline {
			intent.Expected = began.Add(review.Expected)
		}
		rec, err := r.store.Begin(ctx, about, journal.KindIntent, intent)
		var busy *journal.BusyError
		if errors.As(err, &busy) {
			continue // another process was faster: wait for it, then read the target again
		}
		if err != nil {
			return Execution{}, err
		}
		return r.begun(ctx, Execution{Record: rec, Review: review, Earlier: r.earlier})
	}
}

// link returns the link for an apply: the earlier steps have run, so the live target is previewed.
func (r *run) link() link {
	return link{chain: chain{After: r.req.After, Conditional: r.req.RunIf != RunAlways}}
}

// begun continues an execution whose intent is in the journal.
func (r *run) begun(ctx context.Context, x Execution) (Execution, error) {
	ctx, path, done := r.engine.openLog(ctx, x.Record)
	defer done()
	r.logPath = path
	r.engine.cfg.Planned.became(x.Record.Intent.Digest, stepRan)
	r.engine.reached(ctx, PointIntent, x.Record)
	if taken, err := r.spentMeanwhile(ctx, x.Record, x.Review.Decision); err != nil || taken {
		x, overtaken := r.overtaken(ctx, x)
		return x, errors.Join(err, overtaken)
	}
	return r.execute(ctx, x)
}

func (r *run) readEarlier(ctx context.Context, about journal.Subject) error {
	var err error
	r.earlier, err = r.store.Find(ctx, journal.Filter{Request: about.Request, Limit: r.engine.cfg.HistoryLimit})
	return errors.Join(err, journal.Intact(r.earlier))
}

// execute sends the work, waits for it, and journals the outcome. The intent is in the journal already.
func (r *run) execute(ctx context.Context, x Execution) (Execution, error) {
	r.observe(x)
	ctx, cancel := r.withDeadline(ctx, x.Record.Intent.Deadline)
	defer cancel()
	r.engine.tell(ctx, x.Record, EventStart, x.Review.Summary+".")
	defer r.pastEstimate(ctx, x.Record)()
	ctx, stopHeartbeat := r.heartbeat(ctx, x.Record)
	defer stopHeartbeat()
	watched := r.watch(x.Record)
	job := watched.guard(r.engine.job(x.Record, x.Review.Preview, r.store))
	r.engine.reached(ctx, PointDispatch, x.Record)
	work, err := r.action.Dispatch(cache.With(ctx, r.engine.caches(x.Record.Subject)), job)
	r.engine.reached(ctx, PointDispatched, x.Record)
	if err != nil {
		status := journal.StatusFailed
		if errors.Is(err, playbook.ErrUncertain) {
			status = journal.StatusUnknown
		} else if interrupted(ctx, err) {
			status, err = journal.StatusCancelled, stopped(ctx, playbook.Report{}, err)
		}
		return r.conclude(ctx, x, ending{status, playbook.Report{}, err})
	}
	rec, err := r.store.Append(context.WithoutCancel(ctx), x.Record.Lease(), journal.KindDispatch,
		journal.Dispatch{RemoteID: work.RemoteID()})
	if err != nil {
		// The work was sent and its name is not durable: stop it rather than let it run unobserved.
		cancel()
		outcome, _ := work.Wait(ctx)
		if overtakenByOthers(err) {
			return r.elsewhere(ctx, x, err)
		}
		return r.conclude(ctx, x, ending{journal.StatusCancelled, outcome, fmt.Errorf("journal the dispatch: %w", err)})
	}
	r.engine.reached(ctx, PointRemoteID, x.Record)
	x.Record = rec
	r.observe(x)
	return r.finish(ctx, x, watched.over(work))
}

// finish waits for dispatched work and records its outcome.
func (r *run) finish(ctx context.Context, x Execution, work playbook.Work) (Execution, error) {
	past := r.engine.past(x.Record.Subject.Playbook, x.Record.Subject.Target)
	outcome, err := work.Wait(playbook.WithPast(ctx, past))
	r.engine.reached(ctx, PointWaited, x.Record)
	switch {
	case err == nil:
		return r.conclude(ctx, x, ending{journal.StatusSuccess, outcome, nil})
	case errors.Is(err, playbook.ErrUncertain), errors.Is(err, playbook.ErrNotStopped):
		return r.conclude(ctx, x, ending{journal.StatusUnknown, outcome, err})
	case interrupted(ctx, err):
		return r.conclude(ctx, x, ending{journal.StatusCancelled, outcome, stopped(ctx, outcome, err)})
	case held(err):
		return r.conclude(ctx, x, ending{journal.StatusCancelled, outcome, err})
	default:
		return r.conclude(ctx, x, ending{journal.StatusFailed, outcome, err})
	}
}

// ending is how an execution ended. cause is nil for a success.
type ending struct {
	status  journal.Status
	outcome playbook.Report
	cause   error
}

// conclude journals how the execution ended.
func (r *run) conclude(ctx context.Context, x Execution, e ending) (Execution, error) {
	status, outcome, cause := e.status, e.outcome, e.cause
	now := r.engine.cfg.Clock.Now()
	result := journal.Result{
		Message: outcome.Message, StartedAt: x.Record.CreatedAt, FinishedAt: now,
		// A clock that was set back must not make a duration negative.
		ActualDuration: max(0, now.Sub(x.Record.CreatedAt).Round(time.Millisecond).Seconds()),
		LogsURL:        r.engine.logsURL(outcome.LogsURL, r.logPath), Details: outcome.Details,
	}
	if x.TookOver != "" {
		result.Details = merged(result.Details, map[string]string{"taken_over_from": x.TookOver})
	}
	if remarks := x.Record.Intent.Remarks; len(remarks) > 0 {
		result.Details = merged(result.Details, map[string]string{"remarks": strings.Join(remarks, "; ")})
	}
	result.Details = r.compact(context.WithoutCancel(ctx), result.Details)
	if cause != nil {
		p := problem.Of(cause, fmt.Sprintf("%s failed", x.Record.Subject.Playbook))
		if result.Message = p.What; p.Why != "" {
			result.Message += ": " + p.Why
		}
		result.Message = e.located(result.Message, "")
	}
	logging.Info(ctx, logging.Engine, "execution ended", "execution", x.Record.ID, "status", string(status),
		"message", result.Message)
	end := journal.Outcome{Status: status, Result: result, Held: held(cause)}
	var err error
	if outcome.Identity != nil {
		end.Identity, err = approval.Hash(outcome.Identity)
	}
	if outcome.Values != nil {
		var encodeErr error
		end.Result.Values, encodeErr = json.Marshal(outcome.Values)
		err = errors.Join(err, encodeErr)
	}
	if outcome.Undo != nil {
		var params json.RawMessage
		var encodeErr error
		if params, encodeErr = json.Marshal(outcome.Undo.Params); encodeErr == nil {
			end.Rollback = &journal.Undo{Type: outcome.Undo.ActionType, Params: params}
		}
		err = errors.Join(err, encodeErr)
	}
	// The outcome is recorded even when the apply was interrupted.
	rec, appendErr := r.store.Append(context.WithoutCancel(ctx), x.Record.Lease(), journal.KindOutcome, end)
	if overtakenByOthers(appendErr) {
		return r.elsewhere(ctx, x, appendErr)
	}
	if err = errors.Join(err, appendErr); err != nil {
		ended := x
		ended.Record.Status, ended.Record.Result = status, &result
		// The record stays open, as it is in the journal: the next apply finds its outcome.
		x.Record.Result, x.Record.Rollback = &result, end.Rollback
		err = &problem.Problem{
			What: "The outcome could not be written to the journal", Err: err,
			Why: fmt.Sprintf("Execution %d ended as %q (%s), but: %s", x.Record.ID, status, result.Message, err),
			Next: "Make the journal writable again. The next apply finds the open execution and records its outcome " +
				"without running it again.",
		}
		return x, errors.Join(failure(ctx, ended, e), err)
	}
	r.engine.reached(ctx, PointOutcome, x.Record)
	x.Record, x.Late = rec, late(rec)
	r.tellEnd(ctx, rec)
	return x, failure(ctx, x, e)
}

// interrupted reports whether err says that ctx has ended.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()))
}

// withDeadline returns a context that ends with ErrDeadline at the deadline, by the engine's clock. A zero deadline
// sets none.
func (r *run) withDeadline(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	left := deadline.Sub(r.engine.cfg.Clock.Now())
	go func() {
		if r.engine.cfg.Clock.Sleep(ctx, left) == nil {
			cancel(ErrDeadline)
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// sameRun reports whether rec is an execution of exactly this request: the same inputs and the same triggers.
func (r *run) sameRun(rec journal.Record, about journal.Subject) bool {
	return sameRun(r.req, rec, about)
}

func sameRun(req Request, rec journal.Record, about journal.Subject) bool {
	return rec.Subject.Request == about.Request && maps.Equal(rec.Intent.Triggers, req.Triggers)
}
