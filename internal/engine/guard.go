package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// revertTimeout bounds going back after a breach. It does not end with the execution's own context: a change that hurts
// has to be taken back also when its deadline comes in the middle of that.
const revertTimeout = 2 * time.Minute

// progress is the body of a progress entry: what the playbook has to say, and what the guardrails said.
type progress struct {
	Step     any             `json:"step"`
	Readings []guard.Reading `json:"guardrails,omitempty"`
}

// stepOf takes the playbook's part out of a progress entry.
func stepOf(body json.RawMessage) json.RawMessage {
	var p struct {
		Step json.RawMessage `json:"step"`
	}
	if body == nil || json.Unmarshal(body, &p) != nil {
		return nil
	}
	return p.Step
}

// baseline reads the guardrails before anything runs, and refuses where one that is needed can't be read.
func (r *run) baseline(ctx context.Context) (guard.Watch, error) {
	if err := guard.CheckSources(r.engine.cfg.Metrics, r.req.Guardrails); err != nil {
		return guard.Watch{}, err
	}
	w := guard.Begin(ctx, r.engine.cfg.Metrics, r.req.Guardrails)
	if err := context.Cause(ctx); err != nil {
		return w, err
	}
	return w, w.Ready()
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

// watched is an execution under guardrails.
type watched struct {
	run    *run
	rec    journal.Record
	watch  guard.Watch
	newest *[]guard.Reading
}

// watch returns the guardrails of rec as the journal has them, so that they outlive the process that began it.
func (r *run) watch(rec journal.Record) watched {
	w := watched{run: r, rec: rec, newest: &[]guard.Reading{}}
	if rec.Intent.Guardrails != nil && json.Unmarshal(rec.Intent.Guardrails, &w.watch) != nil {
		w.watch = guard.Watch{}
	}
	return w
}

// guard makes the job's checkpoints read the guardrails. The step is journaled before they are read, and again with
// what they said.
func (w watched) guard(job playbook.Job) playbook.Job {
	if len(w.watch.Rails) == 0 {
		return job
	}
	plain := job.Checkpoint
	job.Checkpoint = func(ctx context.Context, step any) error {
		if err := plain(ctx, step); err != nil {
			return err
		}
		readings, verdict := w.watch.Between(ctx, w.run.engine.cfg.Metrics)
		*w.newest = readings
		logReadings(ctx, readings)
		err := w.run.engine.note(context.WithoutCancel(ctx), w.run.store, w.rec,
			progress{Step: step, Readings: readings})
		if errors.Is(err, playbook.ErrTakenOver) {
			return err // it is for whoever goes on to judge
		}
		return errors.Join(verdict, err)
	}
	return job
}

// over is work with its guardrails.
func (w watched) over(work playbook.Work) playbook.Work {
	if len(w.watch.Rails) == 0 {
		return work
	}
	return guarded{Work: work, under: w}
}

// guarded is work under guardrails.
type guarded struct {
	playbook.Work
	under watched
}

// Wait implements playbook.Work: the guardrails are read once more after the work, and what they call for is done.
func (g guarded) Wait(ctx context.Context) (playbook.Report, error) {
	outcome, err := g.Work.Wait(ctx)
	cfg := g.under.run.engine.cfg
	if err == nil {
		*g.under.newest, err = g.under.watch.After(ctx, cfg.Metrics, cfg.Clock)
		logReadings(ctx, *g.under.newest)
	}
	outcome.Details = merged(outcome.Details, g.under.watch.Details(*g.under.newest))
	var verdict *guard.Verdict
	if !errors.As(err, &verdict) {
		return outcome, err
	}
	what := "A guardrail is breached"
	if verdict.Reading.State == guard.Inconclusive {
		what = "A guardrail is inconclusive"
	}
	p := &problem.Problem{What: what, Why: verdict.Error() + ".", Err: err}
	if verdict.Call != guard.Rollback {
		p.Next = "It was stopped where it was."
		if outcome.Message != "" {
			p.Next = "It was stopped where it was: " + outcome.Message + "."
		}
		return outcome, p
	}
	return g.goBack(ctx, outcome, p)
}

// goBack takes the work back in one step.
func (g guarded) goBack(ctx context.Context, outcome playbook.Report, p *problem.Problem) (playbook.Report, error) {
	reverter, ok := g.Work.(playbook.Reverter)
	if !ok {
		p.Next = "This playbook can't be taken back by itself, so what it did was left as it is."
		return outcome, p
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revertTimeout)
	defer cancel()
	// Going back is a change of the target too: it is for whoever holds it now. A journal that can't be reached is no
	// reason to let harm go on.
	if err := g.under.run.store.Beat(ctx, g.under.rec.Lease()); overtakenByOthers(err) {
		return outcome, errors.Join(playbook.ErrTakenOver, err)
	}
	back, err := reverter.Revert(ctx)
	outcome.Details = merged(outcome.Details, back.Details)
	if err != nil {
		outcome.Details["rollback"] = "failed: " + err.Error()
		why := problem.Of(err, "Going back failed")
		p.Why += " Going back failed: " + why.What + ". " + why.Why
		p.Next = why.Next + " Look at the target now."
		p.Err = errors.Join(p.Err, err)
		return outcome, p
	}
	outcome.Details["rollback"] = back.Message
	outcome.Undo = back.Undo // what is back is not to be taken back once more
	p.Why += " " + back.Message + "."
	p.Next = "Find out why before trying again."
	return outcome, p
}

func logReadings(ctx context.Context, readings []guard.Reading) {
	for _, reading := range readings {
		logging.Info(ctx, logging.Guardrail, "reading", "guardrail", reading.Name, "result", reading.String())
	}
}

func merged(into, more map[string]string) map[string]string {
	out := make(map[string]string, len(into)+len(more)+1)
	maps.Copy(out, into)
	maps.Copy(out, more)
	return out
}

// held tells whether err is a guardrail's call to stop and stay.
func held(err error) bool {
	var verdict *guard.Verdict
	return errors.As(err, &verdict) && verdict.Call == guard.Hold
}
