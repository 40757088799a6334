package planner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// stepTimeout bounds one step. It does not depend on the execution's context: a step that has begun is finished, so the
// split is always at a planned step.
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

// Dispatch implements playbook.Logic. Nothing moves before Wait, when the work is in the journal.
func (a action) Dispatch(ctx context.Context, job playbook.Job, f Facts) (playbook.Work, error) {
	split, err := a.planner.Read(ctx)
	if err != nil {
		return nil, err
	}
	if err := split.CheckWritable(); err != nil {
		return nil, err
	}
	w := a.begin(job, f, split)
	if !target.Same(split.Shares, f.before(a.move)) {
		return nil, target.Moved(split)
	}
	w.before = split.State
	w.name = "from " + target.Text(split.Shares)
	return w, nil
}

func (a action) begin(job playbook.Job, f Facts, now target.Split) *work {
	return &work{action: a, job: job, facts: f, now: now, last: f.before(a.move), percent: f.CurrentPercent}
}

// work is a move in progress.
type work struct {
	action
	job   playbook.Job
	facts Facts
	name  string
	// before is the state from which the move began. Nil if the move was adopted and the journal doesn't contain it.
	before target.State
	// now is the split as last seen, last are the shares that the last step left.
	now  target.Split
	last map[string]float64
	// percent is the version's share now, step is how many steps were taken.
	percent float64
	step    int
	// counted are the router's request counts per version when the last step was taken.
	counted map[string]int64
	// done reports that there is nothing left to do.
	done bool
	// deployed reports that the version was brought up. changed reports that a change was made, or may have been made:
	// its answer was lost.
	deployed, changed bool
}

// RemoteID implements playbook.Work.
func (w *work) RemoteID() string { return w.name }

// Wait implements playbook.Work.
func (w *work) Wait(ctx context.Context) (playbook.Report, error) {
	if !w.done {
		if err := w.run(ctx); err != nil {
			out := w.report()
			if !errors.Is(err, target.ErrMoved) { // that error says what the split is now
				out.Message = w.stands(err)
			}
			if w.changed {
				out.Undo = w.rules.undo(w.facts, w.before)
			}
			return out, err
		}
	}
	out := w.report()
	out.Message = fmt.Sprintf("%s has %s of the traffic and %s has %s", w.move.Version, target.Percent(w.percent),
		w.facts.StableVersion, target.Percent(w.facts.StablePercentAfter))
	if w.facts.Decommission {
		out.Message += fmt.Sprintf("; %s is decommissioned", w.move.Version)
	}
	w.measure(ctx, &out)
	if len(w.facts.Schedule) > 0 || w.facts.Deploy || w.facts.Decommission {
		out.Undo = w.undo()
	}
	return out, nil
}

// stands says where an error has stopped the move.
func (w *work) stands(err error) string {
	verb := "has"
	if errors.Is(err, target.ErrNotEffective) {
		verb = "is set to"
	}
	message := fmt.Sprintf("%s %s %s of the traffic, step %d of %d, and stays there", w.move.Version, verb,
		target.Percent(w.percent), w.step, len(w.facts.Schedule))
	if w.deployed {
		message += fmt.Sprintf("; %s is deployed", w.move.Version)
	}
	return message
}

// undo returns the reviewed undo action, or computes it if the preview has none.
func (w *work) undo() *playbook.Rollback {
	if reviewed := w.job.Preview.Rollback; reviewed != nil {
		return reviewed
	}
	return w.rules.undo(w.facts, w.before)
}

func (w *work) report() playbook.Report {
	return playbook.Report{Details: map[string]string{
		"version": w.move.Version, "stable_version": w.facts.StableVersion,
		"percent_before": target.Number(w.facts.CurrentPercent),
		"percent_target": target.Number(w.facts.TargetPercent),
		"percent_now":    target.Number(w.percent), "step": strconv.Itoa(w.step),
		"steps": strconv.Itoa(len(w.facts.Schedule)),
	}}
}

// measure reports which share the router counted since the last step, and what keeps shares from having an effect.
func (w *work) measure(ctx context.Context, out *playbook.Report) {
	split, err := w.planner.Read(context.WithoutCancel(ctx))
	if err != nil {
		return // the move is done; only a figure is missing
	}
	if len(split.Notes) > 0 {
		out.Details["router_notes"] = strings.Join(split.Notes, " ")
	}
	total, own := int64(0), int64(0)
	for version, before := range w.counted {
		got := split.Requests[version] - before
		if got < 0 || split.Instance != w.now.Instance {
			return // the router was restarted, and counts from 0 again
		}
		if total += got; version == w.move.Version {
			own = got
		}
	}
	if total == 0 {
		return
	}
	measured := target.Whole * float64(own) / float64(total)
	out.Details["percent_measured"] = target.Number(measured)
	out.Details["requests_measured"] = strconv.FormatInt(total, 10)
	out.Message += fmt.Sprintf("; the router counted %s of %d requests for %s during the last step",
		target.Percent(measured), total, w.move.Version)
}

