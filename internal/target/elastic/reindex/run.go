package reindex

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Errors of a Run, in addition to those of package elastic.
var (
	// ErrFailed: the copy failed. Clients continue to use the old index, and the new one was removed.
	ErrFailed = errors.New("the reindex failed")
	// ErrUnfinished: clients use the new index, but a step after the switch failed.
	ErrUnfinished = errors.New("the reindex is not finished")
	// ErrDiffers: the index that Elasticsearch created differs from the plan.
	ErrDiffers = errors.New("not as planned")
	// ErrStillRunning: the copy could not be stopped and continues. Its index was not removed.
	ErrStillRunning = errors.New("the copy still runs")
	// ErrLeave is for the caller: if an error of save or a cause of the context's end wraps it, Wait returns at once
	// and changes nothing more, because another process continues the reindex.
	ErrLeave = errors.New("the reindex is somebody else's now")
)

const (
	// firstPoll and lastPoll bound the interval of polling the copy's task, which is pollShare of the time it has taken
	// so far. The end of a short copy is noticed soon, and a long copy is not polled too often.
	firstPoll = 20 * time.Millisecond
	lastPoll  = 2 * time.Second
	pollShare = 64
	// journalEvery is how often progress is journaled.
	journalEvery = 15 * time.Second
	// smallPass is the limit of documents in a pass before the switch may begin. It approximates the work of the last
	// pass, during which writers wait.
	smallPass = 500
	// shortPass is the alternative limit, in time.
	shortPass = time.Second
	// mostPasses bounds the attempts to catch up with the writers.
	mostPasses = 40
	// healthPatience is how long the server is asked to wait for the replicas of the new index, before the old index is
	// checked again.
	healthPatience = 15 * time.Second
	// startTimeout is how long the shards of the new index may take to start.
	startTimeout = 30 * time.Second
	// cleanupPatience bounds the rollback, and the steps after the switch has begun. Both continue after the caller's
	// context has ended.
	cleanupPatience = 5 * time.Minute
)

// Run is a reindex in progress. It is used by one goroutine.
type Run struct {
	cluster *elastic.Cluster
	clk     clock.Clock
	state   State
	save    func(ctx context.Context, state State) error
	// last is the newest pass's view of the old index.
	last look
	// seen is the highest sequence number per shard that a pass has copied.
	seen []int64
	// page is how many documents are read at a time.
	page int
	// open reports that clients may write to the new index.
	open bool
	// held and blocked report what must be reverted: writers that wait at the new index, or that the old one refuses.
	held, blocked bool
	// paused is when writers were stopped.
	paused time.Time
	// saved is when the state was last journaled.
	saved time.Time
	// orphan is why an adopted Run can't continue.
	orphan error
	// theirs reports that the index under the new name may not be this Run's.
	theirs bool
	// maybeCopying reports that the answer to the start of the copy was lost.
	maybeCopying bool
	// undecided contains the updates that a drain did not wait for.
	undecided []string
}

// Copier makes Runs on one cluster.
type Copier struct {
	cluster *elastic.Cluster
	clk     clock.Clock
}

// New returns a Copier. It does no I/O.
func New(cluster *elastic.Cluster, clk clock.Clock) Copier { return Copier{cluster, clk} }

// Start returns a Run that has sent no request yet.
func (c Copier) Start(req Request) *Run { return c.resume(State{Request: req, Stage: StageCreate}) }

func (c Copier) resume(state State) *Run {
	return &Run{cluster: c.cluster, clk: c.clk, state: state, page: pageMost}
}

// Request returns the request. Its New is the name that Wait has chosen.
func (r *Run) Request() Request { return r.state.Request }

// Wait does the work. If ctx ends before the switch has begun, Wait stops the copy, removes the new index and restores
// the original state. If it ends later, Wait completes the work. An error wraps ErrFailed if clients use the old index
// and the new one was removed, ErrUnfinished if they use the new one, and neither if the rollback failed too.
func (r *Run) Wait(ctx context.Context, save func(ctx context.Context, state State) error) (Result, error) {
	r.save = save
	defer func() { r.last.close(context.WithoutCancel(ctx)) }()
	err := r.toSwitch(ctx)
	if err == nil {
		// From here on a rollback would lose writes, and only about a second of work remains.
		var done context.CancelFunc
		ctx, done = context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
		defer done()
		err = r.switchOver(ctx)
	}
	switch {
	case err == nil:
		return r.state.Result, nil
	case errors.Is(err, ErrLeave):
		return r.state.Result, err
	case r.state.Stage == StageSettle:
		return r.state.Result, r.unfinished(err)
	default:
		return r.state.Result, r.back(ctx, err)
	}
}

// enter journals that a stage is about to begin.
func (r *Run) enter(ctx context.Context, stage Stage) error {
	r.state.Stage = stage
	r.saved = r.clk.Now()
	return r.save(ctx, r.state)
}

