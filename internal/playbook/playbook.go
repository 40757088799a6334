// Package playbook is the domain: what a remediation is, apart from any order in which its steps are taken (package
// engine) and from Terraform. Each playbook is a folder below this one, which declares the narrow interface of the
// target it needs.
package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// Playbook is one kind of remediation, such as rerun_dbt. New makes one.
type Playbook interface {
	Description
	// Bind checks inputs, given as a JSON object, and returns the action that they describe. It does no I/O.
	Bind(params json.RawMessage) (Action, error)
}

// Action is a playbook bound to its inputs.
type Action interface {
	// Target names what would be changed, such as "dbt:shop/prod"; cheap, read-only.
	Target(ctx context.Context) (string, error)
	// Preview looks at the live target and changes nothing. What is known of Holds goes with an error, too: the reason
	// may be what a dead execution left there.
	Preview(ctx context.Context) (Preview, error)
	// Dispatch prepares the work and names it; the engine journals the name, then calls Wait, which sends the change.
	// Only work whose name is known once it runs, such as a process, starts here. An error that wraps ErrUncertain
	// means that the work may have begun; any other error, that it has not.
	Dispatch(ctx context.Context, job Job) (Work, error)
	// Adopt finds the work of an execution whose process died, by what the journal holds of it. An error that wraps
	// ErrNeverBegan means that nothing was sent, and one that wraps ErrLater that this can't be determined yet; any
	// other error, that the outcome can't be known, and says how to find out.
	Adopt(ctx context.Context, job Job) (Work, error)
}

// Job is one execution as an Action sees it.
type Job struct {
	// ID is the execution's identifier in the journal, unique there.
	ID int64
	// Dir is the execution's own folder, for logs and artifacts. It is made by the action that needs it.
	Dir string
	// Preview is what was reviewed and, when Dispatch is called, still holds.
	Preview Preview
	// RemoteID is the name of the dispatched work, for Adopt; empty where the process died before it was journaled.
	RemoteID string
	// Progress is what the last Checkpoint of the execution journaled, for Adopt; nil where there was none.
	Progress json.RawMessage
	// Checkpoint journals progress (any JSON value) between the steps of the work. An error means: stop here, at a
	// consistent step, and return it from Wait.
	Checkpoint func(ctx context.Context, progress any) error
	// Watch waits for the duration while guardrails are read; see Stand. Nil where nothing watches.
	Watch func(ctx context.Context, d time.Duration) error
}

// Stand lets a step of the work stand for d, watched by the guardrails. An error means: stop here and return it from
// Wait.
func (j Job) Stand(ctx context.Context, clk clock.Clock, d time.Duration) error {
	if j.Watch != nil {
		return j.Watch(ctx, d)
	}
	return clk.Sleep(ctx, d)
}

// Work is dispatched work. Its name is in the journal before Wait is called.
type Work interface {
	// RemoteID names it so that Adopt finds it again: a task, a run, a process.
	RemoteID() string
	// Wait sends the change, or goes on with it, and returns when it is over. When ctx ends first it stops the work,
	// leaves the target consistent, and returns what is known with an error that wraps the cause of ctx. Work that
	// ended badly is an error too; Report then says what is known of it. The error tells three cases apart:
	//
	//   - ErrUncertain: the answer to a change was lost, so that the outcome is unknown and nothing is sent again;
	//   - ErrNotStopped: the work goes on after Wait has returned;
	//   - any other error: the target refused the change or it failed, and the work is over.
	Wait(ctx context.Context) (Report, error)
}

// Reverter is Work that can take back what it has done so far, in one step. The engine calls it after Wait, when a
// guardrail asks to go back.
type Reverter interface {
	// Revert returns the target to what it was before the work began, and says what it is now. If someone else has
	// changed the target since, Revert leaves it alone and returns an error.
	Revert(ctx context.Context) (Report, error)
}

// Observer is an Action whose effect can be looked at again later, cheaply.
type Observer interface {
	// Observe says in a sentence how the target differs from what the action brings about; empty where it doesn't. It
	// changes nothing.
	Observe(ctx context.Context) (drift string, err error)
}

// Invalidator is an Action whose target answers from memory for a while.
type Invalidator interface {
	// Invalidate makes the next look a look at the target.
	Invalidate()
}

