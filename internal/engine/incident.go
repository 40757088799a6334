package engine

import (
	"context"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// longestApply bounds how far back the executions of one apply are searched.
const longestApply = 48 * time.Hour

// incidentBegan returns when the first execution for the record's incident that changes something began. Without an
// incident, only executions in the same apply count. If there is no earlier one, it is when rec began.
func (e *Engine) incidentBegan(ctx context.Context, store journal.Store, rec journal.Record) (time.Time, error) {
	past := journal.Filter{Incident: rec.Subject.Incident}
	if past.Incident == "" {
		past.Since = rec.CreatedAt.Add(-longestApply)
	}
	found, err := store.Find(ctx, past)
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range found {
		if r.ID < rec.ID && !r.Intent.ReadOnly && (past.Incident != "" || sameApply(r, rec)) {
			return r.CreatedAt, nil
		}
	}
	return rec.CreatedAt, nil
}

// sameApply reports whether two executions ran in one run of Terraform.
func sameApply(a, b journal.Record) bool {
	if a.Intent.Session != "" || b.Intent.Session != "" {
		return a.Intent.Session == b.Intent.Session
	}
	return a.Intent.Holder == b.Intent.Holder
}
