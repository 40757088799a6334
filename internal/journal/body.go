package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// MaxBody is the maximum size of an entry's JSON body, in bytes. State files and reports show whole bodies. A larger
// body is a mistake, such as a log instead of a link to it.
const MaxBody = 1 << 20

// Errors for entries that are not valid. Nothing has been written.
var (
	ErrOrder = errors.New("the entry is not allowed after the previous entries")
	ErrBody  = errors.New("invalid body of a journal entry")
)

// Accepts returns nil if an entry of the kind may come next. It returns ErrClosed if the record already has an outcome,
// and ErrOrder if the kind is out of order. A record begins with an intent, a dry run, a skip, or an adoption. A
// dispatch follows the intent, progress follows the dispatch, an outcome, a takeover, a notice, or one cancel follows
// any of them, and one acknowledgement follows the outcome. The zero record stands for a record that has not begun.
func (r Record) Accepts(kind Kind) error {
	first := kind == KindIntent || kind == KindDryRun || kind == KindSkip || kind == KindAdoption
	switch {
	case r.ID == 0 && first,
		r.Status == StatusPending && kind == KindDispatch,
		r.Status == StatusRunning && kind == KindProgress,
		r.Open() && (kind == KindOutcome || kind == KindTakeover),
		r.Open() && kind == KindCancel && r.Cancel == nil,
		r.Open() && kind == KindNotice,
		r.Status.Final() && kind == KindAcknowledged && !r.Acknowledged:
		return nil
	case r.ID == 0:
		return fmt.Errorf("%s at the beginning: %w", kind, ErrOrder)
	case r.Status.Final():
		return fmt.Errorf("execution %d: %w", r.ID, ErrClosed)
	default:
		return fmt.Errorf("%s after %s in %d: %w", kind, r.Status, r.ID, ErrOrder)
	}
}

// Admits is Accepts for an entry that the holder of lease wants to add. It returns ErrFenced if another process has the
// lease.
func (r Record) Admits(lease Lease, kind Kind) error {
	if r.Open() && r.Token != lease.Token {
		return fmt.Errorf("execution %d is held by %s since takeover %d: %w", r.ID, r.Holder, r.Token-1, ErrFenced)
	}
	return r.Accepts(kind)
}

// Encode returns the body of an entry as it is hashed and stored. It returns a *problem.Problem with ErrBody if the
// body does not match the kind, can't be encoded as JSON, is larger than MaxBody, or is an outcome without a final
// status.
func Encode(kind Kind, body any) (json.RawMessage, error) {
	if err := fits(kind, body); err != nil {
		return nil, refusedBody(kind, err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, refusedBody(kind, err)
	}
	if len(text) > MaxBody {
		return nil, refusedBody(kind, fmt.Errorf("it has %d bytes; the maximum is %d", len(text), MaxBody))
	}
	return text, nil
}

func fits(kind Kind, body any) error {
	ok := true
	switch kind {
	case KindDryRun, KindIntent, KindSkip, KindAdoption:
		var intent Intent
		if intent, ok = body.(Intent); ok && (intent.Adoption != nil) != (kind == KindAdoption) {
			return errors.New("only an entry of kind adoption may have an adoption")
		}
	case KindNotice:
		_, ok = body.(Notice)
	case KindCancel:
		_, ok = body.(Cancel)
	case KindDispatch:
		_, ok = body.(Dispatch)
	case KindCompaction:
		_, ok = body.(Compaction)
	case KindTakeover:
		_, ok = body.(Takeover)
	case KindAcknowledged:
		_, ok = body.(Acknowledged)
	case KindOutcome:
		var outcome Outcome
		if outcome, ok = body.(Outcome); ok && !outcome.Status.Final() {
			return fmt.Errorf("%q is not a final status", outcome.Status)
		}
	case KindProgress:
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	if !ok {
		return fmt.Errorf("it is a %T", body)
	}
	return nil
}

func refusedBody(kind Kind, cause error) error {
	return &problem.Problem{
		What: fmt.Sprintf("The body of an entry of kind %q cannot be journaled", kind),
		Why:  cause.Error(),
		Next: "Nothing was written. Keep large output in a file and journal its address.",
		Err:  fmt.Errorf("%w: %w", ErrBody, cause),
	}
}

// known reports whether this version of the provider knows the kind.
func (k Kind) known() bool {
	return slices.Contains([]Kind{KindDryRun, KindIntent, KindDispatch, KindProgress, KindTakeover, KindOutcome,
		KindSkip, KindAcknowledged, KindCompaction, KindCancel, KindAdoption, KindNotice}, k)
}

// Final reports whether an execution can end with status s.
func (s Status) Final() bool {
	return s == StatusSuccess || s == StatusFailed || s == StatusCancelled || s == StatusUnknown
}
