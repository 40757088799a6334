package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// stepTimeout bounds one step. It does not end with the execution's context: a step that was begun is finished, so that
// the split stands at one that was meant.
const stepTimeout = 30 * time.Second

var (
	errNotCanary = errors.New("the version is not a canary")
	errDeployed  = errors.New("the version is deployed already")
)

// progress is journaled after each step.
type progress struct {
	// Step counts from 1.
	Step    int     `json:"step"`
	Percent float64 `json:"percent"`
}

// Dispatch implements playbook.Logic. Nothing moves before Wait: the journal knows of the work by then.
func (a action) Dispatch(ctx context.Context, job playbook.Job, f Facts) (playbook.Work, error) {
	split, err := a.planner.Read(ctx)
	if err != nil {
		return nil, err
	}
	w := a.begin(job, f)
	if !target.Same(split.Shares, w.before) {
		return nil, target.Moved(split)
	}
	w.name, w.latent = "from "+target.Text(split.Shares), split.Latent
	return w, nil
}

func (a action) begin(job playbook.Job, f Facts) *work {
	before := f.split(a.move)
	return &work{action: a, job: job, facts: f, before: before, last: before, percent: f.CurrentPercent}
}

// Adopt implements playbook.Logic. What a dead process left is told from the live split: it stands where it began, at
// the target, or at a step between them, where it stays.
func (a action) Adopt(ctx context.Context, job playbook.Job, f Facts) (playbook.Work, error) {
	split, err := a.planner.Read(ctx)
	if target.Unanswered(err) {
		return nil, errors.Join(playbook.ErrLater, err)
	}
	if err != nil {
		return nil, err
	}
	w := a.begin(job, f)
	w.name = job.RemoteID
	undeployed := f.Deploy && !split.Deployed(a.move.Version)
	undone := f.Decommission && split.Deployed(a.move.Version)
	switch there := target.Same(split.Shares, a.move.shares(f.StableVersion, f.TargetPercent)); {
	case there && !undone && !undeployed:
		w.done, w.percent, w.last = true, f.TargetPercent, split.Shares
		return w, nil
	case target.Same(split.Shares, w.before) && f.Deploy == undeployed:
		return nil, fmt.Errorf("the process died before anything was moved: %w", playbook.ErrNeverBegan)
	}
	return nil, &problem.Problem{
		What: "The move stopped partway", Why: fmt.Sprintf("Its process died; the split stays at %s%s.",
			target.Text(split.Shares), a.reached(job, f, split)),
		Next: "Running it again goes on from there.", Err: playbook.ErrPartway,
	}
}

// reached says which step a live split is.
func (a action) reached(job playbook.Job, f Facts, split target.Split) string {
	i := slices.IndexFunc(f.Schedule,
		func(s Step) bool { return target.Same(split.Shares, a.move.shares(f.StableVersion, s.Percent)) })
	if i >= 0 {
		return fmt.Sprintf(", step %d of %d", i+1, len(f.Schedule))
	}
	var p progress
	if job.Progress != nil && json.Unmarshal(job.Progress, &p) == nil {
		return fmt.Sprintf(", where somebody else has moved it: step %d at %s %% was the last one taken", p.Step,
			target.Percent(p.Percent))
	}
	return ", where somebody else has moved it"
}

// work is a move under way.
type work struct {
	action
	job   playbook.Job
	facts Facts
	name  string
	// before is the split from which it began, last the one that it left.
	before, last map[string]float64
	// percent is the version's share now, step how many steps were taken.
	percent float64
	step    int
	// latent tells that the version can be given its share before it is brought up.
	latent bool
	// deployed and down tell that the version was brought up or taken down here.
	deployed, down bool
	// done tells that there is nothing left to do.
	done bool
}

// RemoteID implements playbook.Work.
func (w *work) RemoteID() string { return w.name }

// Wait implements playbook.Work.
func (w *work) Wait(ctx context.Context) (playbook.Report, error) {
	if !w.done {
		if err := w.run(ctx); err != nil {
			out := w.outcome()
			out.Message = fmt.Sprintf("%s has %s %% of the traffic, step %d of %d, and stays there", w.move.Version,
				target.Percent(w.percent),
				w.step, len(w.facts.Schedule))
			return out, err
		}
	}
	out := w.outcome()
	out.Message = fmt.Sprintf("%s has %s %% of the traffic and %s has %s %%", w.move.Version,
		target.Percent(w.percent),
		w.facts.StableVersion, target.Percent(w.facts.StablePercentAfter))
	if w.facts.Decommission {
		out.Message += fmt.Sprintf("; %s is decommissioned", w.move.Version)
	}
	if len(w.facts.Schedule) > 0 || w.facts.Deploy || w.facts.Decommission {
		out.Undo = w.rules.undo(w.facts)
	}
	return out, nil
}

