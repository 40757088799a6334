package engine

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// PlanSkipped returns what a plan with a false run_if shows: the newest record of what would run now, if a plan has
// shown it with run_if set, and it has neither run nor been skipped since. Inside an apply it is the record that the
// applied plan shows. It records nothing, and reports false if there is no such record.
func (e *Engine) PlanSkipped(ctx context.Context, req Request) (Review, bool) {
	review, err := e.planSkipped(ctx, req)
	return review, err == nil && review.Digest != ""
}

// planSkipped returns an empty review if there is no such record.
func (e *Engine) planSkipped(ctx context.Context, req Request) (Review, error) {
	action, err := e.bind(&req)
	if err != nil {
		return Review{}, err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return Review{}, err
	}
	p := planning{engine: e, req: req, review: &Review{ActionType: req.ActionType, Target: target}}
	if p.store, err = e.Journal(ctx); err != nil {
		return Review{}, err
	}
	if p.about, err = subject(req, *p.review); err != nil {
		return Review{}, err
	}
	inside, err := p.applied(ctx)
	rec := inside.record
	if err == nil && !inside.yes {
		rec, err = p.conditional(ctx, action)
	}
	if err != nil || rec == nil {
		return Review{}, err
	}
	was, err := decoded(*rec)
	if err != nil || !was.Chain.Conditional {
		return Review{}, err
	}
	review := Recall(*rec)
	review.restore(*rec, was)
	return review, nil
}

// conditional returns the newest record of the request if it shows what would run now, or nil.
func (p *planning) conditional(ctx context.Context, action playbook.Action) (*journal.Record, error) {
	newest, err := p.store.Find(ctx, journal.Filter{Request: p.about.Request, All: true, Limit: 1})
	if err != nil || len(newest) == 0 || newest[0].Status != journal.StatusDryRunOK {
		return nil, err
	}
	l, err := p.engine.link(ctx, p.req, p.review.Target)
	if err != nil || l.deferred != "" {
		return nil, err
	}
	review, err := p.engine.look(ctx, p.req, action, l)
	if err != nil || newest[0].Intent.Digest != review.Digest {
		return nil, err
	}
	return &newest[0], nil
}