// Errors by which work tells the engine how it stands, and the other way round.
var (
	// ErrUncertain marks a change that was sent and whose answer was lost: it may or may not have reached the target. A
	// change that the target refused is an error without it.
	ErrUncertain = errors.New("it is not known whether the work began")
	// ErrNotStopped marks work that could not be stopped when its context ended, and still goes on. The execution is
	// recorded with an unknown outcome.
	ErrNotStopped = errors.New("the work could not be stopped and goes on")
	// ErrNeverBegan marks an execution of which nothing was sent.
	ErrNeverBegan = errors.New("the work never began")
	// ErrPartway marks an execution that ended before all of it was done: the target is consistent, and another
	// execution continues from there.
	ErrPartway = errors.New("the work stopped partway")
	// ErrLater marks an Adopt that can't find out yet, such as from a target that doesn't answer: the execution stays
	// open, and the next apply looks again.
	ErrLater = errors.New("it can't be determined yet")
	// ErrTakenOver is why a context ends, or a checkpoint fails, once another process has taken the execution over. The
	// work returns it and stops changing the target, even to clean up: that is for whoever continues it.
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

// Exposure says in which direction an execution moves traffic. Guardrails judge by it: what gives a version more
// traffic needs every guardrail to hold first, and taking back what gave it less would give it more.
type Exposure string

// Exposures. Playbooks that move no traffic have none.
const (
	ExposureUp   Exposure = "up"
	ExposureDown Exposure = "down"
)

// Preview is what an execution would do, as seen on the live target. What enters the digest is marked; all else is
// shown, and kept in the record of the dry run.
type Preview struct {
	// Summary is one sentence, such as "Will re-run 2 dbt models: inbox_emails, triage_results".
	Summary string `json:"summary"`
	// Where says where the change happens, one line per place, such as "duckdb, target dev: triage.main".
	Where []string `json:"where,omitempty"`
	// Commands are what will be executed, in order, as a person would type them. Part of the digest.
	Commands []string `json:"commands"`
	// Changes are sentences, one per change.
	Changes []string `json:"changes"`
	// NotDone are sentences about what is not done although a reader might expect it, such as tests of the models.
	NotDone []string `json:"not_done,omitempty"`
	// Figures are routine observations that hold as of the time of the dry run, such as row counts and sizes.
	Figures []string `json:"figures,omitempty"`
	// Duration is the estimate, or the upper end of it; DurationFrom is the lower end where the estimate is a range,
	// else zero.
	Duration     time.Duration `json:"duration"`
	DurationFrom time.Duration `json:"duration_from,omitempty"`
	// CostUSD is the estimate in US dollars.
	CostUSD float64 `json:"cost_usd"`
	// EstimateOrigin says where the estimate comes from, such as "default, no history" or "11 runs".
	EstimateOrigin string `json:"estimate_origin,omitempty"`
	Risk           Risk   `json:"risk"`
	// RiskReason says why, in a phrase.
	RiskReason string `json:"risk_reason,omitempty"`
	// Affected are the systems and things that feel the change.
	Affected []string `json:"affected"`
	// Count is how many things the execution changes, such as models, where that is not the number of Affected. Rules
	// of the approval policy may ask for more from a certain number on.
	Count int `json:"count,omitempty"`
	// ApprovalReasons say why an approval is needed. None: not needed.
	ApprovalReasons []string `json:"approval_reasons"`
	// RollbackAvailable tells whether it can be undone.
	RollbackAvailable bool `json:"rollback_available"`
	// Undo says how, or why not, in a phrase.
	Undo string `json:"undo"`
	// Rollback is the action that would undo the change, as far as it is known before the execution, or nil. Part of
	// the digest.
	Rollback *Rollback `json:"rollback,omitempty"`
	// Step is how long each step of a gradual change stands; zero where there are no steps.
	Step time.Duration `json:"step,omitempty"`
	// Facts are the playbook's own attributes of preview, by their JSON names: a struct, or a map. Part of the digest,
	// by the content hash.
	Facts any `json:"facts"`
	// Identity is what makes the target the same thing however it is named, such as host, port and database. Nil: its
	// name. Part of the digest, by its hash.
	Identity any `json:"identity,omitempty"`
	// Content is what runs beyond Facts, such as a checksum per model. Part of the digest, by the content hash.
	Content any `json:"content,omitempty"`
	// Exposure says whether a version gets more or less traffic. Empty: neither.
	Exposure Exposure `json:"exposure,omitempty"`
	// Warnings are for what needs action by the reader of the plan. They are not part of the digest.
	Warnings []string `json:"-"`
	// Locks are the things that are worked on by names that Target would return for them, where others may ask for them
	// by those: the indices behind an alias. Nothing else runs on them meanwhile.
	Locks []string `json:"-"`
}

// Size is how many things the execution changes.
func (p Preview) Size() int {
	if p.Count > 0 {
		return p.Count
	}
	return len(p.Affected)
}

// Report is what came of an execution.
type Report struct {
	// Message is one sentence.
	Message string
	// LogsURL is where the logs are, or empty.
	LogsURL string
	// Details are figures and facts by name, in snake case.
	Details map[string]string
	// Identity is what the target is after an execution that replaced what its name stands for, as Preview.Identity
	// says it before. Nil: it is the same thing as before.
	Identity any
	// Undo is the action that takes the change back, or nil. It is kept also where the work ended badly: give it from
	// when on there is something that it can take back.
	Undo *Rollback
}

// Rollback is an action that takes a change back.
type Rollback struct {
	// ActionType is the playbook that does it.
	ActionType string `json:"action_type"`
	// Params are its inputs.
	Params any `json:"params"`
}

// Metadata is a playbook's page in the catalogue.
type Metadata struct {
	// ActionType is its name in the history, such as "rerun_dbt".
	ActionType string
	// Summary says what it does, in one sentence.
	Summary string
	// Use says when to choose it.
	Use []string
	// Approval says when one is needed.
	Approval string
	// Duration and Cost are the estimates in words.
	Duration, Cost string
	// Undo says how it is taken back.
	Undo string
	// CanUndo tells whether on_destroy = "rollback" makes sense.
	CanUndo bool
}
