// Package engine is the only place that knows the order of an execution: preview, approve, journal, dispatch, wait,
// record, and recovery after a crash. Playbooks define what each step does; fronts (Terraform resources) only call its
// methods, such as Plan and Apply.
//
// The order is chosen for crashes: the next apply can always find out what happened. The intent is durable before
// anything is sent, the name of the remote work before anything waits, and a dispatch that may have happened is never
// sent again.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Forge reads who approved the change at the forge, such as GitHub, where it was reviewed. If the forge can't be read,
// the answer says so and confirms nobody.
type Forge interface {
	Confirmed(ctx context.Context) approval.Confirmed
}

// Config contains the dependencies of an Engine. Catalogue, Journal, Clock, Dir, and Self are required.
type Config struct {
	Catalogue playbook.Catalogue
	// Journal opens the store. It is called when the journal is first needed, and again after it failed.
	Journal func(ctx context.Context) (journal.Store, error)
	Policy  approval.Policy
	Clock   clock.Clock
	// Metrics reads the metrics of guardrails. Nil: no guardrail can be read.
	Metrics guard.Reader
	// Forge is asked if an approval is needed. Nil: the policy names no forge.
	Forge Forge
	// HistoryLimit is how many of a request's executions, the newest ones, are read from the journal. Zero: all.
	HistoryLimit int
	// Keep is how long the journal keeps entries that are no longer needed. Zero: forever.
	Keep time.Duration
	// Folder is the folder in which Terraform runs, or empty if it is not known.
	Folder string
	// Dir is the folder in which each execution has a folder.
	Dir string
	// Self is this process; Terraform is its parent.
	Self      proc.Identity
	Terraform proc.Terraform
	// LogsBaseURL is the address under which Dir is published, or empty.
	LogsBaseURL string
	// Configuration identifies the provider configuration without its secrets.
	Configuration string
	// Planned remembers the executions that were planned in this process. Nil: only those of this engine.
	Planned *Planned
	// Redact masks secrets in logs. Nil: there are none.
	Redact func(string) string
	// ProgramsListed reports that the runner's policy lists the programs that may be started.
	ProgramsListed bool
	// Notifier tells people about events. Nil: nobody.
	Notifier Notifier
	// Reached, if set, is called at each Point of an execution. Tests kill the process there.
	Reached func(Point)
}

// Engine runs playbooks. It is safe for use by several goroutines.
type Engine struct {
	cfg Config
	// targets are locked while an execution runs, and requests while a dry run is recorded.
	targets, requests keyedLock

	mu    sync.Mutex
	store journal.Store
	// delivered are the successful executions that were returned to callers and are not acknowledged yet.
	delivered []int64
	// executed reports that an execution that this process began was returned to a caller.
	executed bool
	// verified reports that the journal's newest entries were verified. broken is what is wrong with them, or empty.
	verified bool
	broken   string
	// seen are the newest entries that states have seen, by journal; see Saw.
	seen map[string]journal.Mark
	// named are the newest executions that states name, by journal; see SawExecution.
	named map[string]journal.Ref

	planOnce sync.Once
	plan     proc.SavedPlan
	planErr  error
}

// New returns an Engine. It does no I/O.
func New(cfg Config) *Engine {
	if cfg.Planned == nil {
		cfg.Planned = NewPlanned()
	}
	return &Engine{cfg: cfg}
}

// RunIf is the value of run_if.
type RunIf int

// Values of RunIf. An execution whose run_if is false is skipped; see Skip.
const (
	RunAlways RunIf = iota // it is not set
	RunTrue
	RunMaybe // it is unknown
)

// Request asks to run one playbook with these inputs.
type Request struct {
	// ActionType names the playbook.
	ActionType string
	// Params are the playbook's own inputs that are set, as a JSON object.
	Params   json.RawMessage
	Triggers map[string]string
	Incident string
	Given    approval.Given
	// Guardrails watch the execution. They are policy and not part of the request's identity.
	Guardrails []guard.Rail
	// Timeout bounds the execution. Zero: twice the estimate if that was measured, otherwise at least 24 hours.
	Timeout time.Duration
	// OnDestroy is what destroy does with the execution, "keep" or "rollback". Empty: "keep".
	OnDestroy string
	// After are the digests of earlier steps in the configuration. They are policy and not part of the request's
	// identity, except for a gate. AfterUnknown reports that one of them is unknown.
	After        []string
	AfterUnknown bool
	// RunIf is the value of run_if.
	RunIf RunIf
	// TriggersUnknown and IncidentUnknown report that Triggers and Incident are empty because they are not known yet.
	TriggersUnknown, IncidentUnknown bool
	// ExpectedDigest pins the reviewed preview, or is empty; see approval.CheckPin.
	ExpectedDigest string
	// PinnedUndo is, for an undo, the resource's expected_digest: if it is the undo's digest, names count without a
	// signature.
	PinnedUndo string
	// Known is the number of the newest execution that had ended when the caller's state was saved, or zero. Mark is
	// the newest journal entry that the state has seen. Open reports that the state's last execution had not ended.
	Known int64
	Mark  journal.Mark
	Open  bool
	// Execution is the execution that the state names, or zero.
	Execution journal.Ref
	// Creates reports that the request has no state: what other states have seen of the journal counts, see Saw.
	Creates bool
	// Origin is the target that an execution changed, if the request is to undo or observe that execution.
	Origin Origin

	// inputs are the normalized Params. page is the playbook's metadata.
	inputs json.RawMessage
	page   playbook.Metadata
}

