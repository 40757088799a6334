package reindex

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// drainPoll is how often the task list is looked at while requests to the old index end.
	drainPoll = 20 * time.Millisecond
	// drainTimeout bounds the wait for writes to the old index, while clients wait at the new one.
	drainTimeout = 10 * time.Second
	// undecidedTimeout bounds the wait for requests that may as well be waiting at the new index.
	undecidedTimeout = time.Second
	// readTimeout is how long searches of the old index may take to end before it is removed all the same.
	readTimeout = 30 * time.Second
	// releasePause is between two tries to let waiting writers go on.
	releasePause = time.Second
	// finishTries is how often the last pass is tried while writers wait.
	finishTries = 3
)

// autoExpand lets Elasticsearch choose the number of copies.
const autoExpand = "index.auto_expand_replicas"

// refuses tells whether writers have to be refused during the switch, rather than made to wait.
func (r *Run) refuses() bool {
	pipeline, _ := r.state.Late["index.final_pipeline"].(string)
	return r.state.concrete() || pipeline != "" && pipeline != "_none"
}

// whereLeft finds out how far the switch of a process that died had come. Writers who wait or are refused are let go on
// first where the switch had not happened.
func (r *Run) whereLeft(ctx context.Context) error {
	at, err := r.where(ctx)
	if err != nil {
		return err
	}
	if at != atOld {
		r.open = r.state.Stage == StageSettle
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

// allowWrites takes back what was done for a switch that refuses writers.
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

// switchOver puts the new index in the place of the old one, and settles what is left to do.
func (r *Run) switchOver(ctx context.Context) error {
	at, err := r.where(ctx)
	if err != nil {
		return err
	}
	if at == atBoth {
		r.held = r.state.Stage != StageCatchUp
		return r.misplaced()
	}
	done := at == atNew
	if r.state.Stage != StageSettle {
		if !done {
			if r.state.Ours, err = r.cluster.Checkpoints(ctx, r.state.New); err != nil {
				return err
			}
		}
		if err := r.enter(ctx, StageSwitch); err != nil && (!done || errors.Is(err, ErrLeave)) {
			return err
		}
		r.paused = r.clk.Now()
		if r.state.Result.Refused = r.refuses(); r.state.Result.Refused {
			err = r.refuse(ctx, done)
		} else {
			err = r.hold(ctx, done)
		}
		if err != nil {
			return err
		}
		r.state.Result.Pause = r.clk.Now().Sub(r.paused)
		if err := r.enter(ctx, StageSettle); err != nil {
			return err
		}
	}
	r.open = true
	return r.settle(ctx)
}

// hold lets writers wait at the new index while the last writes to the old one are brought over.
func (r *Run) hold(ctx context.Context, done bool) error {
	r.held = true // where the switch is done already, whoever made it may have died over it
	if !done {
		if err := r.stop(ctx); err != nil {
			return err
		}
		if err := r.cluster.MoveAliases(ctx, r.state.Old, r.state.New, ""); err != nil {
			// Where the answer was lost the switch may have happened: writers must not wait on.
			if at, lookErr := r.where(ctx); lookErr != nil || at != atNew {
				_ = r.releaseFor(ctx)
				return err
			}
		}
	}
	var err error
	for range finishTries {
		if err = r.drain(ctx, elastic.Writes, drainTimeout); err != nil {
			continue
		}
		if _, err = r.pass(ctx, elastic.Newer); err == nil {
			break
		}
	}
	releaseErr := r.releaseFor(ctx)
	if err == nil {
		err = releaseErr
	}
	if err != nil {
		// Clients are with the new index now, and the old one is kept.
		r.state.Stage = StageSettle
	}
	return err
}

// refuse blocks writes to the old index from before the last pass until the switch.
func (r *Run) refuse(ctx context.Context, done bool) error {
	if done {
		return nil // the switch was the last step
	}
	r.blocked = true
	if err := r.cluster.BlockWrites(ctx, r.state.Old); err != nil {
		return err
	}
	if _, err := r.pass(ctx, elastic.NotOlder); err != nil {
		return err
	}
	if r.state.concrete() && r.state.KeepOld {
		if err := r.cluster.CloneIndex(ctx, r.state.Old, r.state.Kept()); err != nil {
			return err
		}
	}
	if err := r.cluster.PutSettings(ctx, r.state.New, r.lastSettings()); err != nil {
		return err
	}
	replaced := ""
	if r.state.concrete() {
		replaced = r.state.Old
	}
	if err := r.cluster.MoveAliases(ctx, r.state.Old, r.state.New, replaced); err != nil {
		if at, lookErr := r.where(ctx); lookErr != nil || at != atNew {
			return err
		}
	}
	r.blocked = false
	return nil
}

// stop lets writes to the new index wait, by asking for a copy of each shard that is not to be had.
func (r *Run) stop(ctx context.Context) error {
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
	r.held = true
	return r.cluster.PutSettings(ctx, r.state.New, settings)
}

// replicas is how many copies of its primary shard each shard of the new index has for sure.
func (r *Run) replicas(ctx context.Context) (int, error) {
	h, err := r.cluster.Health(ctx, r.state.New)
	return max(0, h.MinActive-1), err
}

// releaseFor is release, tried for a while where the cluster can't be reached or is busy: clients wait.
func (r *Run) releaseFor(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, cleanupPatience)
	defer done()
	for {
		err := r.release(ctx)
		passing := errors.Is(err, elastic.ErrUnreachable) || errors.Is(err, elastic.ErrTimeout) ||
			errors.Is(err, elastic.ErrBusy)
		if !passing || !r.held || r.clk.Sleep(ctx, releasePause) != nil {
			return err
		}
	}
}

// release lets waiting writes go on. They ask for all copies of a shard that there are, so the setting is first brought
// down to those that are active.
func (r *Run) release(ctx context.Context) error {
	replicas, err := r.replicas(ctx)
	if err != nil {
		return err
	}
	settings := r.lastSettings()
	settings["index.number_of_replicas"] = replicas
	for _, name := range []string{"index.routing.allocation.enable", "index.write.wait_for_active_shards"} {
		settings[name] = r.state.Late[name]
	}
	if err := r.cluster.PutSettings(ctx, r.state.New, settings); err != nil {
		return err
	}
	r.held = false
	rest := map[string]any{}
	if expand := r.state.Late[autoExpand]; expand != nil {
		rest[autoExpand] = expand
	}
	if n, ok := r.state.Late["index.number_of_replicas"]; ok && fmt.Sprint(n) != fmt.Sprint(replicas) {
		// An unassigned copy would make those that have not gone on yet wait again.
		if err := r.drainHeld(ctx); err != nil {
			return err
		}
		rest["index.number_of_replicas"] = n
	}
	if len(rest) == 0 {
		return nil
	}
	return r.cluster.PutSettings(ctx, r.state.New, rest)
}

// drainHeld waits until the writes that waited at the new index have ended.
func (r *Run) drainHeld(ctx context.Context) error {
	first, err := r.cluster.InFlight(ctx, elastic.Writes, r.state.New)
	left := slices.Concat(first.On, first.Undecided)
	return r.await(ctx, left, err)
}

// await waits until none of the requests is under way any more, for drainTimeout at most.
func (r *Run) await(ctx context.Context, requests []string, err error) error {
	giveUp := r.clk.Now().Add(drainTimeout)
	for err == nil && len(requests) > 0 && r.clk.Now().Before(giveUp) {
		if err = r.clk.Sleep(ctx, drainPoll); err != nil {
			break
		}
		var now elastic.InFlight
		now, err = r.cluster.InFlight(ctx, elastic.Writes, r.state.New)
		requests = slices.DeleteFunc(requests, func(id string) bool {
			return !slices.Contains(now.On, id) && !slices.Contains(now.Undecided, id)
		})
	}
	return err
}

// drain waits until the requests that had found the old index have ended, for a time at most. A request of which the
// task list does not say where it works is waited for no longer than undecidedTimeout: a single update may wait at the
// new index already, for us.
func (r *Run) drain(ctx context.Context, kind string, timeout time.Duration) error {
	began := r.clk.Now()
	var undecided []string
	for first := true; ; first = false {
		now, err := r.cluster.InFlight(ctx, kind, r.state.Old)
		if err != nil {
			return err
		}
		if first {
			undecided = now.Undecided
		}
		undecided = slices.DeleteFunc(undecided, func(id string) bool { return !slices.Contains(now.Undecided, id) })
		waited := r.clk.Now().Sub(began)
		logging.Debug(ctx, logging.Elasticsearch, "drain requests", "kind", kind, "index", r.state.Old, "on_index",
			len(now.On), "undecided", len(undecided), "waited_ms", waited.Milliseconds())
		if len(now.On) == 0 && (len(undecided) == 0 || waited >= undecidedTimeout) || waited >= timeout {
			r.undecided = undecided
			return nil
		}
		if err := r.clk.Sleep(ctx, drainPoll); err != nil {
			return err
		}
	}
}

// settle blocks the old index and looks at it once more, then removes it unless it is kept.
func (r *Run) settle(ctx context.Context) error {
	if r.state.concrete() {
		return nil // its clone has been made, and it is gone
	}
	gone, err := r.cluster.IsGone(ctx, r.state.Old)
	if err != nil || gone {
		return err
	}
	// Updates that the drain left alone, and that were at the old index after all.
	if err := r.await(ctx, r.undecided, nil); err != nil {
		return err
	}
	if err := r.cluster.BlockWrites(ctx, r.state.Old); err != nil {
		return err
	}
	if !r.state.Result.Refused {
		if _, err := r.pass(ctx, elastic.Newer); err != nil {
			return err
		}
	}
	if at, err := r.where(ctx); err != nil || at != atNew {
		return errors.Join(err, r.misplaced())
	}
	if r.state.KeepOld {
		return nil
	}
	if err := r.drain(ctx, elastic.Reads, readTimeout); err != nil {
		return err
	}
	return r.cluster.DeleteIndex(ctx, r.state.Old)
}
