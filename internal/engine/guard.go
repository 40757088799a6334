package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// revertTimeout bounds a rollback after a breach or a cancel. The rollback does not depend on the execution's context:
// a harmful change must also be reversed if the deadline passes during the rollback.
const revertTimeout = 2 * time.Minute

// detailRollback names the detail of a result that reports how a rollback ended.
const detailRollback = "rollback"

// progress is the body of a progress entry: the playbook's step, and the readings of the guardrails since the last
// entry.
type progress struct {
	Step     any             `json:"step"`
	Readings []guard.Reading `json:"guardrails,omitempty"`
	// Tallies count the readings so far, for the limits of the guardrails.
	Tallies []guard.Tally `json:"tallies,omitempty"`
}

// stepOf returns the playbook's part of a progress entry.
func stepOf(body json.RawMessage) json.RawMessage {
	var p struct {
		Step json.RawMessage `json:"step"`
	}
	if body == nil || json.Unmarshal(body, &p) != nil {
		return nil
	}
	return p.Step
}

// talliesOf returns the guardrails' counts in a progress entry.
func talliesOf(body json.RawMessage) []guard.Tally {
	var p progress
	if body == nil || json.Unmarshal(body, &p) != nil {
		return nil
	}
	return p.Tallies
}

// baseline reads the guardrails before anything runs, and returns an error if one of them stops the execution.
func (r *run) baseline(ctx context.Context, review *Review) (guard.Watch, error) {
	cfg := r.engine.cfg
	if err := errors.Join(guard.CheckSources(cfg.Metrics, r.req.Guardrails),
		guard.CheckSteps(r.req.Guardrails, review.Step)); err != nil {
		return guard.Watch{}, err
	}
	w := guard.Begin(ctx, cfg.Metrics, r.req.watched(), guard.Traffic(review.Exposure))
	if err := context.Cause(ctx); err != nil {
		return w, err
	}
	err := w.Ready()
	if err == nil || len(review.Decision.BreakGlass) == 0 {
		return w, err
	}
	w.Lifted = review.Decision.LiftGuardrails()
	if lifted := w.Ready(); lifted != nil {
		return w, lifted
	}
	return w, nil
}

func encodeWatch(w guard.Watch) json.RawMessage {
	if len(w.Rails) == 0 {
		return nil
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil // finite numbers and strings always encode
	}
	return text
}

// watched is an execution under guardrails. Without guardrails, session is nil.
type watched struct {
	run     *run
	rec     journal.Record
	session *guard.Session
	// step is the playbook's latest progress.
	step *any
}

// watch continues the guardrails of rec as the journal stores them: they outlive the process that began the execution.
func (r *run) watch(rec journal.Record) watched {
	w := watched{run: r, rec: rec, step: new(any)}
	if rec.Intent.Guardrails == nil {
		return w
	}
	if step := stepOf(rec.Progress); step != nil {
		*w.step = step
	}
	cfg := r.engine.cfg
	w.session = guard.Decode(rec.Intent.Guardrails).Start(cfg.Metrics, cfg.Clock, talliesOf(rec.Progress))
	return w
}

// guard makes the job's steps and checkpoints read the guardrails. A step is journaled before the reading, and again
// with its result.
func (w watched) guard(job playbook.Job) playbook.Job {
	if w.session == nil {
		return job
	}
	plain := job.Checkpoint
	job.Watch = w.session.Stand
	job.Checkpoint = func(ctx context.Context, step any) error {
		*w.step = step
		if err := plain(ctx, step); err != nil {
			return err
		}
		verdict := w.session.EndOfStep(ctx)
		err := w.journal(ctx)
		if errors.Is(err, playbook.ErrTakenOver) {
			return err // the process that continues the execution evaluates the guardrails
		}
		return errors.Join(verdict, err)
	}
	return job
}

// journal journals the readings since the last entry, if there are any.
func (w watched) journal(ctx context.Context) error {
	readings := w.session.Drain()
	if len(readings) == 0 {
		return nil
	}
	return w.run.engine.note(context.WithoutCancel(ctx), w.run.store, w.rec,
		progress{Step: *w.step, Readings: readings, Tallies: w.session.Tallies()})
}

// over wraps work so that it is under its guardrails and obeys a request to stop.
func (w watched) over(work playbook.Work) playbook.Work {
	o := obedient{Work: work, plain: work, under: w}
	if w.session != nil {
		o.Work = guarded{Work: work, under: w}
	}
	return o
}

// guarded is work under guardrails.
type guarded struct {
	playbook.Work
	under watched
}

// Wait implements playbook.Work: it reads the guardrails once more after the work, and acts on a breach.
func (g guarded) Wait(ctx context.Context) (playbook.Report, error) {
	outcome, err := g.Work.Wait(ctx)
	session := g.under.session
	if err == nil {
		err = session.After(ctx)
	}
	outcome.Details = merged(outcome.Details, session.Details())
	if journalErr := g.under.journal(ctx); errors.Is(journalErr, playbook.ErrTakenOver) {
		return outcome, journalErr
	}
	var verdict *guard.Verdict
	if !errors.As(err, &verdict) {
		return outcome, err
	}
	what := "A guardrail is breached"
	switch verdict.Reading.State {
	case guard.Inconclusive:
		what = "A guardrail is inconclusive"
	case guard.Unreadable:
		what = "A guardrail can't be read"
	case guard.Breached, guard.Passed:
	}
	p := &problem.Problem{What: what, Why: verdict.Error() + ".", Err: err}
	if verdict.Call != guard.Rollback {
		p.Next = "The execution was stopped without a rollback."
		if outcome.Message != "" {
			p.Next = "The execution was stopped without a rollback: " + outcome.Message + "."
		}
		return outcome, p
	}
	return g.goBack(ctx, outcome, p)
}

// goBack reverts the work in one step, and completes p with how that ended.
func (g guarded) goBack(ctx context.Context, outcome playbook.Report, p *problem.Problem) (playbook.Report, error) {
	reverter, ok := g.Work.(playbook.Reverter)
	if !ok {
		p.Next = "This playbook has no automatic rollback, so its changes were left in place."
		return outcome, p
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revertTimeout)
	defer cancel()
	// A rollback changes the target too, so only the current holder may do it. A journal that can't be reached is no
	// reason to let the harm continue.
	if err := g.under.run.store.Beat(ctx, g.under.rec.Lease()); overtakenByOthers(err) {
		return outcome, errors.Join(playbook.ErrTakenOver, err)
	}
	back, err := reverter.Revert(ctx)
	outcome.Message = "" // the target is not where the work stopped anymore
	outcome.Details = merged(outcome.Details, back.Details)
	if err != nil {
		outcome.Details[detailRollback] = "failed: " + err.Error()
		why := problem.Of(err, "The rollback failed")
		p.Why += " The rollback failed: " + why.What + ". " + why.Why
		p.Next = why.Next + " Look at the target now."
		p.Err = errors.Join(p.Err, err)
		return outcome, p
	}
	outcome.Details[detailRollback] = back.Message
	outcome.Undo = back.Undo // a rollback can't be undone again
	p.Why += " " + back.Message + "."
	p.Next = "Find out why before trying again."
	return outcome, p
}

func merged(into, more map[string]string) map[string]string {
	out := make(map[string]string, len(into)+len(more)+1)
	maps.Copy(out, into)
	maps.Copy(out, more)
	return out
}

// held reports whether err says that a guardrail stopped the execution and left its steps in place.
func held(err error) bool {
	var verdict *guard.Verdict
	return errors.As(err, &verdict) && verdict.Call == guard.Hold
}
