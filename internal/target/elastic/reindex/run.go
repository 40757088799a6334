package reindex

import (
	"context"
	"errors"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Errors from Run.Wait, in addition to those of package elastic.
var (
	// ErrFailed: the copy failed. Clients continue to use the old index, and the new one was removed.
	ErrFailed = errors.New("the reindex failed")
	// ErrUnfinished: clients use the new index, but a step after the switch failed.
	ErrUnfinished = errors.New("the reindex is not finished")
	// ErrStillRunning: the copy could not be stopped and continues. Its index was not removed.
	ErrStillRunning = errors.New("the copy still runs")
	// ErrLeave comes from the caller, when another process continues the reindex: if an error from save or the cause of
	// the context's end wraps it, Wait returns at once and changes nothing more.
	ErrLeave = errors.New("another process continues the reindex")
)

// Run is a reindex in progress. Only one goroutine may use it.
type Run struct {
	cluster *elastic.Cluster
	clk     clock.Clock
	state   State
	save    func(ctx context.Context, state State) error
	// last is the snapshot of the old index from the newest pass.
	last snapshot
	// seen is the highest sequence number per shard that a pass has copied.
	seen []int64
	// page is how many documents are read at a time, and names how many of their names.
	page, names int
	// open reports that clients may write to the new index.
	open bool
	// delaying reports that writers may be waiting at the new index, blocked that the old index may refuse them. Both
	// must be reverted.
	delaying, blocked bool
	// moved reports that the aliases have moved to the new index.
	moved bool
	// written is what this Run has written to the new index after the move.
	written written
	// saved is when the state was last journaled.
	saved time.Time
	// unadoptable is why an adopted Run can't continue.
	unadoptable error
	// notOurs reports that the index under the new name may not be this Run's.
	notOurs bool
	// maybeCopying reports that the answer to the start of the copy was lost.
	maybeCopying bool
	// undecided contains the updates that a drain did not wait for.
	undecided []string
}

// Copier starts and adopts Runs on one cluster.
type Copier struct {
	cluster *elastic.Cluster
	clk     clock.Clock
}

// New returns a Copier. It does no I/O.
func New(cluster *elastic.Cluster, clk clock.Clock) Copier { return Copier{cluster, clk} }

// Start returns a Run that has sent no request yet.
func (c Copier) Start(req Request) *Run { return c.resume(State{Request: req, Stage: StageCreate}) }

func (c Copier) resume(state State) *Run {
	return &Run{cluster: c.cluster, clk: c.clk, state: state, page: pageMost, names: pageNames}
}

// Request returns the request. After Wait, its New is the name that the new index really got.
func (r *Run) Request() Request { return r.state.Request }

// Wait does the work. If ctx ends before the switch has begun, Wait stops the copy, removes the new index and restores
// the original state. If it ends later, Wait completes the work. An error wraps ErrFailed if clients use the old index
// and the new one was removed, ErrStillRunning if the copy could not be stopped, ErrUnfinished if clients use the new
// index, and none of these if the rollback failed, too.
func (r *Run) Wait(ctx context.Context, save func(ctx context.Context, state State) error) (Result, error) {
	r.save = save
	defer func() { r.last.close(context.WithoutCancel(ctx)) }()
	caller := ctx
	err := r.prepare(ctx)
	if err == nil {
		// From here on, the end of ctx stops nothing: once the aliases have moved, a rollback would lose writes, and
		// only about a second of work remains.
		var done context.CancelFunc
		ctx, done = context.WithTimeout(context.WithoutCancel(ctx), switchTimeout)
		defer done()
		err = r.switchOver(ctx)
	}
	switch {
	case err == nil:
		return r.state.Result, nil
	case errors.Is(err, ErrLeave):
		return r.state.Result, err
	case errors.Is(context.Cause(caller), ErrLeave):
		// The error of a request that the end of ctx interrupted may not name the cause.
		return r.state.Result, errors.Join(ErrLeave, err)
	case r.state.Stage == StageFinish:
		return r.state.Result, r.unfinished(err)
	default:
		return r.state.Result, r.rollBack(ctx, err)
	}
}

// enter journals that a stage is about to begin.
func (r *Run) enter(ctx context.Context, stage Stage) error {
	r.state.Stage = stage
	r.saved = r.clk.Now()
	return r.save(ctx, r.state)
}

// prepare creates the new index and copies the old one into it until the switch can begin.
func (r *Run) prepare(ctx context.Context) error {
	if r.unadoptable != nil {
		return r.unadoptable
	}
	resumed := r.state.Stage
	if err := r.measure(ctx); err != nil {
		return err
	}
	if resumed == StageCreate {
		if err := r.create(ctx); err != nil {
			return err
		}
	}
	if resumed == StageCreate || resumed == StageCopy {
		if err := r.awaitCopy(ctx); err != nil {
			return err
		}
		if err := r.enter(ctx, StageCatchUp); err != nil {
			return err
		}
	}
	if resumed == StageSwitch || resumed == StageFinish {
		return r.resumeSwitch(ctx)
	}
	return r.catchUp(ctx)
}
