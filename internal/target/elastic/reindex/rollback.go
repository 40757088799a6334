package reindex

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// rollBack restores the original state: it stops the copy, removes the new index, and lets writers continue.
func (r *Run) rollBack(ctx context.Context, cause error) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), switchTimeout)
	defer done()
	// Don't remove an index that clients may be using: the answer to a switch can have been lost. In StageCreate,
	// nobody uses the new index, even if a template gave it an alias: its writes are blocked until verify has found no
	// alias.
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
	if !r.notOurs {
		if err := r.cluster.DeleteIndex(ctx, r.state.New); err != nil {
			return r.stuck(cause, err)
		}
	}
	p := *problem.Of(cause, "The reindex failed")
	p.Next += fmt.Sprintf(" Clients still use %s, and the unfinished index no longer exists.", r.state.Old)
	p.Err = errors.Join(ErrFailed, cause)
	return &p
}

// stopCopy stops the copy, if there is one, and returns once it has ended.
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

// stillRunning is the error for a copy that could not be stopped. The new index is kept: if it were removed, the next
// write of the copy would create it again with other mappings.
func (r *Run) stillRunning(cause, err error) error {
	task := r.state.Task
	if task == "" {
		task = "<task>"
	}
	p := *problem.Of(cause, "The reindex failed")
	p.What = fmt.Sprintf("The copy of %s to %s could not be stopped, and still runs", r.state.Old, r.state.New)
	p.Why = strings.TrimSpace(problem.Of(cause, "").Error() + " " + problem.Of(err, "").Error())
	p.Next = fmt.Sprintf("Clients still use %s. Cancel the copy with POST /_tasks/%s/_cancel, which needs the cluster "+
		"privilege manage, then delete %s.", r.state.Old, task, r.state.New)
	p.Err = errors.Join(ErrStillRunning, cause, err)
	return &p
}

func (r *Run) stuck(cause, err error) error {
	p := *problem.Of(cause, "The reindex failed")
	if err != nil {
		p.Why += " Undoing it failed, too: " + err.Error()
	}
	p.Next = fmt.Sprintf("Check whether clients that use %s reach %s or %s. Remove the index that they don't use if "+
		"this provider created it, and the write block from the one in use.", r.state.Name, r.state.Old, r.state.New)
	p.Err = errors.Join(cause, err)
	return &p
}

// unfinished is the error for failures after the switch.
func (r *Run) unfinished(cause error) error {
	p := *problem.Of(cause, "The reindex is not finished")
	p.What = fmt.Sprintf("Clients use %s as %s now, but the reindex is not finished", r.state.New, r.state.Name)
	p.Why = problem.Of(cause, "").Error()
	p.Next = fmt.Sprintf("%s is still there: compare the two, and remove it.", r.state.Old)
	if r.delaying {
		p.Next += fmt.Sprintf(" Writes to %s are waiting: reset index.write.wait_for_active_shards, "+
			"index.routing.allocation.enable and index.number_of_replicas there.", r.state.New)
	}
	p.Err = errors.Join(ErrUnfinished, cause)
	return &p
}

func (r *Run) failed(what, why string, cause error) error {
	return &problem.Problem{What: what, Why: why, Next: "Fix the cause, then apply again.", Err: cause}
}

func (r *Run) miscounted(want, have int64) error {
	return r.failed("The new index is not complete", fmt.Sprintf("It has %d documents where the old one has %d.", have,
		want), nil)
}
