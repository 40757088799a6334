// Package journal records every dry run and every step of every execution in an append-only journal. A state file can
// be lost or stale. The journal is reliable: each entry is durable before the next step begins.
//
// An execution is a series of entries: an intent, then a dispatch with the name of the remote work, then any number of
// progress entries, then one outcome, and finally an acknowledgement that Terraform has stored it. The number of the
// execution is the sequence number of its intent. A dry run and a skip are single entries.
//
// An open execution is a lease on its target. Its holder sends heartbeats while it works. Heartbeats are not entries.
// If a process finds that the holder no longer runs, it takes the execution over with an entry that raises the fencing
// token. The former holder can append nothing after that.
//
// A journal has an identity, which prevents comparing the numbers of two different journals; see Identity.
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

// Status is the status of an execution or a dry run.
type Status string

// Statuses of executions and of dry runs.
const (
	StatusPending   Status = "pending"   // intent journaled, nothing sent
	StatusRunning   Status = "running"   // sent; the outcome is not known yet
	StatusSuccess   Status = "success"   //
	StatusFailed    Status = "failed"    //
	StatusCancelled Status = "cancelled" // interrupted, or stopped at its deadline
	StatusSkipped   Status = "skipped"   // run_if was false
	StatusUnknown   Status = "unknown"   // the process that ran it died and the outcome can't be determined
	StatusAdopted   Status = "adopted"   // not an execution; see KindAdoption
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
	// KindSkip records that run_if was false and the execution did not run. It is a single entry.
	KindSkip Kind = "skip"
	// KindAcknowledged follows the outcome when no later apply may adopt it: Terraform ended normally and has the
	// outcome in its state, or the resource of the execution was destroyed.
	KindAcknowledged Kind = "acknowledged"
	// KindCancel asks the holder of an open execution to stop and to revert its changes. Anyone may append it, once.
	KindCancel Kind = "cancel"
	// KindNotice records that people are notified of an event during an open execution. It is appended before the
	// notification is sent, so nobody is notified twice.
	KindNotice Kind = "notice"
	// KindAdoption accepts a journal that is new or was restored, and begins an epoch; see Epoch. It is a single entry.
	KindAdoption Kind = "adoption"
	// KindCompaction belongs to no execution. It lists what was removed.
	KindCompaction Kind = "compaction"
)

// Subject is what a dry run or an execution is about. Every entry carries it, and each of its fields can be searched.
type Subject struct {
	// Playbook is the action type, such as "rerun_dbt".
	Playbook string `json:"playbook"`
	// Target names what is changed, such as "dbt:shop/prod". One execution can be open per target; see Record.Excludes.
	Target string `json:"target"`
	// Request identifies the combination of playbook, target, incident, and inputs.
	Request string `json:"request"`
	// Incident is the incident's identifier, or empty.
	Incident string `json:"incident,omitempty"`
	// Digest is the digest of the preview. Identity is the hash of the target itself, regardless of its name. Both are
	// empty if the target could not be previewed.
	Digest   string `json:"digest,omitempty"`
	Identity string `json:"identity,omitempty"`
}

// Intent is the body of the first entry: what will run, or for a dry run, what would run.
type Intent struct {
	Params     json.RawMessage   `json:"params"`
	Triggers   map[string]string `json:"triggers,omitempty"`
	Preview    json.RawMessage   `json:"preview,omitempty"`
	Digest     string            `json:"digest,omitempty"`
	ApprovedBy string            `json:"approved_by,omitempty"`
	// Payload is what approvers sign. Approvals are the approvals that counted. Policy is what the approval policy
	// required. The journal stores them unchanged.
	Payload   string          `json:"payload,omitempty"`
	Approvals json.RawMessage `json:"approvals,omitempty"`
	Policy    json.RawMessage `json:"policy,omitempty"`
	// Remarks list anything unusual about the approval.
	Remarks []string      `json:"remarks,omitempty"`
	Holder  proc.Identity `json:"holder"`
	// Record is the number of the dry run that was reviewed for an execution, or zero.
	Record int64 `json:"record,omitempty"`
	// Session names the Terraform run that made the entry, if the system provides it.
	Session string `json:"session,omitempty"`
	// Deadline is when the holder stops the execution. It is zero in a dry run.
	Deadline time.Time `json:"deadline,omitzero"`
	// Expected is when twice the estimate has passed, if that alone does not stop the execution, otherwise zero.
	Expected time.Time `json:"expected,omitzero"`
	// Notices are the events that people are notified of with the entry, such as an approval that is needed.
	Notices []string `json:"notices,omitempty"`
	// Locks are other targets that the execution locks, such as the indices behind an alias and the target's identity.
	Locks []string `json:"locks,omitempty"`
	// Folder is the folder in which Terraform ran. A plan that is applied in a copy of it names another target.
	Folder string `json:"folder,omitempty"`
	// Configuration identifies the provider configuration of the process. Two processes of one Terraform run use it to
	// tell whether they plan the same resource.
	Configuration string `json:"configuration,omitempty"`
	// ReadOnly reports that the execution changes nothing: it excludes no other execution and is excluded by none.
	ReadOnly bool `json:"read_only,omitempty"`
	// Guardrails are the guardrails of the execution, with their readings before it began.
	Guardrails json.RawMessage `json:"guardrails,omitempty"`
	// Caches are the cache entries that the preview used: the SHA-256 of their content, in hexadecimal, by name. A
	// later plan ignores an entry that no record names.
	Caches map[string]string `json:"caches,omitempty"`
	// Problem is why a dry run failed, otherwise empty.
	Problem string `json:"problem,omitempty"`
	// Adoption is set in an entry of KindAdoption only.
	Adoption *Adoption `json:"adoption,omitempty"`
	// Origin is set in an execution that was merged from another journal.
	Origin *Origin `json:"origin,omitempty"`
}

