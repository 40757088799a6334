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
	// drainPoll is the interval for polling the task list while requests to the old index end.
	drainPoll = 20 * time.Millisecond
	// drainTimeout bounds the wait for writes to the old index, while clients wait at the new one.
	drainTimeout = 10 * time.Second
	// undecidedTimeout bounds the wait for requests that may be waiting at the new index instead.
	undecidedTimeout = time.Second
	// readTimeout is how long searches of the old index may take before it is removed anyway.
	readTimeout = 30 * time.Second
	// releasePause is the pause between two attempts to release waiting writers.
	releasePause = time.Second
	// finishTries bounds the attempts at the last pass while writers wait.
	finishTries = 3
)

// autoExpand lets Elasticsearch choose the number of replicas.
const autoExpand = "index.auto_expand_replicas"

// refuses reports whether writers have to be refused during the switch instead of delayed.
func (r *Run) refuses() bool {
	pipeline, _ := r.state.Late["index.final_pipeline"].(string)
	return r.state.concrete() || pipeline != "" && pipeline != "_none"
}

// whereLeft determines how far a process that died got with the switch. If the switch has not happened, whereLeft first
// releases writers that wait or are refused.
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

// switchOver replaces the old index with the new one and completes the remaining steps.
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

// hold makes writers wait at the new index while the last writes to the old one are copied.
func (r *Run) hold(ctx context.Context, done bool) error {
	r.held = true // if the switch is already done, its process may have died while writers waited
	if !done {
		if err := r.stop(ctx); err != nil {
			return err
		}
		if err := r.cluster.MoveAliases(ctx, r.state.Old, r.state.New, ""); err != nil {
			// If the answer was lost, the switch may have happened, and writers must not keep waiting.
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
		// Clients now use the new index, and the old one is kept.
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

// stop makes writes to the new index wait by requiring a shard copy that can't become active.
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

// replicas returns the number of replicas that each shard of the new index certainly has.
func (r *Run) replicas(ctx context.Context) (int, error) {
	h, err := r.cluster.Health(ctx, r.state.New)
	return max(0, h.MinActive-1), err
}

// releaseFor retries release for a while if the cluster can't be reached or is busy, because clients are waiting.
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

// release lets waiting writes continue. They require all configured shard copies, so the number is first reduced to the
// active ones.
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
		// An unassigned replica would make writes that have not continued yet wait again.
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

// await waits until all of the requests have ended, for drainTimeout at most.
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

// drain waits until the requests that had resolved the old index have ended, up to a timeout. If the task list does not
// show where a request works, drain waits for it only up to undecidedTimeout, because a single update may already be
// waiting at the new index for this process.
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

// settle blocks the old index and compares it once more, then removes it unless it is kept.
func (r *Run) settle(ctx context.Context) error {
	if r.state.concrete() {
		return nil // it was cloned if it is kept, and deleted
	}
	gone, err := r.cluster.IsGone(ctx, r.state.Old)
	if err != nil || gone {
		return err
	}
	// These are updates that the drain skipped, and that may have run on the old index.
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
