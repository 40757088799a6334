package planner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// A revert is tried more than once: if a router is slow, cut off, or changed for a moment, traffic must not stay where
// it does harm.
const (
	backTries = 5
	backPause = 2 * time.Second
)

// Revert implements playbook.Reverter: it restores the exact state before the move, in one step.
func (w *work) Revert(ctx context.Context) (playbook.Report, error) {
	var err error
	for try := range backTries {
		if try > 0 && w.clock.Sleep(ctx, backPause) != nil {
			break
		}
		if err = w.back(ctx); err == nil || !again(err) {
			break
		}
		logging.Warn(ctx, logging.Planner, "the rollback attempt failed", "try", try+1, "error", err.Error())
	}
	if err != nil {
		return playbook.Report{}, sent(err)
	}
	return playbook.Report{
		Message: fmt.Sprintf("%s is back at %s of the traffic", w.move.Version, target.Percent(w.percent)),
		Details: map[string]string{"percent_now": target.Number(w.percent)},
	}, nil
}

// again reports whether another try may succeed. A malformed answer can be a file that is being written.
func again(err error) bool {
	for _, passing := range []error{target.ErrUnreachable, target.ErrMalformed, target.ErrUncertain, errRaced} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// errRaced marks a change that was refused although the split is still the one that the move left: the revision also
// changes with other fields of the same object.
var errRaced = errors.New("the planner changed in the meantime")

// back restores the state before the move, unless someone else has changed the split since.
func (w *work) back(ctx context.Context) error {
	now, err := w.planner.Read(ctx)
	if err != nil {
		return err
	}
	if w.before == nil {
		return w.backByShares(ctx, now)
	}
	if target.SameState(now.State, w.before) {
		return w.isBack(now)
	}
	if !w.own(now) {
		return w.moved(now)
	}
	set, err := w.planner.Restore(ctx, target.Restoration{Revision: now.Revision, State: w.before,
		Reason: w.reason(w.facts.CurrentPercent), By: w.by()})
	if errors.Is(err, target.ErrMoved) {
		return errors.Join(errRaced, err)
	}
	if err != nil {
		return err
	}
	if !target.SameState(set.State, w.before) && len(set.Unsteady) == 0 {
		return w.moved(set)
	}
	return w.isBack(set)
}

// own reports whether the split can be one that this move has left. It can if its shares are those of a step, or if
// something besides users explains the difference: the router was restarted, or something else sets weights as well.
func (w *work) own(now target.Split) bool {
	if target.Same(now.Shares, w.last) {
		return true
	}
	if len(now.Unsteady) > 0 || now.Instance != "" && now.Instance != w.now.Instance {
		return true
	}
	for _, step := range w.facts.Schedule { // a step whose answer was lost
		if target.Same(now.Shares, w.move.shares(w.facts.StableVersion, step.Percent)) {
			return true
		}
	}
	return false
}

func (w *work) isBack(now target.Split) error {
	w.now, w.last, w.percent = now, now.Shares, w.facts.CurrentPercent
	return nil
}

// backByShares sets the shares if the state before the move is unknown, because another process began the move. An
// earlier try may have set them already, with a lost answer.
func (w *work) backByShares(ctx context.Context, now target.Split) error {
	before := w.facts.before(w.move)
	if !w.own(now) && !target.Same(now.Shares, before) {
		return w.moved(now)
	}
	if w.facts.Decommission && !now.Deployed(w.move.Version) {
		if err := w.planner.Deploy(ctx, w.version()); err != nil {
			return err
		}
	}
	if !target.Same(now.Shares, before) {
		var err error
		if now, err = w.planner.Read(ctx); err != nil {
			return err
		}
		now, err = w.planner.Set(ctx, target.Change{Revision: now.Revision, Shares: before,
			Reason: w.reason(w.facts.CurrentPercent), By: w.by()})
		if errors.Is(err, target.ErrMoved) {
			return errors.Join(errRaced, err)
		}
		if err != nil {
			return err
		}
		if math.Abs(now.Shares[w.move.Version]-w.facts.CurrentPercent) > target.Tolerance {
			return w.moved(now)
		}
	}
	if w.facts.Deploy {
		if err := w.planner.Decommission(ctx, w.version()); err != nil {
			return err
		}
	}
	return w.isBack(now)
}