// Dispatch is the body of the entry that records that the work was sent, and its name in the remote system.
type Dispatch struct {
	RemoteID string `json:"remote_id"`
}

// Takeover is the body of an entry by which another process continues an execution whose holder no longer runs.
type Takeover struct {
	Holder proc.Identity `json:"holder"`
	// Reason is how the process determined that the former holder no longer runs.
	Reason string `json:"reason"`
}

// Cancel is the body of an entry that asks the holder to stop.
type Cancel struct {
	// By is a person, and Because their reason, or empty.
	By      string `json:"by"`
	Because string `json:"because,omitempty"`
	// Process appended the entry.
	Process proc.Identity `json:"process"`
}

// Acknowledged is the body of an entry after which the same request may run again with the same triggers.
type Acknowledged struct {
	// By is the process that ended normally or that destroyed the resource.
	By proc.Identity `json:"by"`
}

// Notice is the body of an entry of KindNotice.
type Notice struct {
	Event   string `json:"event"`
	Message string `json:"message"`
}

// Lease is the right to continue an open execution.
type Lease struct {
	Execution int64
	// Token is the fencing token. It is 1 for the process that began the execution. Each takeover adds 1.
	Token int64
}

// Pulse is the newest heartbeat of the holder of an open execution.
type Pulse struct {
	// Beats counts how often the holder renewed its lease. Observers compare it with their previous reading. They never
	// compare the clocks of two machines.
	Beats int64
	// At is when the holder last renewed its lease, by its own clock. It is zero before the first heartbeat.
	At time.Time
}

// Undo is a playbook with its parameters, such as the playbook that undoes an execution.
type Undo struct {
	Type   string          `json:"action_type"`
	Params json.RawMessage `json:"params"`
}

