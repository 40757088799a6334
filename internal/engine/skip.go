package engine

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// Skip journals that run_if prevented the request, with the digest of the preview that was shown, or "" if there was
// none. The target is named, but not previewed, and nothing runs.
func (e *Engine) Skip(ctx context.Context, req Request, digest string) error {
	action, err := e.bind(&req)
	if err != nil {
		return err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return err
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	about, err := subject(req, Review{Target: target})
	if err != nil {
		return err
	}
	about.Digest = digest
	e.cfg.Planned.became(digest, stepSkipped)
	rec, err := store.Begin(ctx, about, journal.KindSkip, journal.Intent{
		Digest: digest, Params: req.Params, Triggers: req.Triggers, Holder: e.cfg.Self,
		Session:       e.cfg.Terraform.Session,
		Configuration: e.cfg.Configuration,
	})
	if err == nil {
		logging.Info(ctx, logging.Engine, "skipped: run_if is false", "record", rec.ID, "playbook", req.ActionType,
			"target", target)
	}
	return err
}
