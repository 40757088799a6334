package engine

import (
	"context"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Observe compares the target with what the request's last execution left, if its playbook can do that. It returns the
// difference in a sentence, empty if there is none. A state that a later execution or undo in this journal left is not
// a difference. It refuses a target other than that of the request's Origin, by name and identity; the error wraps
// ErrTarget. It changes nothing, and opens the journal only if there is a difference.
func (e *Engine) Observe(ctx context.Context, req Request) (string, error) {
	action, err := e.Bind(req)
	if err != nil {
		return "", err
	}
	observer, ok := action.(playbook.Observer)
	if !ok {
		return "", nil
	}
	origin := Request{Origin: Origin{Target: req.Origin.Target, Identity: req.Origin.Identity}}
	now := Review{}
	if now.Target, err = action.Target(ctx); err != nil {
		return "", err
	}
	if err := e.checkOrigin(ctx, origin, now); err != nil {
		return "", err
	}
	seen, err := observer.Observe(ctx)
	if err != nil || seen.Identity == nil {
		return seen.Drift, err
	}
	if now.IdentityHash, err = approval.Hash(seen.Identity); err != nil {
		return "", err
	}
	if err := e.checkOrigin(ctx, origin, now); err != nil {
		return "", err
	}
	if seen.Drift != "" && e.continued(ctx, req, now.IdentityHash) {
		return "", nil
	}
	return seen.Drift, nil
}

// newestOn returns the newest execution on the target with the identity.
func (e *Engine) newestOn(ctx context.Context, identity string) (journal.Record, bool, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return journal.Record{}, false, err
	}
	newest, err := store.Find(ctx, journal.Filter{Identity: identity, Limit: 1})
	if err != nil || len(newest) == 0 {
		return journal.Record{}, false, err
	}
	return newest[0], true, nil
}

// leftByNewest reports whether the target with the identity is as the newest execution on it left it. told is false if
// this is not known: that execution is older than first, is open or has an unknown outcome, or its playbook can't tell.
func (e *Engine) leftByNewest(ctx context.Context, identity string, first int64) (left, told bool, err error) {
	newest, ok, err := e.newestOn(ctx, identity)
	if err != nil || !ok || newest.ID < first || newest.Result == nil || newest.Status == journal.StatusUnknown {
		return false, false, err
	}
	later, err := e.Bind(Request{ActionType: newest.Subject.Playbook, Params: newest.Intent.Params})
	if err != nil {
		return false, false, err
	}
	observer, ok := later.(playbook.Observer)
	if !ok {
		return false, false, nil
	}
	seen, err := observer.Observe(ctx)
	if newest.Status != journal.StatusSuccess {
		left = err == nil && seen.Left != nil && seen.Left(newest.Result.Details)
		return left, left, err
	}
	return seen.Drift == "", seen.Identity != nil, err
}

// continued reports whether the target is as a later execution in the same journal left it, or still changes it. If the
// playbook of that execution can't tell, its success is enough. It reports false if the journal can't be read.
func (e *Engine) continued(ctx context.Context, req Request, identity string) bool {
	store, err := e.Journal(ctx)
	if err != nil || req.Known == 0 {
		return false
	}
	if newest, ok, err := e.newestOn(ctx, identity); err == nil && ok && newest.ID > req.Known && newest.Open() {
		return true
	}
	if left, told, err := e.leftByNewest(ctx, identity, req.Known+1); err != nil || told {
		return left && err == nil
	}
	all, err := store.Find(ctx, journal.Filter{Identity: identity})
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(rec journal.Record) bool {
		return rec.Journal == req.Mark.Journal && rec.ID > req.Known && rec.Status == journal.StatusSuccess
	})
}

// Recent returns how many executions of the request's playbook on its target began within the last period.
func (e *Engine) Recent(ctx context.Context, req Request, period time.Duration) (int, error) {
	action, err := e.Bind(req)
	if err != nil {
		return 0, err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return 0, err
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return 0, err
	}
	return store.Count(ctx, journal.Filter{Playbook: req.ActionType, Target: target,
		Since: e.cfg.Clock.Now().Add(-period)})
}
