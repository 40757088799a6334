package reindex

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// step is one step of the switch. The tables below contain all steps, in order.
type step struct {
	name   string
	action func(r *Run, ctx context.Context) error
	// bound is how long the step may take. Zero means as long as the whole switch, switchTimeout.
	bound time.Duration
	// goesOn means that the next step follows when the bound has passed. Otherwise the switch is given up, as after a
	// failure: before the aliases have moved, clients keep the old index. Afterwards they use the new one, the old one
	// stays, and writers that wait continue at once.
	goesOn bool
	// beforeMove means that the step is skipped once the aliases have moved.
	beforeMove bool
}

// Bounds of steps. From the move until their release, writers wait for drainTimeout and lastWritesTimeout at most: half
// of the minute that a write waits by default. The release is one request, which is repeated while the cluster can't be
// reached.
const (
	settingsTimeout   = 30 * time.Second
	drainTimeout      = 10 * time.Second
	lastWritesTimeout = 20 * time.Second
	cloneTimeout      = time.Minute
	readTimeout       = 30 * time.Second
	// switchTimeout bounds the whole switch, and the rollback. Both continue after the caller's context has ended.
	switchTimeout = 5 * time.Minute
)

// stepLastWrites is the name of a step in both tables, which Result.Remark looks for.
const stepLastWrites = "copy the last writes"

// delaySteps make writers wait at the new index while the last writes to the old one are copied.
func delaySteps() []step {
	return []step{
		{name: "make writers wait", action: (*Run).delayWriters, bound: settingsTimeout, beforeMove: true},
		{name: "move the aliases", action: (*Run).moveAliases, beforeMove: true},
		{name: "wait for writes to the old index", action: (*Run).drainWrites, bound: drainTimeout, goesOn: true},
		{name: stepLastWrites, action: (*Run).copyLastWrites, bound: lastWritesTimeout, goesOn: true},
		{name: "let writers continue", action: (*Run).releaseWriters},
	}
}

// refuseSteps refuse writes to the old index from before the last pass until the aliases have moved.
func refuseSteps() []step {
	return []step{
		{name: "block writes to the old index", action: (*Run).blockWrites, bound: settingsTimeout, beforeMove: true},
		{name: stepLastWrites, action: (*Run).copyWhileBlocked, bound: lastWritesTimeout, beforeMove: true},
		{name: "clone the old index", action: (*Run).cloneOld, bound: cloneTimeout, beforeMove: true},
		{name: "apply the last settings", action: (*Run).applyLastSettings, bound: settingsTimeout, beforeMove: true},
		{name: "move the aliases", action: (*Run).moveAliases, beforeMove: true},
	}
}

// finishSteps follow the switch. Clients use the new index.
func finishSteps() []step {
	return []step{
		{name: "wait for updates", action: (*Run).awaitUpdates, bound: drainTimeout, goesOn: true},
		{name: "block writes to the old index", action: (*Run).blockOld},
		{name: "copy what reached the old index", action: (*Run).copyRest},
		{name: "check the aliases", action: (*Run).checkAliases},
		{name: "wait for searches of the old index", action: (*Run).drainReads, bound: readTimeout, goesOn: true},
		{name: "remove the old index", action: (*Run).removeOld},
	}
}

// errLate is the cause with which the context of an action ends if its bound has passed.
var errLate = errors.New("the bound has passed")

// within runs an action for a limited time, and reports whether the time has passed.
func within(ctx context.Context, bound time.Duration, action func(context.Context) error) (late bool, err error) {
	if bound == 0 {
		return false, action(ctx)
	}
	ctx, done := context.WithTimeoutCause(ctx, bound, errLate)
	defer done()
	err = action(ctx)
	return errors.Is(context.Cause(ctx), errLate), err
}

// perform performs the steps of a table.
func (r *Run) perform(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if s.beforeMove && r.moved {
			continue
		}
		began := r.clk.Now()
		late, err := within(ctx, s.bound, func(ctx context.Context) error { return s.action(r, ctx) })
		logging.Debug(ctx, logging.Elasticsearch, "switch step", "step", s.name, "index", r.state.New,
			"ms", r.clk.Now().Sub(began).Milliseconds(), "late", late, "failed", err != nil)
		switch {
		case err == nil:
		case late && s.goesOn:
			r.state.Result.Late = append(r.state.Result.Late, s.name)
		case late:
			return r.failed("The switch was aborted", fmt.Sprintf("The step %q took longer than %s.", s.name, s.bound),
				err)
		default:
			return err
		}
	}
	return nil
}

// autoExpand lets Elasticsearch choose the number of replicas.
const autoExpand = "index.auto_expand_replicas"

// refuses reports whether writers have to be refused during the switch instead of delayed.
func (r *Run) refuses() bool {
	pipeline, _ := r.state.Late["index.final_pipeline"].(string)
	return r.state.concrete() || pipeline != "" && pipeline != "_none"
}

// resumeSwitch continues the switch of a process that died. If the aliases have not moved, it first releases writers
// that wait or are refused, and catches up again.
func (r *Run) resumeSwitch(ctx context.Context) error {
	at, err := r.where(ctx)
	if err != nil {
		return err
	}
	if at != atOld {
		r.open, r.moved = r.state.Stage == StageFinish, at == atNew
		return nil
	}
	if r.refuses() {
		if err := r.allowWrites(ctx); err != nil {
			return err
		}
	} else if err := r.release(ctx); err != nil {
		return err
	}
	r.state.Stage = StageCatchUp
	return r.catchUp(ctx)
}

