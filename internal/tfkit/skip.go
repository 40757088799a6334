package tfkit

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// journalSkip records in the journal that the execution was skipped because run_if is false. Nothing runs, so a journal
// that can't be written is only a warning.
func (r *Resource) journalSkip(ctx context.Context, plan document, a applying) {
	if r.runtime == nil || r.runtime.Engine == nil {
		return
	}
	req, known, err := r.request(plan, a.operation)
	if err == nil && known {
		digest := ""
		if shown, shownErr := r.reviewed(plan); shownErr == nil && shown != nil {
			digest = shown.Digest
		}
		err = r.runtime.Engine.Skip(ctx, req, digest)
	}
	if err != nil {
		p := problem.Of(err, "The journal can't be written")
		addWarning(a.diags, "The journal does not record that "+req.ActionType+" was skipped", p.What+". "+p.Detail())
	}
}
