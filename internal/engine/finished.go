package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// finished returns the execution of just this request that succeeded and of which the caller does not know: Terraform died, or lost
// its state, after the outcome was journaled. It is the outcome of this apply, for running it again would be a second time. What this
// process ran itself was handed to its caller, so that another resource with the same request runs for itself; and so does
// one whose predecessor was destroyed.
func (e *Engine) finished(req Request, about journal.Subject, past []journal.Record) (journal.Record, bool) {
	if len(past) == 0 {
		return journal.Record{}, false
	}
	last := past[len(past)-1]
	return last, last.Status == journal.StatusSuccess && !last.Forgotten && last.ID > req.Known && sameRun(req, last, about) &&
		last.Holder != e.cfg.Self && (last.Intent.Session == "" || last.Intent.Session != e.cfg.Terraform.Session)
}

// asOf leaves executions out that were begun after the dry run id. Terraform plans once more within an apply and demands the history
// of the plan; what has begun since, apply itself finds.
func (r *Review) asOf(id int64) {
	before := slices.DeleteFunc(slices.Clone(r.History), func(rec journal.Record) bool { return rec.ID > id })
	r.Executions -= len(r.History) - len(before)
	r.History = before
}

// warnOfFinished says that apply will run nothing.
func warnOfFinished(rec journal.Record) string {
	return fmt.Sprintf("Execution %d, begun %s, did just this, and the state does not have it: Terraform was stopped before it saved it. Apply records "+
		"it and runs nothing a second time. To run it again, change triggers.", rec.ID, rec.CreatedAt.UTC().Format(time.RFC3339))
}

// Forget journals that the resource that stood for an execution was destroyed: the same request with the same triggers may then run
// again. Forgetting twice does nothing.
func (e *Engine) Forget(ctx context.Context, execution int64) error {
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	_, err = store.Append(ctx, journal.Hold{Execution: execution}, journal.KindForgotten, journal.Forgotten{By: e.cfg.Self})
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, journal.ErrNotFound) {
		return nil // it is forgotten already, or it is of another journal
	}
	return err
}
