package engine

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// past returns a function that reads the ended executions of a playbook on a target, newest first.
func (e *Engine) past(actionType, target string) playbook.ReadPast {
	return func(ctx context.Context, limit int) ([]playbook.Past, error) {
		store, err := e.Journal(ctx)
		if err != nil {
			return nil, err
		}
		records, err := store.Find(ctx, journal.Filter{Playbook: actionType, Target: target, Limit: limit})
		if err != nil {
			return nil, err
		}
		var found []playbook.Past
		for _, rec := range slices.Backward(records) {
			if rec.Result == nil {
				continue // it is still open
			}
			past := playbook.Past{
				ID: rec.ID, Status: string(rec.Status), Params: rec.Intent.Params, Details: rec.Result.Details,
				FinishedAt: rec.Result.FinishedAt, Duration: rec.Result.FinishedAt.Sub(rec.Result.StartedAt),
			}
			if was, err := decoded(rec); err == nil {
				past.Facts = was.Facts
				past.Content, err = json.Marshal(was.Content)
				if err != nil {
					return nil, err
				}
			}
			found = append(found, past)
		}
		return found, nil
	}
}
