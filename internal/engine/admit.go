package engine

import (
	"context"
	"errors"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// admit decides on the approval, and refuses what was not reviewed or not approved. Nothing has run yet.
func (r *run) admit(ctx context.Context, now *Review) error {
	e := r.engine
	if err := e.checkState(ctx, r.req); err != nil {
		return err
	}
	if err := e.checkOrigin(ctx, r.req, *now); err != nil {
		return err
	}
	seen := shownBy{}
	if r.reviewed != nil {
		rec, err := r.record(ctx)
		if err != nil {
			return err
		}
		if r.reviewed.Digest != now.Digest {
			r.now = *now
			if err := r.moved(ctx, rec); err != nil {
				return err
			}
			now.Digest = r.reviewed.Digest
		}
		if rec != nil {
			if err := e.checkPrograms(*rec, now); err != nil {
				return err
			}
		}
		seen.record, now.Record = r.reviewed.Record, r.reviewed.Record
	}
	return r.decided(ctx, now, seen)
}

// moved returns the error for a target that is not as it was reviewed. It returns nil for an undo if the target is as
// an execution in this journal left it: the undo's inputs say what it restores.
func (r *run) moved(ctx context.Context, rec *journal.Record) error {
	if left, err := r.undoesFromHere(ctx, r.now); left || err != nil {
		return err
	}
	if err := r.engine.skippedBefore(ctx, r.req); err != nil {
		return err
	}
	return movedProblem(r.reviewedLeaves(*r.reviewed, rec), r.now, r.req)
}

// undoesFromHere reports whether the request is an undo, and the target is as an execution in this journal left it.
func (r *run) undoesFromHere(ctx context.Context, now Review) (bool, error) {
	if r.req.Origin.Execution.Number == 0 {
		return false, nil
	}
	left, told, err := r.engine.leftByNewest(ctx, now.IdentityHash, r.req.Origin.Execution.Number)
	return left && told, err
}

// decided decides on the approval of what would run now.
func (r *run) decided(ctx context.Context, now *Review, seen shownBy) error {
	e := r.engine
	if err := e.decide(ctx, r.req, now, seen); err != nil {
		return err
	}
	if r.req.ExpectedDigest != "" && !approval.Pins(r.req.ExpectedDigest, now.Digest) {
		return digestProblem(r.req.ExpectedDigest, now.Digest)
	}
	if !now.Decision.Granted {
		r.refused(ctx, *now)
		return approvalProblem(*now)
	}
	if err := e.number(ctx, r.store, now); err != nil {
		return err
	}
	return e.checkJournal(ctx, r.store, r.req, now.Decision.Needed)
}

// record returns the dry run that the plan showed, or nil if the plan could not write the journal. It refuses a journal
// that lacks the dry run: the plan was recorded in another one.
func (r *run) record(ctx context.Context) (*journal.Record, error) {
	if r.reviewed.Record == 0 {
		return nil, nil //nolint:nilnil // the plan could not write the journal
	}
	rec, err := r.store.Get(ctx, r.reviewed.Record)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return nil, lostRecord(r.req.ActionType)
	case err != nil:
		return nil, err
	}
	if rec.Intent.Digest != r.reviewed.Digest && !openRecord(rec) {
		return nil, lostRecord(r.req.ActionType)
	}
	epoch, err := journal.EpochOf(ctx, r.store)
	if err == nil && rec.ID < epoch.From {
		err = adoptedProblem(r.req.ActionType)
	}
	return &rec, err
}
