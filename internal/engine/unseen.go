package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// unseen is the review of a target that can't be looked at, with the reason as its error. Where an execution is still
// open on the target, as after a death in the middle, the reason may be just what that one left, and apply settles it
// before it looks itself. So that is a review of which nothing is known, and no error.
func (e *Engine) unseen(ctx context.Context, review Review, reason error) (Review, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return Review{}, reason
	}
	rec, ok, err := inTheWay(ctx, store, review.Target, review.Locks)
	if err != nil || !ok {
		return Review{}, reason
	}
	p := problem.Of(reason, "The target can't be looked at")
	review.Unseen = true
	review.Warnings = append(review.Warnings, fmt.Sprintf(
		"Execution %d of %s is still open on it, begun %s by %s. Until that is settled it can't be seen what this "+
			"one would do: %s. %s\n\n"+
			"If that process is gone, apply first adopts what it began. What is left to do then is previewed within "+
			"apply, before anything of it "+
			"runs, and is refused there if it needs an approval that is not given.",
		rec.ID, rec.Subject.Playbook, rec.CreatedAt.UTC().Format(time.RFC3339), rec.Holder, p.What, p.Why))
	return review, nil
}

// outOfSight refuses, within an apply, what was seen when it was reviewed and can't be looked at now: Terraform calls a
// known value that becomes unknown "a bug in the provider".
func (e *Engine) outOfSight(last []journal.Record, intent journal.Intent, reason error) error {
	if len(last) == 0 || !e.withinApply(last[0], intent) {
		return nil
	}
	p := *problem.Of(reason, "The target can't be looked at")
	p.Err, p.Next = reason, "Nothing has run. Plan again, and apply that. "+p.Next
	return &p
}