// Result is the result of an execution.
type Result struct {
	Message    string    `json:"message"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	// ActualDuration is in seconds.
	ActualDuration float64           `json:"actual_duration"`
	LogsURL        string            `json:"logs_url,omitempty"`
	Details        map[string]string `json:"details,omitempty"`
	// Values are the playbook's own results as a JSON object, by the names of the resource's attributes, or nil.
	Values json.RawMessage `json:"values,omitempty"`
}

// Outcome is the body of the entry that ends an execution.
type Outcome struct {
	Status   Status `json:"status"`
	Result   Result `json:"result"`
	Rollback *Undo  `json:"rollback,omitempty"`
	// Held reports that a guardrail with on_breach = "hold" stopped the execution.
	Held bool `json:"held,omitempty"`
	// Identity is the hash of the target after an execution that replaced what its name refers to, otherwise empty.
	Identity string `json:"identity,omitempty"`
}

// Entry is one entry of the journal.
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
	// Journal is the identity of the journal that contains the record; see Identity.
	Journal   string
	DryRun    bool
	Subject   Subject
	Intent    Intent
	Status    Status
	CreatedAt time.Time
	RemoteID  string
	// Holder is the process that has or had the lease. Token is its fencing token, zero in a dry run.
	Holder proc.Identity
	Token  int64
	// Progress is the newest progress entry's body, or nil.
	Progress json.RawMessage
	Result   *Result
	Rollback *Undo
	// Held reports that a guardrail with on_breach = "hold" stopped the execution.
	Held bool
	// NewIdentity is the identity of the target after an execution that replaced it; see Outcome.Identity.
	NewIdentity string
	// Cancel is set after somebody has asked the holder to stop.
	Cancel *Cancel
	// Newest is the newest entry of the record.
	Newest Head
	// Edited is the number of an entry that was edited after it was written, or zero.
	Edited int64
	// Notices are the events that people were notified of; see KindNotice.
	Notices []string
	// Acknowledged reports that no later apply may adopt the outcome; see KindAcknowledged.
	Acknowledged bool
}

// Identity is the hash of the target after the execution; see Outcome.Identity.
func (r Record) Identity() string {
	if r.NewIdentity != "" {
		return r.NewIdentity
	}
	return r.Subject.Identity
}

// Mark is the newest entry of the record, for a state that has seen it.
func (r Record) Mark() Mark { return Mark{Journal: r.Journal, Head: r.Newest} }

// Ref is the record's identifier outside of its journal, such as "4f9c2a17-12".
func (r Record) Ref() string { return Ref{Journal: r.Journal, Number: r.ID}.String() }

// Intact returns ErrDamaged if one of the records was edited after it was written.
func Intact(records []Record) error {
	for _, r := range records {
		if r.Edited != 0 {
			return fmt.Errorf("%w: entry %d was changed after it was written", ErrDamaged, r.Edited)
		}
	}
	return nil
}

// Lease is the right to append to the record in its present state.
func (r Record) Lease() Lease { return Lease{Execution: r.ID, Token: r.Token} }

// Open reports whether the execution has no outcome yet.
func (r Record) Open() bool { return r.Status == StatusPending || r.Status == StatusRunning }

// Excludes reports whether r locks something that an execution of target with these locks would change. An execution
// that only reads excludes none.
func (r Record) Excludes(target string, locks []string) bool {
	if r.Intent.ReadOnly {
		return false
	}
	mine := append([]string{r.Subject.Target}, r.Intent.Locks...)
	return slices.Contains(mine, target) || slices.ContainsFunc(locks,
		func(lock string) bool { return slices.Contains(mine, lock) })
}

// Filter selects records. Empty fields match everything.
type Filter struct {
	Playbook, Target, Request, Incident, Digest, Identity string
	// Since and Until bound CreatedAt: from Since on, before Until.
	Since, Until time.Time
	// Before keeps records with a smaller number, if it is not zero.
	Before int64
	// Open keeps executions whose outcome is missing.
	Open bool
	// DryRuns keeps dry runs instead of executions; All keeps both, and skips.
	DryRuns, All bool
	// Limit keeps only the newest records, up to this number. Zero keeps all.
	Limit int
}

// Store stores the journal. Implementations are safe for use by several goroutines and by several processes at once. A
// change is durable when the method returns without an error.
type Store interface {
	// Begin appends the first entry of an execution, a dry run or a skip, and returns its record. It atomically refuses
	// an intent with a *BusyError while an execution that excludes it is open. Dry runs, skips, and executions that
	// only read are never refused for this reason.
	Begin(ctx context.Context, subject Subject, kind Kind, intent Intent) (Record, error)
	// BeginAfter is Begin for a dry run. It atomically returns ErrStale if a record with the same request is newer than
	// the record with the number after.
	BeginAfter(ctx context.Context, subject Subject, intent Intent, after int64) (Record, error)
	// Append adds an entry to an open execution. The body is a Dispatch, any JSON value as progress, a Notice, a
	// Cancel, a Takeover, which raises the token, or an Outcome, which closes the execution. An Acknowledged follows an
	// outcome and needs no lease. Append returns ErrClosed if the outcome is already recorded, ErrFenced if the lease's
	// token is not the record's, ErrNotFound if there is no such execution (a dry run is not an execution), and
	// ErrOrder or ErrBody if the entry can't come next or its body is invalid; see Record.Admits and Encode.
	Append(ctx context.Context, lease Lease, kind Kind, body any) (Record, error)
	// Beat renews the lease of an open execution. It returns the errors of Append.
	Beat(ctx context.Context, lease Lease) error
	// Pulse returns the newest heartbeat of the execution's present holder. It is zero if the execution is not open or
	// the holder has not sent one.
	Pulse(ctx context.Context, execution int64) (Pulse, error)
	// Get returns one record, or ErrNotFound.
	Get(ctx context.Context, id int64) (Record, error)
	// Find returns the matching records, oldest first.
	Find(ctx context.Context, filter Filter) ([]Record, error)
	// Count returns how many records match. It ignores the filter's limit.
	Count(ctx context.Context, filter Filter) (int, error)
	// Entries calls visit with each entry, in order, from sequence number from. It stops when visit returns an error.
	Entries(ctx context.Context, from int64, visit func(Entry) error) error
	// Compact first appends an entry that lists the entries to remove, and then removes them. It returns ErrGaps if the
	// journal is not as c describes it, for example after another process has compacted it.
	Compact(ctx context.Context, c Compaction) (Entry, error)
	// Close releases the store's resources.
	Close() error
}

// Errors from a Store. ErrForeign, ErrDamaged and ErrNewer describe what was found in place of a usable journal.
// ErrUnavailable means that the journal can't be read or written, temporarily or permanently. Nothing has been written.
var (
	ErrNotFound = errors.New("not in the journal")
	ErrClosed   = errors.New("the execution's outcome is already recorded")
	ErrFenced   = errors.New("another process has taken the execution over")
	ErrStale    = errors.New("the request has a newer record in the journal")
	ErrGaps     = errors.New("the entries to remove from the journal have changed")
	ErrForeign  = errors.New("not a journal of this provider")
	ErrDamaged  = errors.New("the journal is damaged")
	ErrNewer    = errors.New("the journal was written by a newer version of the provider")
	// ErrUnavailable covers a full disk, missing permissions, a folder that can't be created, and a lock that another
	// process keeps too long.
	ErrUnavailable = errors.New("the journal cannot be read or written")
)

// BusyError reports that another execution of the target is open.
type BusyError struct{ Record Record }

// Error implements error.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is held by execution %d (%s), started at %s by %s", e.Record.Subject.Target, e.Record.ID,
		e.Record.Subject.Playbook, e.Record.CreatedAt.Format(time.RFC3339), e.Record.Holder)
}
