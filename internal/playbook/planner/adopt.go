package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Adopt implements playbook.Logic. The live split shows where a dead process left the traffic: where the move began, at
// its target, or at a step between them, where it stays.
func (a action) Adopt(ctx context.Context, job playbook.Job, f Facts) (playbook.Work, error) {
	split, err := a.planner.Read(ctx)
	if target.Unanswered(err) {
		return nil, errors.Join(playbook.ErrLater, err)
	}
	if err != nil {
		return nil, err
	}
	w := a.begin(job, f, split)
	w.name = job.RemoteID
	w.before = stateOf(job.Preview.Content)
	undeployed := f.Deploy && !split.Deployed(a.move.Version)
	undone := f.Decommission && split.Deployed(a.move.Version)
	there := target.Same(split.Shares, a.move.shares(f.StableVersion, f.TargetPercent)) && !undone && !undeployed
	if a.move.Restore != nil {
		there = target.SameState(split.State, a.move.Restore)
	}
	switch {
	case there:
		w.done, w.percent, w.last = true, f.TargetPercent, split.Shares
		return w, nil
	case target.Same(split.Shares, f.before(a.move)) && f.Deploy == undeployed:
		return nil, fmt.Errorf("the process died before anything was moved: %w", playbook.ErrNeverBegan)
	}
	var stopped playbook.Work
	if i := a.stepAt(f, split); i >= 0 {
		w.step, w.percent, stopped = i+1, f.Schedule[i].Percent, w
	}
	return stopped, &problem.Problem{
		What: "The move stopped partway", Why: fmt.Sprintf("The process that moved the traffic "+
			"died; the split stays at %s%s.", target.Text(split.Shares), a.reached(job, f, split)),
		Next: "Another execution continues from there.", Err: playbook.ErrPartway,
	}
}

// Reached implements playbook.Stopped.
func (w *work) Reached() playbook.Report { return w.report() }

// content is the Preview.Content of a move: the router's configuration when the move was reviewed.
type content struct {
	State target.State `json:"state"`
	// Router is the rest of the router's configuration, nil if there is none.
	Router any `json:"router,omitempty"`
}

// stateOf returns the state in content from the journal. Nil if it contains none.
func stateOf(stored any) target.State {
	text, err := json.Marshal(stored)
	if err != nil {
		return nil
	}
	var c content
	if json.Unmarshal(text, &c) != nil {
		return nil
	}
	return c.State
}

func progressOf(job playbook.Job) (progress, bool) {
	var p progress
	return p, job.Progress != nil && json.Unmarshal(job.Progress, &p) == nil
}

// reached says, for a message, at which step of the schedule a live split is.
func (a action) reached(job playbook.Job, f Facts, split target.Split) string {
	if i := a.stepAt(f, split); i >= 0 {
		return fmt.Sprintf(", step %d of %d", i+1, len(f.Schedule))
	}
	if p, ok := progressOf(job); ok {
		return fmt.Sprintf(", where someone else has moved it: step %d at %s was the last one taken", p.Step,
			target.Percent(p.Percent))
	}
	return ", where someone else has moved it"
}

// stepAt returns the index of the step of the schedule at which a live split is, or -1.
func (a action) stepAt(f Facts, split target.Split) int {
	return slices.IndexFunc(f.Schedule, func(s Step) bool {
		return target.Same(split.Shares, a.move.shares(f.StableVersion, s.Percent))
	})
}