// toSwitch creates the new index and copies the old one into it until the switch can begin.
func (r *Run) toSwitch(ctx context.Context) error {
	if r.orphan != nil {
		return r.orphan
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
	if resumed == StageSwitch || resumed == StageSettle {
		return r.whereLeft(ctx)
	}
	return r.catchUp(ctx)
}

// measure chooses how many documents are read at a time.
func (r *Run) measure(ctx context.Context) error {
	if r.state.Stage == StageSettle {
		return nil // the old index may not exist any more
	}
	size, err := r.cluster.Size(ctx, r.state.Old)
	if elastic.IsMissing(err) && r.state.Stage == StageSwitch {
		return nil // replaced by an alias
	}
	if err == nil && size.Documents > 0 {
		r.page = int(max(1, min(pageMost, pageBytes/max(1, size.Bytes/size.Documents))))
	}
	return err
}

func (r *Run) create(ctx context.Context) error {
	if kept := r.state.Kept(); r.state.concrete() && kept != "" {
		gone, err := r.cluster.IsGone(ctx, kept)
		if err != nil {
			return err
		}
		if !gone {
			return errors.Join(elastic.ErrExists, r.failed("There is an index called "+kept+" already",
				"The old index is to be kept under that name.", nil))
		}
	}
	if err := r.freeName(ctx); err != nil {
		return err
	}
	old, err := r.cluster.DescribeNow(ctx, r.state.Old)
	if err != nil {
		return err
	}
	create, late, err := definition(old)
	if err != nil {
		return err
	}
	r.state.Late, r.state.Aliases = late, old.AliasNames()
	// The copy reads what a search finds. It must find everything up to the checkpoints, and look ensures this.
	if r.last, err = r.look(ctx); err != nil {
		return err
	}
	r.state.Checkpoints = r.last.checkpoints
	if err := r.enter(ctx, StageCreate); err != nil {
		return err
	}
	if err := r.cluster.CreateIndex(ctx, r.state.New, create); err != nil {
		r.theirs = elasticsearch.FateOf(err) != elasticsearch.Lost || !r.madeIt(ctx)
		return err
	}
	if err := r.verify(ctx, create); err != nil {
		return err
	}
	if err := r.cluster.WaitForHealth(ctx, r.state.New, "yellow", startTimeout); err != nil {
		return err
	}
	if r.state.Task, err = r.cluster.StartCopy(ctx, r.state.copy()); err != nil {
		r.maybeCopying = elasticsearch.FateOf(err) == elasticsearch.Lost
		return err
	}
	return r.enter(ctx, StageCopy)
}

// freeName chooses another name if an index with the planned name exists, because a new journal numbers its executions
// from 1 again.
func (r *Run) freeName(ctx context.Context) error {
	const mostNames = 100
	planned := r.state.New
	for n := 2; ; n++ {
		gone, err := r.cluster.IsGone(ctx, r.state.New)
		if err != nil || gone {
			return err
		}
		if n > mostNames {
			return errors.Join(elastic.ErrExists, r.failed("There is no free name for the new index",
				"All names up to "+r.state.New+" are taken.", nil))
		}
		r.state.New = fmt.Sprintf("%s-%d", planned, n)
	}
}

// madeIt reports whether the index under the new name is the one that create requested: it is empty and blocked.
func (r *Run) madeIt(ctx context.Context) bool {
	index, err := r.cluster.DescribeNow(context.WithoutCancel(ctx), r.state.New)
	if err != nil || index.Setting("blocks.write") != "true" {
		return false
	}
	count, err := r.cluster.Count(context.WithoutCancel(ctx), r.state.New)
	return err == nil && count == 0
}

// awaitCopy waits for the server's copy and journals its progress.
func (r *Run) awaitCopy(ctx context.Context) error {
	start := r.clk.Now()
	for {
		p, err := r.cluster.Copy(ctx, r.state.Task)
		if elastic.IsMissing(err) {
			return r.failed("It is unknown how the copy ended",
				fmt.Sprintf("The cluster knows nothing of its task %s any more: a node was restarted.",
					r.state.Task), err)
		}
		if err != nil {
			return err
		}
		if p.Failure != "" {
			return r.failed("The copy failed", p.Failure, nil)
		}
		if p.Completed {
			r.state.Total, r.state.Done = p.Total, p.Done
			r.state.Result.Copied = p.Done
			r.state.Result.CopyTime += r.clk.Now().Sub(start)
			return nil
		}
		if r.clk.Now().Sub(r.saved) >= journalEvery {
			if p, err = r.cluster.WithParts(ctx, r.state.Task, p); err != nil {
				return err
			}
			r.state.Total, r.state.Done = p.Total, p.Done
			if err := r.enter(ctx, StageCopy); err != nil {
				return err
			}
			r.last.touch(ctx)
		}
		if err := r.clk.Sleep(ctx, min(max(firstPoll, r.clk.Now().Sub(start)/pollShare), lastPoll)); err != nil {
			return err
		}
	}
}

// catchUp copies what was written during the copy, prepares the new index for clients, and ends with a small pass.
func (r *Run) catchUp(ctx context.Context) error {
	if err := r.near(ctx); err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	// Creating the replicas took time, during which clients wrote.
	return r.near(ctx)
}

// near repeats passes until one is small.
func (r *Run) near(ctx context.Context) error {
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
		fmt.Sprintf("Clients write faster to %s than its documents can be brought over.", r.state.Old), nil)
}

