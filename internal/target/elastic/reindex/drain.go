package reindex

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// drainPoll is the interval for polling the task list while requests to the old index end.
	drainPoll = 20 * time.Millisecond
	// undecidedTimeout bounds the wait for requests that may be waiting at the new index instead.
	undecidedTimeout = time.Second
	// releasePause is the pause between two attempts to release waiting writers.
	releasePause = time.Second
)

func (r *Run) drainWrites(ctx context.Context) error { return r.drain(ctx, elastic.Writes) }

func (r *Run) drainReads(ctx context.Context) error {
	if r.state.KeepOld {
		return nil
	}
	return r.drain(ctx, elastic.Reads)
}

// drain waits until the requests of a kind (elastic.Writes or elastic.Reads) that had resolved the old index have
// ended. If the task list does not show where a request works, drain waits for it only up to undecidedTimeout, because
// a single update may already be waiting at the new index for this process.
func (r *Run) drain(ctx context.Context, kind string) error {
	first := true
	return clock.Poll(ctx, r.clk, clock.Every(drainPoll), func(waited time.Duration) (bool, error) {
		now, err := r.cluster.InFlight(ctx, kind, r.state.Old)
		if err != nil {
			return false, err
		}
		if first {
			r.undecided, first = now.Undecided, false
		}
		ended := func(id string) bool { return !slices.Contains(now.Undecided, id) }
		r.undecided = slices.DeleteFunc(r.undecided, ended)
		logging.Debug(ctx, logging.Elasticsearch, "drain requests", "kind", kind, "index", r.state.Old, "on_index",
			len(now.On), "undecided", len(r.undecided), "waited_ms", waited.Milliseconds())
		return len(now.On) == 0 && (len(r.undecided) == 0 || waited >= undecidedTimeout), nil
	})
}

// awaitUpdates waits for the updates that the drain skipped, which may have run on the old index.
func (r *Run) awaitUpdates(ctx context.Context) error { return r.await(ctx, r.undecided) }

// await waits until all of the requests have ended.
func (r *Run) await(ctx context.Context, requests []string) error {
	if len(requests) == 0 {
		return nil
	}
	return clock.Poll(ctx, r.clk, clock.Every(drainPoll), func(time.Duration) (bool, error) {
		now, err := r.cluster.InFlight(ctx, elastic.Writes, r.state.New)
		requests = slices.DeleteFunc(requests, func(id string) bool {
			return !slices.Contains(now.On, id) && !slices.Contains(now.Undecided, id)
		})
		return len(requests) == 0, err
	})
}

// releaseWriters retries release for a while unless the cluster refuses it, because clients are waiting. The settings
// that make them wait must not stay: a later reindex would take them for the user's.
func (r *Run) releaseWriters(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, switchTimeout)
	defer done()
	var failure error
	err := clock.Poll(ctx, r.clk, clock.Every(releasePause), func(time.Duration) (bool, error) {
		failure = r.release(ctx)
		refused := elasticsearch.FateOf(failure) == elasticsearch.Refused && !errors.Is(failure, elastic.ErrBusy)
		return failure == nil || refused, nil
	})
	return errors.Join(failure, err)
}

// replicas returns the number of active replicas that every shard of the new index has at least.
func (r *Run) replicas(ctx context.Context) (int, error) {
	h, err := r.cluster.Health(ctx, r.state.New)
	return max(0, h.MinActive-1), err
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
	r.delaying = false
	rest := map[string]any{}
	if expand := r.state.Late[autoExpand]; expand != nil {
		rest[autoExpand] = expand
	}
	if n, ok := r.state.Late["index.number_of_replicas"]; ok && fmt.Sprint(n) != fmt.Sprint(replicas) {
		// An unassigned replica would make writes that have not continued yet wait again.
		if err := r.awaitWaiting(ctx); err != nil {
			return err
		}
		rest["index.number_of_replicas"] = n
	}
	if len(rest) == 0 {
		return nil
	}
	return r.cluster.PutSettings(ctx, r.state.New, rest)
}

// awaitWaiting waits until the writes that waited at the new index have ended, but at most drainTimeout.
func (r *Run) awaitWaiting(ctx context.Context) error {
	first, err := r.cluster.InFlight(ctx, elastic.Writes, r.state.New)
	if err != nil {
		return err
	}
	late, err := within(ctx, drainTimeout, func(ctx context.Context) error {
		return r.await(ctx, slices.Concat(first.On, first.Undecided))
	})
	if late {
		return nil
	}
	return err
}
