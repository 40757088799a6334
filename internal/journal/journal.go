// Package journal is the provider's memory: every dry run and every step of every execution, appended and never
// changed. A state file can be lost or stale; what the journal holds has been durable before the next step began.
//
// An execution is a series of entries: an intent, then a dispatch with the name of the remote work, then any number of
// progress entries, then one outcome, and at last a note that Terraform has it. Its number is the sequence number of
// its intent. A dry run and a skip are single entries.
//
// An open execution is a lease on its target. Its holder sends heartbeats while it works; heartbeats are not entries. A
// process that finds the holder gone takes the execution over by an entry that raises the fencing token. After that the
// old holder can append nothing.
//
// A journal has an identity, so that the numbers of two journals are never compared; see Identity.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Status is how far an execution has come.
type Status string

// Statuses of executions, and of dry runs, as they stand in the history.
const (
	StatusPending   Status = "pending"   // intent journaled, nothing sent
	StatusRunning   Status = "running"   // sent; the outcome is not known yet
	StatusSuccess   Status = "success"   //
	StatusFailed    Status = "failed"    //
	StatusCancelled Status = "cancelled" // interrupted, or stopped at its deadline
	StatusSkipped   Status = "skipped"   // run_if was false
	StatusUnknown   Status = "unknown"   // the process that ran it died and the outcome can't be determined
	StatusDryRunOK  Status = "dry_run_success"
	StatusDryRunBad Status = "dry_run_failed"
)

// Kind is the kind of an entry.
type Kind string

// Kinds of entries.
const (
	KindDryRun   Kind = "dry_run"
	KindIntent   Kind = "intent"
	KindDispatch Kind = "dispatch"
	KindProgress Kind = "progress"
	KindTakeover Kind = "takeover"
	KindOutcome  Kind = "outcome"
	// KindSkip records that run_if held an execution back. It is a single entry.
	KindSkip Kind = "skip"
	// KindAcknowledged follows the outcome once no later apply may take it for its own: Terraform ended in order, and
	// so has it in its state, or the resource that stood for the execution was destroyed.
	KindAcknowledged Kind = "acknowledged"
	// KindCompaction belongs to no execution: it says what was removed.
	KindCompaction Kind = "compaction"
)

// Subject says what a dry run or an execution is about. Every entry carries it, so that any of its fields finds them.
type Subject struct {
	// Playbook is the action type, such as "rerun_dbt".
	Playbook string `json:"playbook"`
	// Target names the thing that is changed, such as "dbt:shop/prod". One execution at a time is open per target; see
	// Record.Excludes.
	Target string `json:"target"`
	// Request identifies what was asked for: the same playbook, target, incident and inputs have the same request.
	Request string `json:"request"`
	// Incident is the incident's identifier, or empty.
	Incident string `json:"incident,omitempty"`
	// Digest is that of the preview, and Identity the hash of what the target is, however it is named. Empty where the
	// target could not be previewed.
	Digest   string `json:"digest,omitempty"`
	Identity string `json:"identity,omitempty"`
}

// Intent is the body of the first entry: what is about to run (or, for a dry run, what would).
type Intent struct {
	Params     json.RawMessage   `json:"params"`
	Triggers   map[string]string `json:"triggers,omitempty"`
	Preview    json.RawMessage   `json:"preview,omitempty"`
	Digest     string            `json:"digest,omitempty"`
	ApprovedBy string            `json:"approved_by,omitempty"`
	// Payload is what approvers sign, and Approvals are those that counted. Policy is what the approval policy
	// demanded. The journal keeps them as they are.
	Payload   string          `json:"payload,omitempty"`
	Approvals json.RawMessage `json:"approvals,omitempty"`
	Policy    json.RawMessage `json:"policy,omitempty"`
	// Remarks say what was out of the ordinary about the approval.
	Remarks []string      `json:"remarks,omitempty"`
	Holder  proc.Identity `json:"holder"`
	// Record is the dry run on which an execution was reviewed, or zero.
	Record int64 `json:"record,omitempty"`
	// Session names the Terraform run that made the entry, if the system tells.
	Session string `json:"session,omitempty"`
	// Deadline is when the holder stops the execution by itself. Zero in a dry run.
	Deadline time.Time `json:"deadline,omitzero"`
	// Locks are other targets that the execution excludes: the indices behind an alias, and the target's identity.
	Locks []string `json:"locks,omitempty"`
	// Configuration identifies the provider configuration of the process, so that two processes of one Terraform run
	// can tell whether they plan the same resource.
	Configuration string `json:"configuration,omitempty"`
	// Guardrails are those that watch the execution, with their readings before it began.
	Guardrails json.RawMessage `json:"guardrails,omitempty"`
	// Problem is why a dry run failed. Empty otherwise.
	Problem string `json:"problem,omitempty"`
}

