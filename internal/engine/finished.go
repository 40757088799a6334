package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// finished returns the execution of just this request that succeeded and of which the caller does not know: Terraform
// died after the outcome was journaled, before it was certain to be in its state. It is the outcome of this apply, for
// running it again would be a second time. What this process ran itself was handed to its caller, so that another
// resource with the same request runs for itself; and so does one after a Terraform that ended in order, or whose
// predecessor was destroyed.
func (e *Engine) finished(req Request, about journal.Subject, past []journal.Record) (journal.Record, bool) {
	if len(past) == 0 {
		return journal.Record{}, false
	}
	last := past[len(past)-1]
	return last, last.Status == journal.StatusSuccess && !last.Acknowledged && last.ID > req.Known &&
		sameRun(req, last, about) &&
		last.Holder != e.cfg.Self && (last.Intent.Session == "" || last.Intent.Session != e.cfg.Terraform.Session)
}

// asOf takes the history back to what it was at the dry run: Terraform plans once more within an apply and demands what
// the plan has shown. What has begun or ended since, apply itself finds.
func (r *Review) asOf(dryRun journal.Record) {
	before := slices.DeleteFunc(slices.Clone(r.History), func(rec journal.Record) bool { return rec.ID > dryRun.ID })
	for i, rec := range before {
		if rec.Result != nil && rec.Result.FinishedAt.After(dryRun.CreatedAt) {
			before[i].Status, before[i].Result, before[i].Rollback = journal.StatusRunning, nil, nil
		}
	}
	r.Executions -= len(r.History) - len(before)
	r.History = before
}

// warnOfFinished says that apply will run nothing.
func warnOfFinished(rec journal.Record) string {
	return fmt.Sprintf("Execution %d, begun %s, did just this, and the state does not have it: Terraform was stopped "+
		"before it saved it. Apply records "+
		"it and runs nothing a second time. To run it again, change "+
		"triggers.", rec.ID, rec.CreatedAt.UTC().Format(time.RFC3339))
}

// markDelivered notes that the caller was given the outcome of rec.
func (e *Engine) markDelivered(rec journal.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rec.Status == journal.StatusSuccess && !rec.Acknowledged {
		e.delivered = append(e.delivered, rec.ID)
	}
}

// AcknowledgeAll journals that Terraform ended in order, and so has what it was handed: the same requests may run
// again. What can't be journaled stays in doubt, which is safe.
func (e *Engine) AcknowledgeAll(ctx context.Context) {
	e.mu.Lock()
	delivered := e.delivered
	e.delivered = nil
	e.mu.Unlock()
	for _, id := range delivered {
		if e.Acknowledge(ctx, id) != nil {
			return
		}
	}
}

// Acknowledge journals that the resource that stood for an execution was destroyed: the same request with the same
// triggers may then run again. Forgetting twice does nothing.
func (e *Engine) Acknowledge(ctx context.Context, execution int64) error {
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	_, err = store.Append(ctx, journal.Lease{Execution: execution}, journal.KindAcknowledged,
		journal.Acknowledged{By: e.cfg.Self})
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, journal.ErrNotFound) {
		return nil // it is acknowledged already, or it is of another journal
	}
	return err
}
