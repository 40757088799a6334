package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Errors from Merge. Nothing was written, except for the executions in Merged.
var (
	// ErrSameJournal means that both are the same journal, or that one is a copy of the other.
	ErrSameJournal = errors.New("both are the same journal, or copies of one")
	// ErrOpen means that an execution in the other journal has no outcome yet.
	ErrOpen = errors.New("an execution has no outcome yet")
)

// Origin says where an execution was recorded before it was merged into this journal.
type Origin struct {
	// Execution is its identifier there, such as "4f9c2a17-12", and At is when it began.
	Execution string    `json:"execution"`
	At        time.Time `json:"at"`
	// Holder is the process that executed it.
	Holder proc.Identity `json:"holder"`
}

// Merging says what is merged into a journal, and by whom.
type Merging struct {
	From        Store
	By, Because string
	// Self is the process that merges.
	Self proc.Identity
}

// Merged is what Merge has added to the journal.
type Merged struct {
	// Executions are the merged executions, as this journal has them now.
	Executions []Record
	// Known is how many executions an earlier merge has added.
	Known int
	// Adoption is the entry that begins a new epoch, or the zero Record if there was nothing to merge.
	Adoption Record
}

// Merge copies the executions of another journal into s, oldest first, each with its outcome and its origin, and then
// adopts s. The adoption accepts states that were saved with the other journal, and voids every approval from before:
// nothing that was merged can count as an approval, and approvals that the merged executions have used stay used. Dry
// runs are not copied. Merging again adds what is new, and completes a merge that was interrupted.
func Merge(ctx context.Context, s Store, m Merging) (Merged, error) {
	var done Merged
	replaces, err := identities(ctx, s, m.From)
	if err != nil {
		return done, err
	}
	theirs, err := m.From.Find(ctx, Filter{})
	if err = errors.Join(err, Intact(theirs)); err != nil {
		return done, err
	}
	for _, rec := range theirs {
		if rec.Open() {
			return done, fmt.Errorf("execution %s: %w", rec.Ref(), ErrOpen)
		}
	}
	ours, err := s.Find(ctx, Filter{})
	if err != nil {
		return done, err
	}
	for _, rec := range theirs {
		at := slices.IndexFunc(ours, func(r Record) bool { return r.origin() == rec.origin() })
		var got Record
		if at >= 0 {
			got = ours[at]
		}
		if got.ID != 0 && !got.Open() {
			done.Known++
			continue
		}
		if got, err = got.merge(ctx, s, rec, m.Self); err != nil {
			return done, err
		}
		done.Executions = append(done.Executions, got)
	}
	known, err := accepted(ctx, s, replaces)
	if err != nil || known && len(done.Executions) == 0 {
		return done, err
	}
	done.Adoption, err = Adopt(ctx, s, Adoption{By: m.By, Because: m.Because, Replaces: replaces}, m.Self)
	return done, err
}

// origin identifies an execution by the journal that recorded it first, in every journal into which it was merged.
func (r Record) origin() string {
	if o := r.Intent.Origin; o != nil {
		return o.Execution
	}
	return r.Ref()
}

// merge appends what was recorded elsewhere. r is the record of an interrupted merge, or zero.
func (r Record) merge(ctx context.Context, s Store, from Record, self proc.Identity) (Record, error) {
	var err error
	if r.ID == 0 {
		intent := from.Intent
		if intent.Origin == nil {
			intent.Origin = &Origin{Execution: from.Ref(), At: from.CreatedAt, Holder: from.Holder}
		}
		// Numbers, sessions and deadlines of the other journal mean nothing here.
		intent.Holder, intent.Record, intent.Session, intent.Configuration = self, 0, "", ""
		intent.Deadline, intent.Expected = time.Time{}, time.Time{}
		r, err = s.Begin(ctx, from.Subject, KindIntent, intent)
	} else {
		r, err = s.Append(ctx, r.Lease(), KindTakeover, Takeover{Holder: self, Reason: "its merge was interrupted"})
	}
	if err != nil {
		return r, err
	}
	outcome := Outcome{Status: from.Status, Rollback: from.Rollback, Held: from.Held, Identity: from.NewIdentity}
	if from.Result != nil {
		outcome.Result = *from.Result
	}
	return s.Append(ctx, r.Lease(), KindOutcome, outcome)
}

// identities returns the identities that the other journal has had. It fails if one of them is this journal's.
func identities(ctx context.Context, s, from Store) ([]string, error) {
	ours, err := epochs(ctx, s)
	if err != nil {
		return nil, err
	}
	theirs, err := epochs(ctx, from)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range theirs {
		if slices.ContainsFunc(ours, func(o Epoch) bool { return o.ID == e.ID }) {
			return nil, fmt.Errorf("%s: %w", e.ID, ErrSameJournal)
		}
		all = append(all, e.ID)
	}
	return all, nil
}

// accepted reports whether s already accepts states that were saved with each of the journals.
func accepted(ctx context.Context, s Store, journals []string) (bool, error) {
	all, err := epochs(ctx, s)
	return !slices.ContainsFunc(journals, func(id string) bool {
		return !slices.ContainsFunc(all, func(e Epoch) bool { return e.accepts(id) })
	}), err
}
