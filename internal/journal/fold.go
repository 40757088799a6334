package journal

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Fold builds a record from the entries of one execution, in order. Callers may leave out all progress entries but the
// newest. It returns ErrNotFound if there are no entries, and the errors of With.
func Fold(entries []Entry) (Record, error) {
	if len(entries) == 0 {
		return Record{}, ErrNotFound
	}
	var r Record
	var err error
	for _, e := range entries {
		if r, err = r.With(e); err != nil {
			return Record{}, err
		}
	}
	return r, nil
}

// With returns the record with e appended to it. It returns ErrDamaged for an entry that can't follow, and ErrNewer for
// a kind that this version doesn't know. It notes an edited entry in the record.
func (r Record) With(e Entry) (Record, error) {
	err := r.add(e)
	switch {
	case errors.Is(err, ErrNewer):
		return Record{}, fmt.Errorf("entry %d: %w", e.Seq, err)
	case err != nil:
		return Record{}, fmt.Errorf("%w: entry %d: %w", ErrDamaged, e.Seq, err)
	}
	return r, nil
}

func (r *Record) add(e Entry) error {
	if r.ID != 0 && e.Execution != r.ID {
		return fmt.Errorf("it belongs to execution %d, not %d: %w", e.Execution, r.ID, ErrOrder)
	}
	if !e.Kind.known() {
		return fmt.Errorf("kind %q: %w", e.Kind, ErrNewer)
	}
	if err := r.Accepts(e.Kind); err != nil {
		return err
	}
	if sealed, err := Seal(e, e.Prev); e.Hash != "" && (err != nil || sealed.Hash != e.Hash) {
		r.Edited = e.Seq
	}
	r.Newest = Head{Seq: e.Seq, Hash: e.Hash}
	switch e.Kind {
	case KindIntent, KindDryRun, KindSkip, KindAdoption:
		r.ID, r.Subject, r.CreatedAt = e.Seq, e.Subject, e.At
		if err := json.Unmarshal(e.Body, &r.Intent); err != nil {
			return err
		}
		r.Status, r.Holder, r.Token, r.Notices = StatusPending, r.Intent.Holder, 1, r.Intent.Notices
		if o := r.Intent.Origin; o != nil {
			r.CreatedAt = o.At
		}
		if e.Kind == KindSkip {
			r.Status, r.Token = StatusSkipped, 0
		}
		if e.Kind == KindAdoption {
			r.Status, r.Token = StatusAdopted, 0
		}
		if r.DryRun = e.Kind == KindDryRun; r.DryRun {
			r.Status, r.Token = StatusDryRunOK, 0
			if r.Intent.Problem != "" {
				r.Status = StatusDryRunBad
			}
		}
		return nil
	case KindDispatch:
		var d Dispatch
		err := json.Unmarshal(e.Body, &d)
		r.Status, r.RemoteID = StatusRunning, d.RemoteID
		return err
	case KindProgress:
		r.Progress = e.Body
		return nil
	case KindTakeover:
		var t Takeover
		err := json.Unmarshal(e.Body, &t)
		r.Holder, r.Token = t.Holder, r.Token+1
		return err
	case KindNotice:
		var n Notice
		err := json.Unmarshal(e.Body, &n)
		r.Notices = append(r.Notices[:len(r.Notices):len(r.Notices)], n.Event)
		return err
	case KindCancel:
		r.Cancel = &Cancel{}
		return json.Unmarshal(e.Body, r.Cancel)
	case KindOutcome:
		var o Outcome
		err := json.Unmarshal(e.Body, &o)
		r.Status, r.Result, r.Rollback, r.Held = o.Status, &o.Result, o.Rollback, o.Held
		r.NewIdentity = o.Identity
		return err
	case KindAcknowledged:
		r.Acknowledged = true
		return nil
	default:
		return fmt.Errorf("unknown kind %q", e.Kind)
	}
}