// ready applies the final settings to the new index, and waits until it has as many active shard copies as the old one.
func (r *Run) ready(ctx context.Context) error {
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
	// Creating replicas takes as long as copying files. The caller's context bounds it. If a node fails meanwhile, the
	// old index has lost its replicas too.
	for {
		old, err := r.cluster.Health(ctx, r.state.Old)
		if err != nil || !old.Green {
			return err
		}
		err = r.cluster.WaitForHealth(ctx, r.state.New, "green", healthPatience)
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

// back restores the original state: it stops the copy, removes the new index, and lets writers continue.
func (r *Run) back(ctx context.Context, cause error) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer done()
	// Don't remove an index that clients may be using: the answer to a switch can have been lost. A new index under
	// construction is blocked, whatever alias a template gave it.
	if r.state.Stage != StageCreate {
		if at, err := r.where(ctx); err != nil || at != atOld {
			return r.stuck(cause, err)
		}
	}
	if r.blocked {
		if err := r.allowWrites(ctx); err != nil {
			return r.stuck(cause, err)
		}
	}
	if err := r.stopCopy(ctx); err != nil {
		return r.stillRunning(cause, err)
	}
	if !r.theirs {
		if err := r.cluster.DeleteIndex(ctx, r.state.New); err != nil {
			return r.stuck(cause, err)
		}
	}
	p := *problem.Of(cause, "The reindex failed")
	p.Next += fmt.Sprintf(" Clients go on with %s, and the unfinished index is gone.", r.state.Old)
	p.Err = errors.Join(ErrFailed, cause)
	return &p
}

// stopCopy returns once the copy has ended.
func (r *Run) stopCopy(ctx context.Context) error {
	if r.maybeCopying {
		task, err := r.cluster.FindCopy(ctx, r.state.New)
		if elastic.IsMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		r.state.Task = task
	}
	if r.state.Task == "" {
		return nil
	}
	err := r.cluster.CancelCopy(ctx, r.state.Task)
	if err == nil {
		return nil
	}
	if p, lookErr := r.cluster.Copy(ctx, r.state.Task); lookErr == nil && p.Completed {
		return nil
	}
	return err
}

// stillRunning is the error for a copy that could not be stopped. If its index were removed, Elasticsearch would
// recreate it with other mappings.
func (r *Run) stillRunning(cause, err error) error {
	task := r.state.Task
	if task == "" {
		task = "<task>"
	}
	p := *problem.Of(cause, "The reindex failed")
	p.What = fmt.Sprintf("The copy of %s to %s could not be stopped, and still runs", r.state.Old, r.state.New)
	p.Why = strings.TrimSpace(problem.Of(cause, "").Error() + " " + problem.Of(err, "").Error())
	p.Next = fmt.Sprintf("Clients go on with %s. Stop the copy with the cluster privilege manage (POST "+
		"/_tasks/%s/_cancel), then remove %s.", r.state.Old, task, r.state.New)
	p.Err = errors.Join(ErrStillRunning, cause, err)
	return &p
}

func (r *Run) stuck(cause, err error) error {
	p := *problem.Of(cause, "The reindex failed")
	if err != nil {
		p.Why += " Undoing it failed, too: " + err.Error()
	}
	p.Next = fmt.Sprintf("Check whether clients that use %s reach %s or %s. Remove the index that they don't use if "+
		"this "+
		"provider created it, and the write block from the one in use.", r.state.Name, r.state.Old, r.state.New)
	p.Err = errors.Join(cause, err)
	return &p
}

// unfinished is the error for failures after the switch.
func (r *Run) unfinished(cause error) error {
	p := *problem.Of(cause, "The reindex is not finished")
	p.What = fmt.Sprintf("Clients use %s as %s now, but the reindex is not finished", r.state.New, r.state.Name)
	p.Why = problem.Of(cause, "").Error()
	p.Next = fmt.Sprintf("%s is still there: compare the two, and remove it.", r.state.Old)
	if r.held {
		p.Next += fmt.Sprintf(" Writes to %s are waiting: reset index.write.wait_for_active_shards, "+
			"index.routing.allocation.enable and index.number_of_replicas there.", r.state.New)
	}
	p.Err = errors.Join(ErrUnfinished, cause)
	return &p
}

func (r *Run) failed(what, why string, cause error) error {
	return &problem.Problem{What: what, Why: why, Next: "Apply again once the reason is gone.", Err: cause}
}

func (r *Run) miscounted(want, have int64) error {
	return r.failed("The new index is not complete", fmt.Sprintf("It has %d documents where the old one has %d.", have,
		want), nil)
}
