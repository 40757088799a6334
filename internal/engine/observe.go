package engine

import (
	"context"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Observe compares the target with what the request's last execution left, if its playbook can do that. It returns the
// difference in a sentence, empty if there is none. It refuses a target other than that of the request's Origin. It
// changes nothing and doesn't open the journal.
func (e *Engine) Observe(ctx context.Context, req Request) (string, error) {
	action, err := e.Bind(req)
	if err != nil {
		return "", err
	}
	observer, ok := action.(playbook.Observer)
	if !ok {
		return "", nil
	}
	if req.Origin.Target != "" {
		target, err := action.Target(ctx)
		if err != nil {
			return "", err
		}
		here := Request{Origin: Origin{Target: req.Origin.Target}}
		if err := e.checkOrigin(ctx, here, Review{Target: target}); err != nil {
			return "", err
		}
	}
	return observer.Observe(ctx)
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
