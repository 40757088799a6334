package engine

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// WasShown reports whether the newest record of the request in the journal is a dry run of what would run now: a plan
// has shown it, and nothing has run since. It records nothing. It is false where the target or the journal can't be
// read.
func (e *Engine) WasShown(ctx context.Context, req Request) bool {
	action, err := e.bind(&req)
	if err != nil {
		return false
	}
	review, err := e.look(ctx, req, action)
	if err != nil {
		return false
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return false
	}
	about, err := subject(req, review)
	if err != nil {
		return false
	}
	newest, err := store.Find(ctx, journal.Filter{Request: about.Request, All: true, Limit: 1})
	return err == nil && len(newest) == 1 && newest[0].DryRun && newest[0].Intent.Digest == review.Digest
}
