package reindex

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// firstPoll and lastPoll bound the interval for polling the copy's task, which is the time it has taken so far
	// divided by pollShare. The end of a short copy is noticed soon, and a long copy is not polled too often.
	firstPoll = 20 * time.Millisecond
	lastPoll  = 2 * time.Second
	pollShare = 64
	// journalEvery is how often progress is journaled.
	journalEvery = 15 * time.Second
	// smallPass and shortPass say when the switch may begin: after a pass with at most this many changes, or of at most
	// this duration. The last pass, during which writers wait, is then about as small.
	smallPass = 500
	shortPass = time.Second
	// mostPasses bounds the attempts to catch up with the writers.
	mostPasses = 40
	// healthTimeout is how long the server is asked to wait for the replicas of the new index, before the old index is
	// checked again.
	healthTimeout = 15 * time.Second
)

// awaitCopy waits for the server's copy and journals its progress.
func (r *Run) awaitCopy(ctx context.Context) error {
	start := r.clk.Now()
	pause := func(elapsed time.Duration) time.Duration { return min(max(firstPoll, elapsed/pollShare), lastPoll) }
	return clock.Poll(ctx, r.clk, pause, func(time.Duration) (bool, error) {
		p, err := r.cluster.Copy(ctx, r.state.Task)
		switch {
		case elastic.IsMissing(err):
			return false, r.failed("It is unknown how the copy ended",
				fmt.Sprintf("The cluster no longer has its task %s: a node was restarted.",
					r.state.Task), err)
		case err != nil:
			return false, err
		case p.Failure != "":
			return false, r.failed("The copy failed", p.Failure, nil)
		case p.Completed:
			r.state.Total, r.state.Done = p.Total, p.Done
			r.state.Result.Copied = p.Done
			r.state.Result.CopyTime += r.clk.Now().Sub(start)
			return true, nil
		case r.clk.Now().Sub(r.saved) < journalEvery:
			return false, nil
		}
		if p, err = r.cluster.WithParts(ctx, r.state.Task, p); err != nil {
			return false, err
		}
		r.state.Total, r.state.Done = p.Total, p.Done
		r.last.touch(ctx)
		return false, r.enter(ctx, StageCopy)
	})
}

// catchUp copies what was written during the copy, prepares the new index for clients, and ends with a small or short
// pass.
func (r *Run) catchUp(ctx context.Context) error {
	if err := r.passUntilSmall(ctx); err != nil {
		return err
	}
	if err := r.applySettings(ctx); err != nil {
		return err
	}
	// Creating the replicas took time, during which clients wrote.
	return r.passUntilSmall(ctx)
}

// passUntilSmall repeats passes until one is small or short; see smallPass.
func (r *Run) passUntilSmall(ctx context.Context) error {
	for range mostPasses {
		start := r.clk.Now()
		changed, err := r.pass(ctx, elastic.NotOlder)
		if err != nil {
			return err
		}
		if changed <= smallPass || r.clk.Now().Sub(start) <= shortPass {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return r.failed("The copy can't catch up",
		fmt.Sprintf("Clients write to %s faster than its documents can be copied.", r.state.Old), nil)
}

// applySettings applies the final settings to the new index, except lastSettings, and waits until it is green. It does
// not wait while the old index is not green either.
func (r *Run) applySettings(ctx context.Context) error {
	now := maps.Clone(r.state.Late)
	for name := range r.lastSettings() {
		delete(now, name)
	}
	if err := r.cluster.PutSettings(ctx, r.state.New, now); err != nil {
		return err
	}
	// The documents copied earlier may not be on disk yet.
	if err := r.cluster.Flush(ctx, r.state.New); err != nil {
		return err
	}
	// Creating replicas takes as long as copying files. Only the caller's context bounds it. If a node fails meanwhile,
	// the old index has lost replicas, too.
	for {
		old, err := r.cluster.Health(ctx, r.state.Old)
		if err != nil || !old.Green {
			return err
		}
		err = r.cluster.WaitForHealth(ctx, r.state.New, "green", healthTimeout)
		if !errors.Is(err, elastic.ErrTimeout) || ctx.Err() != nil {
			return err
		}
	}
}

// lastSettings are the settings that passes can't work with: a pipeline that they can't bypass, and how long the
// version of a deleted document is remembered.
func (r *Run) lastSettings() map[string]any {
	last := map[string]any{}
	for _, name := range []string{"index.final_pipeline", "index.gc_deletes"} {
		last[name] = r.state.Late[name]
	}
	return last
}
