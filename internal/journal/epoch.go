package journal

import (
	"context"
	"errors"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// adoptionTarget is the target that entries of `journal adopt` have in place of a playbook's. Adoptions are searched by
// it.
const adoptionTarget = "journal"

// Adoption says who accepts the journal, and why.
type Adoption struct {
	By      string `json:"by"`
	Because string `json:"because"`
	// Replaces lists the identities of lost journals that this one replaces.
	Replaces []string `json:"replaces,omitempty"`
}

// Epoch is a span of the journal with one identity. The first one begins with the first entry, and each adoption begins
// another one. Approvals from an earlier epoch don't count, because the journal may have lost the executions that used
// them.
type Epoch struct {
	// ID is the identity: the first 8 hexadecimal digits of the hash of the first entry of the epoch, which is never
	// removed.
	ID string
	// From is the number of that entry.
	From int64
	// Adoption is nil in the first epoch, unless the journal was adopted when it was empty.
	Adoption *Adoption
}

// accepts reports whether a state that was saved with a journal of identity id may be used with this journal.
func (e Epoch) accepts(id string) bool {
	return e.ID == id || e.Adoption != nil && slices.Contains(e.Adoption.Replaces, id)
}

// Adopt accepts the journal and begins an epoch. by is the process that does it.
func Adopt(ctx context.Context, s Store, a Adoption, by proc.Identity) (Record, error) {
	about := Subject{Playbook: string(KindAdoption), Target: adoptionTarget}
	return s.Begin(ctx, about, KindAdoption, Intent{Holder: by, Adoption: &a})
}

// EpochOf returns the newest epoch, or the zero Epoch if the journal has no entries.
func EpochOf(ctx context.Context, s Store) (Epoch, error) {
	all, err := epochs(ctx, s)
	if err != nil || len(all) == 0 {
		return Epoch{}, err
	}
	return all[len(all)-1], nil
}

// epochs returns the epochs, oldest first.
func epochs(ctx context.Context, s Store) ([]Epoch, error) {
	if cached, ok := s.(*identified); ok {
		return cached.epochs(ctx)
	}
	first, err := entryAt(ctx, s, 1)
	if err != nil || first.Seq != 1 {
		return nil, err
	}
	all := []Epoch{{ID: digitsOf(first), From: 1}}
	adoptions, err := s.Find(ctx, Filter{Target: adoptionTarget, All: true})
	if err = errors.Join(err, Intact(adoptions)); err != nil {
		return nil, err
	}
	for _, a := range adoptions {
		if a.Status != StatusAdopted {
			continue
		}
		e, err := entryAt(ctx, s, a.ID)
		if err != nil {
			return nil, err
		}
		if a.ID == 1 {
			all = nil
		}
		all = append(all, Epoch{ID: digitsOf(e), From: a.ID, Adoption: a.Intent.Adoption})
	}
	return all, nil
}

func digitsOf(e Entry) string { return e.Hash[:min(identityDigits, len(e.Hash))] }
