package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// MaxBody is the largest body of an entry as JSON, in bytes. A state file or a report shows bodies whole, so that a
// larger one is a mistake, such as a log where a link to it belongs.
const MaxBody = 1 << 20

// Errors about what was to be appended. Nothing has been written.
var (
	ErrOrder = errors.New("the entry does not follow from the ones before it")
	ErrBody  = errors.New("not a body that can be journaled")
)

// Accepts returns nil where an entry of the kind may come next, ErrClosed where the outcome is there already, and
// ErrOrder where the kind is out of order: an intent or a dry run comes first, a dispatch follows the intent, progress
// follows the dispatch, an outcome or a takeover follows any of them, and one acknowledgement the outcome. The zero
// record stands for one that is to begin.
func (r Record) Accepts(kind Kind) error {
	first := kind == KindIntent || kind == KindDryRun || kind == KindSkip
	switch {
	case r.ID == 0 && first,
		r.Status == StatusPending && kind == KindDispatch,
		r.Status == StatusRunning && kind == KindProgress,
		r.Open() && (kind == KindOutcome || kind == KindTakeover),
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

// Admits is Accepts for an entry that the holder of lease wants to add: ErrFenced if another process holds the record.
func (r Record) Admits(lease Lease, kind Kind) error {
	if r.Open() && r.Token != lease.Token {
		return fmt.Errorf("execution %d is held by %s since takeover %d: %w", r.ID, r.Holder, r.Token-1, ErrFenced)
	}
	return r.Accepts(kind)
}

// Encode returns the body of an entry as it is hashed and stored. It returns a *problem.Problem with ErrBody where the
// body is not of the kind, can't be JSON, is larger than MaxBody, or is an outcome that decides nothing.
func Encode(kind Kind, body any) (json.RawMessage, error) {
	if err := fits(kind, body); err != nil {
		return nil, refusedBody(kind, err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, refusedBody(kind, err)
	}
	if len(text) > MaxBody {
		return nil, refusedBody(kind, fmt.Errorf("it has %d bytes, and %d are allowed", len(text), MaxBody))
	}
	return text, nil
}

func fits(kind Kind, body any) error {
	ok := true
	switch kind {
	case KindDryRun, KindIntent, KindSkip:
		_, ok = body.(Intent)
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
			return fmt.Errorf("%q is not the end of an execution", outcome.Status)
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
		KindSkip, KindAcknowledged, KindCompaction}, k)
}

// Final reports whether s is how an execution can end in the journal.
func (s Status) Final() bool {
	return s == StatusSuccess || s == StatusFailed || s == StatusCancelled || s == StatusUnknown
}
