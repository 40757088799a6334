// Package playbook defines what a remediation is, independent of the order of its steps (package engine) and of
// Terraform. Each playbook is a folder below this one, and declares the narrow interface of the target that it needs.
package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Playbook is one kind of remediation, such as rerun_dbt. New makes one.
type Playbook interface {
	Description
	// Bind checks inputs, given as a JSON object, and returns the action that they describe. It does no I/O.
	Bind(params json.RawMessage) (Action, error)
}

// Action is a playbook bound to its inputs.
type Action interface {
	// Target names what would be changed, such as "dbt:shop/prod". It is cheap and only reads.
	Target(ctx context.Context) (string, error)
	// Preview reads the live target and changes nothing. Return the known Locks even with an error: the engine looks
	// for an open execution on them, which may be the reason.
	Preview(ctx context.Context) (Preview, error)
	// Dispatch prepares the work and names it; the engine journals the name, then calls Wait, which sends the change.
	// Only work that gets its name by being started, such as a process, starts here. An error that wraps ErrUncertain
	// means that the work may have begun; any other error means that it has not.
	Dispatch(ctx context.Context, job Job) (Work, error)
	// Adopt finds the work of an execution whose process died, from what the journal contains about it. An error that
	// wraps ErrNeverBegan means that nothing was sent, one that wraps ErrPartway that the work stopped (it may be
	// Stopped), and one that wraps ErrLater that this can't be determined yet. Any other error means that the outcome
	// can't be determined, and says how to find out.
	Adopt(ctx context.Context, job Job) (Work, error)
}

// Job is one execution, as an Action sees it.
type Job struct {
	// ID is the execution's identifier in the journal, unique there.
	ID int64
	// Name identifies the execution in any journal, such as "4f9c2a17-12". Requests to other systems carry it.
	Name string
	// Dir is the folder of this execution, for logs and artifacts. An action that needs it creates it.
	Dir string
	// Preview is what was reviewed. It is still true when Dispatch is called.
	Preview Preview
	// RemoteID is the name of the dispatched work, for Adopt; empty if the process died before it was journaled.
	RemoteID string
	// Progress is what the last Checkpoint of the execution journaled, for Adopt; nil if there was none.
	Progress json.RawMessage
	// Checkpoint journals progress (any JSON value) between the steps of the work. After an error, stop at a consistent
	// step and return the error from Wait.
	Checkpoint func(ctx context.Context, progress any) error
	// IncidentBegan returns when the incident's first execution that changes something began, or this execution if
	// there was none. Without an incident, only the executions of the same apply count.
	IncidentBegan func(ctx context.Context) (time.Time, error)
	// Watch waits for the duration while guardrails are read; see Stand. Nil if there are no guardrails.
	Watch func(ctx context.Context, d time.Duration) error
}

// Stand waits for d after a step of the work, while the guardrails are read. After an error, stop and return the error
// from Wait.
func (j Job) Stand(ctx context.Context, clk clock.Clock, d time.Duration) error {
	if j.Watch != nil {
		return j.Watch(ctx, d)
	}
	return clk.Sleep(ctx, d)
}

// Work is an execution's work, from Dispatch or Adopt. Its name is in the journal before Wait is called.
type Work interface {
	// RemoteID is the name by which Adopt finds the work again: a task, a run, a process.
	RemoteID() string
	// Wait sends the change, or continues it, and returns when it is over. If ctx ends first, it stops the work, leaves
	// the target consistent, and returns what is known with an error that wraps the cause of ctx. Work that failed is
	// an error too; Report then says what is known about it. The error distinguishes three cases:
	//
	//   - ErrUncertain: the answer to a change was lost, the outcome is unknown, and nothing is sent again;
	//   - ErrNotStopped: the work continues after Wait has returned;
	//   - any other error: the target refused the change or it failed, and the work is over.
	Wait(ctx context.Context) (Report, error)
}

// Reverter is Work that can reverse what it has done, in one step. The engine calls it after Wait, if a guardrail asks
// for a rollback.
type Reverter interface {
	// Revert returns the target to its state before the work began, and reports the new state. If someone else has
	// changed the target since, Revert leaves it alone and returns an error.
	Revert(ctx context.Context) (Report, error)
}

// Observer is an Action whose effect can be checked later, cheaply.
type Observer interface {
	// Observe reads the target and changes nothing.
	Observe(ctx context.Context) (Observation, error)
}

// Observation compares a target with what an action brings about.
type Observation struct {
	// Drift says in a sentence how the target differs; empty if it doesn't.
	Drift string
	// Identity is that of the target, as in Preview. Nil if the target was not read.
	Identity any
	// Left reports whether an execution that ended with these details of its Report left the target as it is, even if
	// it did not complete. Nil: this can't be told.
	Left func(details map[string]string) bool
}