func (w *work) run(ctx context.Context) error {
	if w.facts.Deploy && !w.now.Latent && w.move.Restore == nil {
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
		logging.Info(ctx, logging.Planner, "step taken", "version", w.move.Version, "percent", step.Percent, "step",
			w.step, "of", len(w.facts.Schedule))
		if err := w.watch(ctx); err != nil {
			return err
		}
	}
	if w.move.Restore != nil {
		return nil // the one step has restored the whole state
	}
	if w.facts.Deploy && w.now.Latent {
		return w.deploy(ctx)
	}
	if w.facts.Decommission {
		logging.Info(ctx, logging.Planner, "decommission", "version", w.move.Version)
		return w.sent(w.planner.Decommission(ctx, w.version()))
	}
	return nil
}

func (w *work) deploy(ctx context.Context) error {
	logging.Info(ctx, logging.Planner, "deploy", "version", w.move.Version)
	err := w.sent(w.planner.Deploy(ctx, w.version()))
	w.deployed = err == nil
	return err
}

// watch waits after a step until the next one is due, while guardrails are read, and then journals the progress. An
// error from either ends the move.
func (w *work) watch(ctx context.Context) error {
	if stands := w.move.Pace.stands(w.facts.Schedule, w.step-1); stands > 0 {
		if err := w.job.Stand(ctx, w.clock, stands); err != nil {
			return err
		}
	}
	return w.job.Checkpoint(ctx, progress{Step: w.step, Percent: w.percent})
}

// take moves the share to percent, starting from the split that the last step left.
func (w *work) take(ctx context.Context, percent float64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	shares := w.move.shares(w.facts.StableVersion, percent)
	now, err := w.planner.Read(ctx)
	if err != nil {
		return err
	}
	if !target.Same(now.Shares, w.last) {
		return w.moved(now)
	}
	var set target.Split
	if w.move.Restore != nil {
		set, err = w.planner.Restore(ctx, target.Restoration{Revision: now.Revision, State: w.move.Restore,
			Reason: w.reason(percent), By: w.by()})
		shares = w.restoredShares(now)
	} else {
		set, err = w.planner.Set(ctx, target.Change{Revision: now.Revision, Shares: shares, Reason: w.reason(percent),
			By: w.by()})
	}
	if errors.Is(err, target.ErrUncertain) {
		set, err = w.lookAgain(ctx, now, shares, err)
	}
	if errors.Is(err, target.ErrNotEffective) {
		w.last, w.percent, w.changed = shares, percent, true
	}
	w.changed = w.changed || err == nil
	if err != nil {
		return err
	}
	if !target.Same(set.Shares, shares) {
		return w.moved(set)
	}
	w.now, w.last, w.percent, w.counted = set, shares, percent, maps.Clone(set.Requests)
	return nil
}

// restoredShares returns the shares of the state that the move restores.
func (w *work) restoredShares(now target.Split) map[string]float64 {
	_, shares, err := w.planner.Restoring(now, w.move.Restore)
	if err != nil {
		return nil // the preview has read it
	}
	return shares
}

// moved returns the problem for a split that is not the one that the move left, with the cause if it is known.
func (w *work) moved(now target.Split) error {
	w.percent = now.Shares[w.move.Version]
	if now.Instance != w.now.Instance {
		return target.MovedBy(now, "the router was reloaded and has lost what was set at run time")
	}
	for _, version := range now.Versions() {
		if what := now.Unsteady[version]; what != "" {
			return target.MovedBy(now, what+" sets weights as well")
		}
	}
	return target.Moved(now)
}

// lookAgain finds out whether a change whose answer was lost was made. It is never sent again. before is the split
// before the change.
func (w *work) lookAgain(ctx context.Context, before target.Split, shares map[string]float64,
	lost error) (target.Split, error) {
	now, err := w.planner.Read(ctx)
	if err != nil {
		w.changed = true
		return now, errors.Join(playbook.ErrUncertain, lost, err)
	}
	there := target.Same(now.Shares, shares)
	if w.move.Restore != nil {
		there = target.SameState(now.State, w.move.Restore)
	}
	if there {
		return now, nil
	}
	// A change of several commands or requests can have been made halfway.
	w.percent = now.Shares[w.move.Version]
	w.changed = w.changed || !target.SameState(now.State, before.State)
	return now, lost
}

func (w *work) reason(percent float64) string {
	return fmt.Sprintf("execution %s: %s to %s", w.job.Name, w.move.Version, target.Percent(percent))
}

func (w *work) by() string { return target.Execution(w.job.Name) }

func (w *work) version() target.Version {
	return target.Version{Name: w.move.Version, Reason: "execution " + w.job.Name, By: w.by()}
}

// sent notes whether a change was made or may have been made, and returns its error as the package's function does.
func (w *work) sent(err error) error {
	err = sent(err)
	w.changed = w.changed || err == nil || errors.Is(err, playbook.ErrUncertain)
	return err
}

// sent adds playbook.ErrUncertain to the error for a change whose answer was lost.
func sent(err error) error {
	if errors.Is(err, target.ErrUncertain) {
		return errors.Join(playbook.ErrUncertain, err)
	}
	return err
}
