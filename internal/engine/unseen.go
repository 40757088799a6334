package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// unseen returns the review of a target that can't be previewed, with the reason as its error. An execution that is
// still open on the target may be the reason, as after a crash: apply adopts it before it previews. Then the result is
// a review without a preview, and no error.
func (e *Engine) unseen(ctx context.Context, review Review, reason error) (Review, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return Review{}, reason
	}
	rec, ok, err := blocking(ctx, store, review.Target, review.Locks)
	if err != nil || !ok {
		return Review{}, reason
	}
	p := problem.Of(reason, "The target can't be previewed")
	review.Unseen = true
	review.Warnings = append(review.Warnings, fmt.Sprintf(
		"Execution %d of %s is still open on it, started at %s by %s. Until it ends, this execution can't be "+
			"previewed: %s. %s\n\nIf that process no longer exists, apply first adopts its work. The rest is "+
			"previewed during apply, before any of it runs, and refused if it needs an approval that is missing.",
		rec.ID, rec.Subject.Playbook, rec.CreatedAt.UTC().Format(time.RFC3339), rec.Holder, p.What, p.Why))
	return review, nil
}

// outOfSight returns the error, inside an apply, for a target that was previewed at plan and can't be previewed now. An
// unknown preview is not an option: Terraform reports a known value that becomes unknown as "a bug in the provider".
func outOfSight(reason error) error {
	p := *problem.Of(reason, "The target can't be previewed")
	p.Err, p.Next = reason, "Nothing has run. Plan again and apply the new plan. "+p.Next
	return &p
}