// Stopped is Work whose process died partway. Its Adopt returned ErrPartway, too.
type Stopped interface {
	// Reached describes where the work stopped.
	Reached() Report
}

// Follower is an Action that can be previewed on the state that an earlier execution will leave.
type Follower interface {
	// PreviewAfter is Preview on the Projection of an earlier preview of the same target, as JSON. It returns
	// ErrNotProjected if it needs the live target.
	PreviewAfter(ctx context.Context, projection json.RawMessage) (Preview, error)
}

// Invalidator is an Action whose target caches answers.
type Invalidator interface {
	// Invalidate makes the next preview read the target.
	Invalidate()
}

// Errors that work and engine use to report the state of an execution to each other.
var (
	// ErrUncertain marks a change that was sent and whose answer was lost: it may or may not have reached the target.
	// An error for a change that the target refused does not wrap it.
	ErrUncertain = errors.New("it is not known whether the work began")
	// ErrNotStopped marks work that could not be stopped when its context ended, and continues. The execution is
	// recorded with an unknown outcome.
	ErrNotStopped = errors.New("the work could not be stopped and is still running")
	// ErrNeverBegan marks an execution that sent nothing.
	ErrNeverBegan = errors.New("the work never began")
	// ErrPartway marks an execution that ended before it was complete: the target is consistent, and another execution
	// continues from there.
	ErrPartway = errors.New("the work stopped partway")
	// ErrLater marks an Adopt that can't determine the outcome yet, for example because the target doesn't answer: the
	// execution stays open, and the next apply tries again.
	ErrLater = errors.New("it can't be determined yet")
	// ErrNotProjected marks a preview that needs the live target.
	ErrNotProjected = errors.New("it can't be previewed before the earlier step has run")
	// ErrNotObserved marks a target that can't be compared with what an execution left.
	ErrNotObserved = errors.New("the target can't be compared with what the execution left")
	// ErrTakenOver is the cause of a context's end, or the error from Checkpoint, once another process has taken the
	// execution over. The work returns it and stops changing the target, including any cleanup: that is up to the
	// process that continues it.
	ErrTakenOver = errors.New("another process has taken the execution over")
)

// Risk is how much harm an execution can do.
type Risk string

// Risks.
const (
	RiskLow    Risk = "low"
	RiskMedium Risk = "medium"
	RiskHigh   Risk = "high"
)

// Exposure is the direction in which an execution moves traffic. Guardrails depend on it: before a version gets more
// traffic, every guardrail must be within bounds, and reversing a change that took traffic away would give it back.
type Exposure string

// Exposures. Playbooks that move no traffic have none.
const (
	ExposureUp   Exposure = "up"
	ExposureDown Exposure = "down"
)