func (w *work) outcome() playbook.Report {
	return playbook.Report{Details: map[string]string{
		"version": w.move.Version, "stable_version": w.facts.StableVersion,
		"percent_before": target.Percent(w.facts.CurrentPercent),
		"percent_target": target.Percent(w.facts.TargetPercent),
		"percent_now":    target.Percent(w.percent), "step": strconv.Itoa(w.step),
		"steps": strconv.Itoa(len(w.facts.Schedule)),
	}}
}

func (w *work) run(ctx context.Context) error {
	if w.facts.Deploy && !w.latent {
		if err := w.deploy(ctx); err != nil {
			return err
		}
	}
	for _, step := range w.facts.Schedule {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := w.take(ctx, step.Percent); err != nil {
			return err
		}
		w.step++
		if err := w.watch(ctx); err != nil {
			return err
		}
	}
	if w.facts.Deploy && w.latent {
		return w.deploy(ctx)
	}
	if w.facts.Decommission {
		if err := w.planner.Decommission(ctx, w.version()); err != nil {
			return sent(err)
		}
		w.down = true
	}
	return nil
}

func (w *work) deploy(ctx context.Context) error {
	if err := w.planner.Deploy(ctx, w.version()); err != nil {
		return sent(err)
	}
	w.deployed = true
	return nil
}

// watch lets the step that was taken stand until the schedule's next one, and then asks whether to go on.
func (w *work) watch(ctx context.Context) error {
	if stands := w.move.Pace.stands(w.facts.Schedule, w.step-1); stands > 0 {
		if err := w.job.Stand(ctx, w.clock, stands); err != nil {
			return err
		}
	}
	return w.job.Checkpoint(ctx, progress{Step: w.step, Percent: w.percent})
}

// take moves the share to percent, from the split that the last step left.
func (w *work) take(ctx context.Context, percent float64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	return w.set(ctx, w.move.shares(w.facts.StableVersion, percent), percent)
}

// set sets shares if the split is the one that was left.
func (w *work) set(ctx context.Context, shares map[string]float64, percent float64) error {
	now, err := w.planner.Read(ctx)
	if err != nil {
		return err
	}
	if !target.Same(now.Shares, w.last) {
		return target.Moved(now)
	}
	now, err = w.planner.Set(ctx, target.Change{Revision: now.Revision, Shares: shares, Reason: w.reason(percent)})
	if errors.Is(err, target.ErrUncertain) {
		now, err = w.lookAgain(ctx, shares, err)
	}
	if errors.Is(err, target.ErrNotEffective) {
		w.last, w.percent = shares, percent
	}
	if err != nil {
		return err
	}
	if !target.Same(now.Shares, shares) {
		return target.Moved(now)
	}
	w.last, w.percent = shares, percent
	return nil
}

// lookAgain finds out what became of a change whose answer was lost. It is never sent again.
func (w *work) lookAgain(ctx context.Context, shares map[string]float64, lost error) (target.Split, error) {
	now, err := w.planner.Read(ctx)
	switch {
	case err != nil:
		return now, errors.Join(playbook.ErrUncertain, lost, err)
	case target.Same(now.Shares, shares):
		return now, nil
	default:
		return now, lost
	}
}

func (w *work) reason(percent float64) string {
	return fmt.Sprintf("execution %d: %s to %s %%", w.job.ID, w.move.Version, target.Percent(percent))
}

func (w *work) version() target.Version {
	return target.Version{Name: w.move.Version, Reason: fmt.Sprintf("execution %d", w.job.ID)}
}

// sent marks a change whose answer was lost as work whose outcome is not known.
func sent(err error) error {
	if errors.Is(err, target.ErrUncertain) {
		return errors.Join(playbook.ErrUncertain, err)
	}
	return err
}

// Revert implements playbook.Reverter: the split of before, in one step.
func (w *work) Revert(ctx context.Context) (playbook.Report, error) {
	if w.down {
		if err := w.planner.Deploy(ctx, w.version()); err != nil {
			return playbook.Report{}, err
		}
		w.down = false
	}
	if err := w.back(ctx); err != nil {
		return playbook.Report{}, err
	}
	if w.deployed {
		if err := w.planner.Decommission(ctx, w.version()); err != nil {
			return playbook.Report{}, err
		}
	}
	return playbook.Report{
		Message: fmt.Sprintf("%s is back at %s %% of the traffic", w.move.Version, target.Percent(w.percent)),
		Details: map[string]string{"percent_now": target.Percent(w.percent)},
	}, nil
}

// back sets the split of before. A revision can move without the split (another field of the same object), so that one
// refusal is no reason to give up while the split is still the one that was left.
func (w *work) back(ctx context.Context) error {
	if target.Same(w.last, w.before) {
		return nil
	}
	err := w.set(ctx, w.before, w.facts.CurrentPercent)
	if errors.Is(err, target.ErrMoved) {
		err = w.set(ctx, w.before, w.facts.CurrentPercent)
	}
	return err
}