// switchOver replaces the old index with the new one and completes the remaining steps.
func (r *Run) switchOver(ctx context.Context) error {
	at, err := r.where(ctx)
	if err != nil {
		return err
	}
	if at == atBoth {
		r.delaying = r.state.Stage != StageCatchUp
		return r.misplaced()
	}
	r.moved = at == atNew
	if r.state.Stage != StageFinish {
		if err := r.moveClients(ctx); err != nil {
			return err
		}
	}
	r.open = true
	return r.finish(ctx)
}

// moveClients performs the steps that move clients to the new index.
func (r *Run) moveClients(ctx context.Context) (err error) {
	if !r.moved {
		if r.state.Ours, err = r.cluster.MaxSeqNos(ctx, r.state.New); err != nil {
			return err
		}
	}
	if err := r.enter(ctx, StageSwitch); err != nil && (!r.moved || errors.Is(err, ErrLeave)) {
		return err
	}
	began := r.clk.Now()
	if r.state.Result.Refused = r.refuses(); r.state.Result.Refused {
		err = r.perform(ctx, refuseSteps())
	} else {
		r.delaying = r.moved // a process that died after the move may have left writers waiting
		err = r.perform(ctx, delaySteps())
	}
	if err != nil {
		if r.moved {
			// Clients use the new index, and the old one stays.
			if r.delaying {
				_ = r.releaseWriters(ctx)
			}
			r.state.Stage = StageFinish
		}
		return err
	}
	r.state.Result.Pause = r.clk.Now().Sub(began)
	return r.enter(ctx, StageFinish)
}

// finish completes the reindex after the switch.
func (r *Run) finish(ctx context.Context) error {
	if r.state.concrete() {
		return nil // it was cloned if it is kept, and deleted
	}
	missing, err := r.cluster.IsGone(ctx, r.state.Old)
	if err != nil || missing {
		return err
	}
	return r.perform(ctx, finishSteps())
}

// delayWriters makes writes to the new index wait by requiring a shard copy that can't become active.
func (r *Run) delayWriters(ctx context.Context) error {
	replicas, err := r.replicas(ctx)
	if err != nil {
		return err
	}
	settings := map[string]any{
		"index.routing.allocation.enable": "none", "index.number_of_replicas": replicas + 1,
		"index.write.wait_for_active_shards": "all",
	}
	if r.state.Late[autoExpand] != nil {
		settings[autoExpand] = "false"
	}
	r.delaying = true
	return r.cluster.PutSettings(ctx, r.state.New, settings)
}

// moveAliases moves the aliases, and the name of a concrete index. If the request fails, it looks where they are,
// because only the answer may have been lost.
func (r *Run) moveAliases(ctx context.Context) error {
	replaced := ""
	if r.state.concrete() {
		replaced = r.state.Old
	}
	if err := r.cluster.MoveAliases(ctx, r.state.Old, r.state.New, replaced); err != nil {
		if at, lookErr := r.where(ctx); lookErr != nil || at != atNew {
			if r.delaying { // the aliases may have moved, and writers must not keep waiting
				_ = r.releaseWriters(ctx)
			}
			return err
		}
	}
	r.moved, r.blocked = true, false
	return nil
}

// copyLastWrites copies what was written to the old index before the move. If a late write makes the counts differ, it
// waits and tries again.
func (r *Run) copyLastWrites(ctx context.Context) error {
	const tries = 3
	var err error
	for try := range tries {
		if try > 0 {
			if err := r.drainWrites(ctx); err != nil {
				return err
			}
		}
		if _, err = r.pass(ctx, elastic.Newer); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (r *Run) blockWrites(ctx context.Context) error {
	r.blocked = true
	return r.cluster.BlockWrites(ctx, r.state.Old)
}

// allowWrites reverts the preparations for a switch that refuses writers.
func (r *Run) allowWrites(ctx context.Context) error {
	r.blocked = true
	if err := r.cluster.AllowWrites(ctx, r.state.Old); err != nil {
		return err
	}
	r.blocked = false
	if r.state.concrete() && r.state.KeepOld {
		return r.cluster.DeleteIndex(ctx, r.state.Kept())
	}
	return nil
}

func (r *Run) copyWhileBlocked(ctx context.Context) error {
	_, err := r.pass(ctx, elastic.NotOlder)
	return err
}

// cloneOld keeps the old index as a clone if its own name becomes an alias.
func (r *Run) cloneOld(ctx context.Context) error {
	if !r.state.concrete() || !r.state.KeepOld {
		return nil
	}
	return r.cluster.CloneIndex(ctx, r.state.Old, r.state.Kept())
}

func (r *Run) applyLastSettings(ctx context.Context) error {
	return r.cluster.PutSettings(ctx, r.state.New, r.lastSettings())
}

func (r *Run) blockOld(ctx context.Context) error { return r.cluster.BlockWrites(ctx, r.state.Old) }

// copyRest copies what was written to the old index after the last pass, until it was blocked, and compares the two
// indices. If the switch refused writers, nothing was written since.
func (r *Run) copyRest(ctx context.Context) error {
	if r.state.Result.Refused {
		return nil
	}
	_, err := r.pass(ctx, elastic.Newer)
	return err
}

func (r *Run) checkAliases(ctx context.Context) error {
	if at, err := r.where(ctx); err != nil || at != atNew {
		return errors.Join(err, r.misplaced())
	}
	return nil
}

func (r *Run) removeOld(ctx context.Context) error {
	if r.state.KeepOld {
		return nil
	}
	return r.cluster.DeleteIndex(ctx, r.state.Old)
}