// Preview is what an execution would do to the live target. The comments mark what is part of the digest, the hash that
// approvals refer to. Everything else is shown, and kept in the record of the dry run.
type Preview struct {
	// Summary is one sentence, such as "Will re-run 2 dbt models: inbox_emails, triage_results".
	Summary string `json:"summary"`
	// Where says where the change happens, one line per place, such as "duckdb, target dev: triage.main".
	Where []string `json:"where,omitempty"`
	// Commands are what will be executed, in order, as typed in a shell. Part of the digest.
	Commands []string `json:"commands"`
	// Changes are sentences, one per change.
	Changes []string `json:"changes"`
	// NotDone are sentences about what is not done although a reader might expect it, such as tests of the models.
	NotDone []string `json:"not_done,omitempty"`
	// Figures are routine observations at the time of the dry run, such as row counts and sizes.
	Figures []string `json:"figures,omitempty"`
	// Duration is the estimate, or the upper end of a range; DurationFrom is the lower end, or zero if there is no
	// range.
	Duration     time.Duration `json:"duration"`
	DurationFrom time.Duration `json:"duration_from,omitempty"`
	// Measured reports that Duration was measured in earlier executions. Otherwise nobody knows how long it takes.
	Measured bool `json:"measured,omitempty"`
	// LeastDeadline is the shortest deadline that the engine may derive from Duration. Zero: the engine's own minimum.
	LeastDeadline time.Duration `json:"least_deadline,omitempty"`
	// Waits is how long the execution waits on purpose, whatever happens: it can't take less.
	Waits time.Duration `json:"-"`
	// CostUSD is the estimate in US dollars.
	CostUSD float64 `json:"cost_usd"`
	// EstimateOrigin says where the estimate comes from, such as "default, no history" or "11 runs".
	EstimateOrigin string `json:"estimate_origin,omitempty"`
	Risk           Risk   `json:"risk"`
	// RiskReason is the reason for the risk, in a phrase.
	RiskReason string `json:"risk_reason,omitempty"`
	// Affected are the systems that the change affects.
	Affected []string `json:"affected"`
	// Count is how many things the execution changes, such as models, if that is not the number of Affected. Rules of
	// the approval policy can require more approvals above a certain number.
	Count int `json:"count,omitempty"`
	// ApprovalReasons say why an approval is needed. Empty: none is needed.
	ApprovalReasons []string `json:"approval_reasons"`
	// RollbackAvailable reports whether the execution can be undone.
	RollbackAvailable bool `json:"rollback_available"`
	// Undo says in a phrase how the execution can be undone, or why not.
	Undo string `json:"undo"`
	// Rollback is the action that would undo the change, as far as it is known before the execution, or nil. Part of
	// the digest.
	Rollback *Rollback `json:"rollback,omitempty"`
	// Overtime is how long the work may take beyond twice the estimate before it is stopped, if no timeout is
	// configured.
	Overtime time.Duration `json:"overtime,omitempty"`
	// Step is how long a gradual change waits after each step; zero if there are no steps.
	Step time.Duration `json:"step,omitempty"`
	// Facts are the playbook's own attributes of preview, by their JSON names: a struct or a map. Part of the digest,
	// by the content hash.
	Facts any `json:"facts"`
	// Figures of the target can be attributes of preview, too: Unbound names the members of Facts that may change
	// between plan and apply. They are not part of the digest.
	Unbound []string `json:"unbound,omitempty"`
	// Identity identifies the target regardless of its name, for example by host, port, and database. Nil: the name.
	// Part of the digest, by its hash.
	Identity any `json:"identity,omitempty"`
	// Content is what would run, as far as Facts do not contain it, such as a checksum per model. Part of the digest,
	// by the content hash.
	Content any `json:"content,omitempty"`
	// Projection is what the target looks like after the execution, for Follower, as a JSON value without a revision.
	// Nil: it can't be projected. Keeps reports that the execution changes nothing that later previews of the target
	// read.
	Projection any  `json:"projection,omitempty"`
	Keeps      bool `json:"keeps,omitempty"`
	// Exposure says whether a version gets more or less traffic. Empty: neither.
	Exposure Exposure `json:"exposure,omitempty"`
	// Programs are the files that decide what the execution's processes do, such as an executable. They are not part of
	// the digest, which must be the same on every machine that reaches the target. The record of the dry run has them,
	// and apply compares them with it.
	Programs []proc.Program `json:"programs,omitempty"`
	// Warnings are for what the reader of the plan should act on. They are not part of the digest.
	Warnings []string `json:"-"`
	// Locks are other names that Target can return for what the execution works on, such as the indices behind an
	// alias. No other execution runs on them at the same time.
	Locks []string `json:"-"`
	// OtherNames are names of the target that Target never returns, such as its address. Rules of the approval policy
	// match them, too.
	OtherNames []string `json:"-"`
}

// Size returns how many things the execution changes.
func (p Preview) Size() int {
	if p.Count > 0 {
		return p.Count
	}
	return len(p.Affected)
}

// Report is the result of an execution.
type Report struct {
	// Message is one sentence.
	Message string
	// LogsURL is the address of the logs, or empty.
	LogsURL string
	// Details are figures and facts by name, in snake case.
	Details map[string]string
	// Values are the playbook's own results, by the names of the resource's attributes: a struct or a map. Nil: it has
	// none.
	Values any
	// Identity is the Preview.Identity of the target after an execution that replaced what its name refers to. Nil:
	// unchanged.
	Identity any
	// Undo is the action that reverses the change, or nil. It is also kept if the work failed: set it as soon as there
	// is something to reverse.
	Undo *Rollback
}

// Rollback is an action that reverses a change.
type Rollback struct {
	// ActionType is the playbook of the action.
	ActionType string `json:"action_type"`
	// Params are its inputs.
	Params any `json:"params"`
}

// InputGuardrails is the name of the input that contains a gate's guardrails.
const InputGuardrails = "guardrail"

// Metadata is a playbook's page in the catalogue.
type Metadata struct {
	// ActionType is its name in the history, such as "rerun_dbt".
	ActionType string
	// Summary says what it does, in one sentence.
	Summary string
	// Use says when to choose it.
	Use []string
	// Approval says when an approval is needed.
	Approval string
	// Duration and Cost are the estimates in words.
	Duration, Cost string
	// Undo says how an execution is undone.
	Undo string
	// CanUndo reports whether on_destroy = "rollback" has an effect.
	CanUndo bool
	// ReadOnly reports that executions change nothing. They lock no target, no freeze holds them back, and they don't
	// count as attempts to end an incident.
	ReadOnly bool
	// Gate reports that the guardrails are in the input InputGuardrails: the playbook reads them itself, and a change
	// to them runs it again. The engine does not watch its executions.
	Gate bool
}