// Origin is the target that an execution changed. Empty members are not compared.
type Origin struct {
	// Execution identifies that execution. If the journal has its record, Target and Identity are taken from there.
	Execution journal.Ref
	Target    string
	// Identity is the hash of the target's identity; see Review.IdentityHash.
	Identity string
}

// Reviewed is what plan showed.
type Reviewed struct {
	// Record is the number of the dry run in the journal, or zero if it had none.
	Record   int64
	Digest   string
	Target   string
	Commands []string
	Facts    map[string]any
}

// Journal opens the journal on first use.
func (e *Engine) Journal(ctx context.Context) (journal.Store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.store == nil {
		store, err := e.cfg.Journal(ctx)
		if err != nil {
			return nil, err
		}
		e.store = journal.Identified(store)
	}
	return e.store, nil
}

// Catalogue returns the playbooks.
func (e *Engine) Catalogue() playbook.Catalogue { return e.cfg.Catalogue }

// bind is Bind, and normalizes the inputs that the digest and the request's identity cover: an input at its default
// counts as not set.
func (e *Engine) bind(req *Request) (playbook.Action, error) {
	action, err := e.Bind(*req)
	if err != nil {
		return nil, err
	}
	book := e.cfg.Catalogue[req.ActionType]
	req.page = book.Metadata()
	if req.inputs, err = book.Normalize(req.Params); err == nil {
		err = req.place()
	}
	return action, err
}

// place adds the place in a chain to the inputs of a gate. Two gates with the same guardrails at two places are two
// requests with separate digests and histories, because they read the metrics at different times.
func (r *Request) place() error {
	if !r.page.Gate || len(r.After) == 0 {
		return nil
	}
	var all map[string]json.RawMessage
	err := json.Unmarshal(r.inputs, &all)
	if err == nil {
		all["after"], err = json.Marshal(r.After)
	}
	if err == nil {
		r.inputs, err = json.Marshal(all)
	}
	if err != nil {
		return fmt.Errorf("add the place in the chain to the inputs: %w", err)
	}
	return nil
}

// Bind checks the request's inputs and returns its action, without any I/O.
func (e *Engine) Bind(req Request) (playbook.Action, error) {
	p, ok := e.cfg.Catalogue[req.ActionType]
	if !ok {
		return nil, fmt.Errorf("unknown playbook %q", req.ActionType)
	}
	return p.Bind(req.Params)
}

// job describes the execution in rec to its action.
func (e *Engine) job(rec journal.Record, preview playbook.Preview, store journal.Store) playbook.Job {
	return playbook.Job{
		ID:            rec.ID,
		Name:          rec.Ref(),
		Dir:           e.folder(rec.ID),
		Preview:       preview,
		RemoteID:      rec.RemoteID,
		Progress:      stepOf(rec.Progress),
		IncidentBegan: func(ctx context.Context) (time.Time, error) { return e.incidentBegan(ctx, store, rec) },
		Checkpoint: func(ctx context.Context, step any) error {
			return e.note(ctx, store, rec, progress{Step: step})
		},
	}
}

// note journals progress, and returns an error if the work has to stop.
func (e *Engine) note(ctx context.Context, store journal.Store, rec journal.Record, body progress) error {
	_, err := store.Append(context.WithoutCancel(ctx), rec.Lease(), journal.KindProgress, body)
	switch {
	case overtakenByOthers(err):
		return errors.Join(playbook.ErrTakenOver, err)
	case err != nil:
		return fmt.Errorf("journal the progress: %w", err)
	}
	e.reached(ctx, PointProgress, rec)
	return context.Cause(ctx)
}

// keyedLock is one lock per key.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// acquire waits until it has the key's lock or ctx is done, and returns a function that releases the lock.
func (l *keyedLock) acquire(ctx context.Context, key string) (func(), error) {
	lock := l.lock(key)
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// try is acquire without waiting.
func (l *keyedLock) try(key string) (release func(), ok bool) {
	lock := l.lock(key)
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, true
	default:
		return nil, false
	}
}

func (l *keyedLock) lock(key string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]chan struct{}{}
	}
	lock, ok := l.held[key]
	if !ok {
		lock = make(chan struct{}, 1)
		l.held[key] = lock
	}
	return lock
}
