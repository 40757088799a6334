package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// finished returns the last execution of exactly this request if it succeeded and no state is known to contain it:
// Terraform died after the outcome was journaled, before its state was certain to contain it. That execution is the
// outcome of this apply; nothing runs a second time. An execution does not count if this process or this run of
// Terraform began it, since its own resource received it; if it was acknowledged, because Terraform ended normally or
// the resource was destroyed; or if it was merged from another journal, whose state contains it. A gate that names no
// earlier step reads again: without a place in a chain, the verdict may be that of another gate with the same
// guardrails.
func (e *Engine) finished(req Request, about journal.Subject, past []journal.Record) (journal.Record, bool) {
	if len(past) == 0 || req.page.Gate && len(req.After) == 0 {
		return journal.Record{}, false
	}
	last := past[len(past)-1]
	return last, last.Status == journal.StatusSuccess && !last.Acknowledged && last.Intent.Origin == nil &&
		last.ID > req.known(last.Journal) &&
		sameRun(req, last, about) &&
		last.Holder != e.cfg.Self && (last.Intent.Session == "" || last.Intent.Session != e.cfg.Terraform.Session)
}

// known returns Known, or zero if it is a number in another journal, which can't be compared.
func (r Request) known(identity string) int64 {
	if r.Mark.Journal != "" && r.Mark.Journal != identity {
		return 0
	}
	return r.Known
}

// asOf reduces the history to what it was at the dry run: Terraform plans again inside an apply and requires the result
// of the first plan. Apply itself finds what has started or ended since.
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
	return fmt.Sprintf("Execution %d, started at %s, already did this, but the state does not have it: Terraform was "+
		"stopped before it saved its state. Apply records it and runs nothing a second time. To run it again, change "+
		"triggers.", rec.ID, rec.CreatedAt.UTC().Format(time.RFC3339))
}

// hasExecuted reports whether an execution that this process began was returned to a caller.
func (e *Engine) hasExecuted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.executed
}

// markDelivered records that the outcome of rec was returned to the caller.
func (e *Engine) markDelivered(rec journal.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.executed = e.executed || rec.ID != 0 && rec.Intent.Holder == e.cfg.Self
	if rec.Status == journal.StatusSuccess && !rec.Acknowledged {
		e.delivered = append(e.delivered, rec.ID)
	}
}

// acknowledgers is how many outcomes are acknowledged concurrently: as many as Terraform applies by default. The
// journal may commit them together.
const acknowledgers = 10

// AcknowledgeAll journals that Terraform ended normally, and its state contains every outcome that was returned: the
// same requests may run again. An outcome that can't be acknowledged stays unacknowledged, which is safe.
func (e *Engine) AcknowledgeAll(ctx context.Context) {
	e.mu.Lock()
	delivered := e.delivered
	e.delivered = nil
	e.mu.Unlock()
	var all errgroup.Group // one that fails does not stop the others
	all.SetLimit(acknowledgers)
	for _, id := range delivered {
		all.Go(func() error { return e.acknowledge(ctx, id) })
	}
	_ = all.Wait() // see above
}

// Acknowledge journals that the resource of an execution was destroyed: the same request with the same triggers may run
// again. Acknowledging twice does nothing.
func (e *Engine) Acknowledge(ctx context.Context, execution journal.Ref) error {
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	switch rec, err := store.Get(ctx, execution.Number); {
	case errors.Is(err, journal.ErrNotFound), err == nil && rec.Journal != execution.Journal:
		return nil // it belongs to another journal
	case err != nil:
		return err
	}
	return e.acknowledge(ctx, execution.Number)
}

func (e *Engine) acknowledge(ctx context.Context, execution int64) error {
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	_, err = store.Append(ctx, journal.Lease{Execution: execution}, journal.KindAcknowledged,
		journal.Acknowledged{By: e.cfg.Self})
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, journal.ErrNotFound) {
		return nil // it is acknowledged already, or belongs to another journal
	}
	return err
}
