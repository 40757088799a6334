// Package playbook is the domain: what a remediation is, apart from any order in which its steps are taken (package engine)
// and from Terraform. Each playbook is a folder below this one, which declares the narrow interface of the target it needs.
package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Playbook is one kind of remediation, such as rerun_dbt.
type Playbook interface {
	// Entry is its page in the catalogue.
	Entry() Entry
	// Bind checks inputs, given as a JSON object, and returns the action that they describe. It does no I/O. A bad input is a
	// *problem.Problem with the input's path.
	Bind(params json.RawMessage) (Action, error)
}

// Action is a playbook bound to its inputs.
type Action interface {
	// Target names what would be changed, such as "dbt:shop/prod"; cheap, read-only.
	Target(ctx context.Context) (string, error)
	// Preview looks at the live target and changes nothing. What is known of Holds goes with an error, too: the reason may be what a
	// dead execution left there.
	Preview(ctx context.Context) (Preview, error)
	// Dispatch starts the work and returns as soon as it is under way. An error that wraps ErrUncertain means that the work may
	// have begun; any other error, that it has not.
	Dispatch(ctx context.Context, job Job) (Work, error)
	// Adopt finds the work of an execution whose process died, by what the journal holds of it. An error that wraps
	// ErrNeverBegan means that nothing was sent, and one that wraps ErrLater that it can't be told yet; any other error, that the outcome
	// can't be known, and says how to find out.
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
	// Checkpoint journals progress (any JSON value) between the steps of the work. An error means: stop here, at a consistent
	// step, and return it from Wait.
	Checkpoint func(ctx context.Context, progress any) error
}

// Work is dispatched work.
type Work interface {
	// RemoteID names it so that Adopt finds it again: a task, a run, a process.
	RemoteID() string
	// Wait returns when the work is over. When ctx ends first it stops the work, leaves the target consistent, and returns
	// what is known with an error that wraps the cause of ctx. Work that ended badly is an error too; Outcome then says what is
	// known of it.
	Wait(ctx context.Context) (Outcome, error)
}

// Reverter is Work that can take back what it has done so far, in one step. The engine calls it after Wait, when a guardrail
// asks to go back.
type Reverter interface {
	// Revert returns the target to what it was before the work began, and says what it is now. Where somebody else has changed the
	// target since, it is left alone and that is an error.
	Revert(ctx context.Context) (Outcome, error)
}

// Observer is an Action whose effect can be looked at again later, cheaply.
type Observer interface {
	// Observe says in a sentence how the target differs from what the action brings about; empty where it doesn't. It changes
	// nothing.
	Observe(ctx context.Context) (drift string, err error)
}

// Forgetter is an Action whose target answers from memory for a while.
type Forgetter interface {
	// Forget makes the next look a look at the target.
	Forget()
}

// Errors that work and its engine tell each other.
var (
	// ErrUncertain marks a dispatch that may or may not have reached the target.
	ErrUncertain = errors.New("it is not known whether the work began")
	// ErrNeverBegan marks an execution of which nothing was sent.
	ErrNeverBegan = errors.New("the work never began")
	// ErrPartway marks an execution of which only a part was done, and that is over: the target is consistent, and running again
	// goes on from where it is.
	ErrPartway = errors.New("the work stopped partway")
	// ErrLater marks an Adopt that can't find out now, such as from a target that doesn't answer: the execution stays open, and the next
	// apply looks again.
	ErrLater = errors.New("it can't be told now")
	// ErrTakenOver is why a context ends, or a checkpoint fails, once another process has taken the execution over. The work returns
	// it and changes the target no more, not even to tidy up: that is for whoever goes on with it.
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

// Preview is what an execution would do, as seen on the live target.
type Preview struct {
	// Summary is one sentence, such as "Will re-run 2 dbt models: inbox_emails, triage_results".
	Summary string `json:"summary"`
	// Commands are what will be executed, in order, as a person would type them.
	Commands []string `json:"commands"`
	// Changes are sentences, one a change.
	Changes []string `json:"changes"`
	// Duration is the estimate.
	Duration time.Duration `json:"duration"`
	// CostUSD is the estimate in US dollars.
	CostUSD float64 `json:"cost_usd"`
	Risk    Risk    `json:"risk"`
	// Affected are the systems and things that feel the change.
	Affected []string `json:"affected"`
	// Count is how many things the execution changes, such as models, where that is not the number of Affected. Rules of the
	// approval policy may ask for more from a certain number on.
	Count int `json:"count,omitempty"`
	// ApprovalReasons say why an approval is needed. None: not needed.
	ApprovalReasons []string `json:"approval_reasons"`
	// RollbackAvailable tells whether it can be undone.
	RollbackAvailable bool `json:"rollback_available"`
	// Undo says how, or why not, in a phrase.
	Undo string `json:"undo"`
	// Facts are the live facts whose change must stop the apply, and the playbook's own attributes of preview: a struct
	// with JSON names, or a map. They are part of the digest.
	Facts any `json:"facts"`
	// Notes are volatile observations. They are shown as warnings, and are no part of the digest or of known plan values.
	Notes []string `json:"-"`
	// Holds are the things that are worked on by names that Target would return for them, where others may ask for them by
	// those: the indices behind an alias. Nothing else runs on them meanwhile.
	Holds []string `json:"-"`
}

// Size is how many things the execution changes.
func (p Preview) Size() int {
	if p.Count > 0 {
		return p.Count
	}
	return len(p.Affected)
}

// Outcome is what came of an execution.
type Outcome struct {
	// Message is one sentence.
	Message string
	// LogsURL is where the logs are, or empty.
	LogsURL string
	// Details are figures and facts by name, in snake case.
	Details map[string]string
	// Undo is the action that takes the change back, or nil. It is kept also where the work ended badly: give it from when on there is
	// something that it can take back.
	Undo *Undo
}

// Undo is an action that takes a change back.
type Undo struct {
	// ActionType is the playbook that does it.
	ActionType string
	// Params are its inputs.
	Params any
}

// Entry is a playbook's page in the catalogue.
type Entry struct {
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