// Dispatch is the body of the second entry: the work has been sent and has a name.
type Dispatch struct {
	RemoteID string `json:"remote_id"`
}

// Takeover is the body of an entry by which another process goes on with an execution whose holder is gone.
type Takeover struct {
	Holder proc.Identity `json:"holder"`
	// Reason says how it was told that the former holder is gone.
	Reason string `json:"reason"`
}

// Acknowledged is the body of an entry that says that the same request may run again, with the same triggers.
type Acknowledged struct {
	// By is the process that ended in order, or was asked to destroy the resource.
	By proc.Identity `json:"by"`
}

// Lease is the right to continue an open execution.
type Lease struct {
	Execution int64
	// Token is the fencing token: 1 for the process that began the execution, and one more with each takeover.
	Token int64
}

// Pulse is the newest heartbeat of the holder of an open execution.
type Pulse struct {
	// Beats counts how often the holder renewed its lease. Observers compare it with what they saw before, never the
	// clocks of two machines.
	Beats int64
	// At is when it did so last, by its own clock; zero before the first time.
	At time.Time
}

// Undo is a playbook with its parameters, such as the one that undoes an execution.
type Undo struct {
	Type   string          `json:"action_type"`
	Params json.RawMessage `json:"params"`
}

// Result is what came of an execution.
type Result struct {
	Message    string    `json:"message"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// ActualDuration is in seconds.
	ActualDuration float64           `json:"actual_duration"`
	LogsURL        string            `json:"logs_url,omitempty"`
	Details        map[string]string `json:"details,omitempty"`
}

// Outcome is the body of the last entry.
type Outcome struct {
	Status   Status `json:"status"`
	Result   Result `json:"result"`
	Rollback *Undo  `json:"rollback,omitempty"`
	// Held reports that a guardrail stopped the execution where it was.
	Held bool `json:"held,omitempty"`
	// Identity is the hash of what the target is after an execution that replaced what its name stands for, or empty.
	Identity string `json:"identity,omitempty"`
}

// Entry is one line of the journal.
type Entry struct {
	Seq       int64           `json:"seq"`
	Execution int64           `json:"execution"`
	Kind      Kind            `json:"kind"`
	At        time.Time       `json:"at"`
	Subject   Subject         `json:"subject"`
	Body      json.RawMessage `json:"body"`
	// Prev and Hash chain the entries; see Seal.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Record is a dry run or an execution, folded from its entries.
type Record struct {
	ID int64
	// Journal is the identity of the journal that holds it; see Identity.
	Journal   string
	DryRun    bool
	Subject   Subject
	Intent    Intent
	Status    Status
	CreatedAt time.Time
	RemoteID  string
	// Holder is the process that works on it, or did. Token is the fencing token that goes with it, zero in a dry run.
	Holder proc.Identity
	Token  int64
	// Progress is the newest progress entry's body, or nil.
	Progress json.RawMessage
	Result   *Result
	Rollback *Undo
	// Held reports that a guardrail stopped the execution where it was.
	Held bool
	// NewIdentity is what the target is after the execution, if that replaced it; see Outcome.Identity.
	NewIdentity string
	// Edited is the number of an entry that is not as it was written, or zero.
	Edited int64
	// Acknowledged tells that no later apply may take its outcome for its own; see KindAcknowledged.
	Acknowledged bool
}

// Identity is the hash of what the target is after the execution; see Outcome.Identity.
func (r Record) Identity() string {
	if r.NewIdentity != "" {
		return r.NewIdentity
	}
	return r.Subject.Identity
}

// Ref is the record's identifier outside of its journal, such as "4f9c2a17-12".
func (r Record) Ref() string { return Ref{Journal: r.Journal, Number: r.ID}.String() }

// Intact returns ErrDamaged if one of the records was edited after it was written.
func Intact(records []Record) error {
	for _, r := range records {
		if r.Edited != 0 {
			return fmt.Errorf("%w: entry %d is not as it was written", ErrDamaged, r.Edited)
		}
	}
	return nil
}

// Lease is the right to append to the record as it is here.
func (r Record) Lease() Lease { return Lease{Execution: r.ID, Token: r.Token} }

// Open tells whether the execution's outcome is still to come.
func (r Record) Open() bool { return r.Status == StatusPending || r.Status == StatusRunning }

// Excludes reports whether r holds something that an execution of target with these locks would change.
func (r Record) Excludes(target string, locks []string) bool {
	mine := append([]string{r.Subject.Target}, r.Intent.Locks...)
	return slices.Contains(mine, target) || slices.ContainsFunc(locks,
		func(lock string) bool { return slices.Contains(mine, lock) })
}

// Filter selects records. Empty fields match everything.
type Filter struct {
	Playbook, Target, Request, Incident, Digest, Identity string
	// Since and Until bound CreatedAt: from Since on, before Until.
	Since, Until time.Time
	// Open keeps executions whose outcome is missing.
	Open bool
	// DryRuns keeps dry runs instead of executions; All keeps both, and skips.
	DryRuns, All bool
	// Limit keeps the newest so many. Zero keeps all.
	Limit int
}

// Store keeps the journal. Implementations are safe for use by several goroutines and by several processes at once;
// what a method has returned without an error is durable.
type Store interface {
	// Begin appends the first entry of an execution, a dry run or a skip, and returns its record. While an execution is
	// open that excludes it, an intent is refused with a *BusyError, atomically; the others never are.
	Begin(ctx context.Context, subject Subject, kind Kind, intent Intent) (Record, error)
	// BeginAfter is Begin for a dry run. It returns ErrStale, atomically, if a record of the same request is newer than
	// the record after.
	BeginAfter(ctx context.Context, subject Subject, intent Intent, after int64) (Record, error)
	// Append adds an entry to an open execution: body is a Dispatch, any JSON value as progress, a Takeover, which
	// raises the token, or an Outcome, which closes it. An Acknowledged follows an outcome and needs no lease.
	// ErrClosed is returned if the outcome is recorded already, ErrFenced if the lease's token is not the record's,
	// ErrNotFound if there is no such execution (a dry run is none), ErrOrder and ErrBody if the entry can't come next
	// or its body is invalid; see Record.Admits and Encode.
	Append(ctx context.Context, lease Lease, kind Kind, body any) (Record, error)
	// Beat renews the lease of an open execution. Errors are those of Append.
	Beat(ctx context.Context, lease Lease) error
	// Pulse returns the newest heartbeat of the execution's present holder; zero if it is not open or has sent none.
	Pulse(ctx context.Context, execution int64) (Pulse, error)
	// Get returns one record, or ErrNotFound.
	Get(ctx context.Context, id int64) (Record, error)
	// Find returns the matching records, oldest first.
	Find(ctx context.Context, filter Filter) ([]Record, error)
	// Count returns how many records match, whatever the filter's limit.
	Count(ctx context.Context, filter Filter) (int, error)
	// Entries calls visit with each entry from sequence number from on, in order, until it returns an error.
	Entries(ctx context.Context, from int64, visit func(Entry) error) error
	// Compact appends an entry that says what is removed, and removes it. The entry comes first. ErrGaps is returned if
	// the journal is not as c describes it, such as after another process has compacted it.
	Compact(ctx context.Context, c Compaction) (Entry, error)
	// Close releases what the store holds open.
	Close() error
}

// Errors of a Store. ErrForeign, ErrDamaged and ErrNewer are about what was found where the journal should be,
// ErrUnavailable about a place that can't be read or written, for now or for good. Nothing has been written there.
var (
	ErrNotFound = errors.New("not in the journal")
	ErrClosed   = errors.New("the execution's outcome is recorded already")
	ErrFenced   = errors.New("another process has taken the execution over")
	ErrStale    = errors.New("the request has a newer record in the journal")
	ErrGaps     = errors.New("what is to be removed from the journal has changed")
	ErrForeign  = errors.New("not a journal of this provider")
	ErrDamaged  = errors.New("the journal is damaged")
	ErrNewer    = errors.New("the journal was written by a newer version of the provider")
	// ErrUnavailable covers a full disk, missing permissions, a folder that can't be made, and a lock that another
	// process keeps for too long.
	ErrUnavailable = errors.New("the journal cannot be read or written")
)

// BusyError says that another execution of the target is open.
type BusyError struct{ Record Record }

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is held by execution %d (%s), started at %s by %s", e.Record.Subject.Target, e.Record.ID,
		e.Record.Subject.Playbook, e.Record.CreatedAt.Format(time.RFC3339), e.Record.Holder)
}
