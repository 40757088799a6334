package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// fakePlaybook is a playbook that records calls and behaves as a test says.
type fakePlaybook struct {
	mu      sync.Mutex
	calls   []string
	facts   map[string]any
	reasons []string
	undo    *playbook.Rollback
	// target and identity replace those from the action's name, if they are set.
	target, identity string
	// locks are the Locks of an action, by its name.
	locks map[string][]string

	// programs are those of the preview.
	programs []proc.Program

	// exposure and step are those of the preview.
	exposure playbook.Exposure
	step     time.Duration

	// readOnly reports that executions change nothing, and gate that the playbook reads its guardrails itself.
	readOnly, gate bool
	// waits is the Waits of the preview.
	waits time.Duration
	// guessed reports that nobody measured the estimate.
	guessed bool

	previewErr  error
	dispatchErr error
	// wait is what dispatched or adopted work does.
	wait func(ctx context.Context, job playbook.Job) (playbook.Report, error)
	// adopt is what becomes of an execution whose process died.
	adopt error
}

type params struct {
	Name string `json:"name"`
}

func (b *fakePlaybook) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
}

func (b *fakePlaybook) count(call string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (b *fakePlaybook) Metadata() playbook.Metadata {
	return playbook.Metadata{ActionType: "fake", ReadOnly: b.readOnly, Gate: b.gate}
}

func (b *fakePlaybook) Check(raw json.RawMessage) error { return playbook.Decode(raw, &params{}) }

func (b *fakePlaybook) Normalize(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (b *fakePlaybook) Bind(raw json.RawMessage) (playbook.Action, error) {
	var p params
	if err := playbook.Decode(raw, &p); err != nil {
		return nil, err
	}
	return action{b, p}, nil
}

type action struct {
	*fakePlaybook
	params params
}

func (a action) Target(context.Context) (string, error) {
	if a.target != "" {
		return "fake:" + a.target, nil
	}
	return "fake:" + a.params.Name, nil
}

func (a action) Invalidate() { a.note("forget") }

func (a action) Preview(context.Context) (playbook.Preview, error) {
	a.note("preview")
	var identity any
	if a.identity != "" {
		identity = a.identity
	}
	return playbook.Preview{
		Identity: identity, Summary: "Will fake " + a.params.Name, Commands: []string{"fake " +
			a.params.Name}, Changes: []string{"Will fake " + a.params.Name},
		Duration: time.Minute, Measured: !a.guessed, Risk: playbook.RiskLow, Facts: a.facts,
		ApprovalReasons: a.reasons, Undo: "none",
		Programs: a.programs,
		Locks:    a.locks[a.params.Name], Exposure: a.exposure, Step: a.step, Waits: a.waits,
	}, a.previewErr
}

func (a action) Dispatch(_ context.Context, job playbook.Job) (playbook.Work, error) {
	a.note("dispatch")
	if a.dispatchErr != nil {
		return nil, a.dispatchErr
	}
	return work{a, job}, nil
}

func (a action) Adopt(_ context.Context, job playbook.Job) (playbook.Work, error) {
	a.note("adopt")
	return work{a, job}, a.adopt
}

type work struct {
	action
	job playbook.Job
}

func (w work) RemoteID() string { return fmt.Sprintf("remote-%d", w.job.ID) }

func (w work) Wait(ctx context.Context) (playbook.Report, error) {
	w.note("wait")
	if w.wait != nil {
		return w.wait(ctx, w.job)
	}
	return playbook.Report{Message: "done", LogsURL: "file:///logs", Undo: w.undo}, nil
}

// testClock is a clock whose deadlines only pass when a test says so, and whose short waits take no time.
type testClock struct {
	mu  sync.Mutex
	now time.Time
	// ring ends the long waits.
	ring chan struct{}
}

func newTestClock() *testClock {
	return &testClock{now: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC), ring: make(chan struct{})}
}

func (h *testClock) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(time.Millisecond)
	return h.now
}

func (h *testClock) Sleep(ctx context.Context, d time.Duration) error {
	if d > time.Second {
		select {
		case <-h.ring:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
	return ctx.Err()
}

// jump sets the clock forward or back.
func (h *testClock) jump(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// bench is an engine on a real journal with a fake playbook.
type bench struct {
	*engine.Engine
	fake  *fakePlaybook
	store journal.Store
	clock *testClock
	cfg   engine.Config
	// session is the Terraform run of the executions that leave journals.
	session string
}

func newBench(t *testing.T, change ...func(*engine.Config)) *bench {
	t.Helper()
	b := &bench{fake: &fakePlaybook{facts: map[string]any{"things": []string{"a", "b"}}}, clock: newTestClock()}
	path := filepath.Join(t.TempDir(), "journal.db")
	store, err := sqlite.Open(t.Context(), path, b.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b.store = store
	b.cfg = engine.Config{
		Catalogue: playbook.NewCatalogue(b.fake), Policy: approval.Policy{}, Clock: b.clock, Dir: t.TempDir(),
		HistoryLimit: 50,
		Self:         proc.Self(),
		Journal:      func(context.Context) (journal.Store, error) { return b.store, nil },
	}
	for _, c := range change {
		c(&b.cfg)
	}
	b.Engine = engine.New(b.cfg)
	return b
}

// savedPlan is a Terraform that applies an unreadable saved plan: the newest dry run counts as the one that it shows.
func savedPlan() proc.Terraform { return proc.Terraform{Command: "apply", PlanFile: "missing.tfplan"} }

// ref identifies a record of the bench's journal.
func (b *bench) ref(t *testing.T, rec journal.Record) journal.Ref {
	t.Helper()
	id, err := journal.Identity(t.Context(), b.store)
	if err != nil {
		t.Fatal(err)
	}
	return journal.Ref{Journal: id, Number: rec.ID}
}

// planned plans the request and applies what the plan shows.
func (b *bench) planned(t *testing.T, req engine.Request) (engine.Execution, error) {
	t.Helper()
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		return engine.Execution{}, err
	}
	return b.Apply(t.Context(), req, shownBy(review), func(engine.Execution) {})
}

// shownBy returns what a plan keeps of a review.
func shownBy(review engine.Review) *engine.Reviewed {
	return &engine.Reviewed{Record: review.Record, Digest: review.Digest, Target: review.Target,
		Commands: review.Commands}
}

func request(name string) engine.Request {
	text, err := json.Marshal(params{Name: name})
	if err != nil {
		panic(err)
	}
	return engine.Request{ActionType: "fake", Params: text, Incident: "INC-1", Triggers: map[string]string{"run": "1"}}
}

func (b *bench) apply(t *testing.T, req engine.Request) (engine.Execution, error) {
	t.Helper()
	return b.Apply(t.Context(), req, nil, func(engine.Execution) {})
}

// leave journals an execution as a process that died would have left it.
func (b *bench) leave(t *testing.T, req engine.Request, holder proc.Identity, dispatched bool) journal.Record {
	t.Helper()
	// A first plan computes the request's key.
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	subject := journal.Subject{Playbook: "fake", Target: review.Target, Request: review.Request, Incident: req.Incident,
		Digest: review.Digest, Identity: review.IdentityHash}
	rec, err := b.store.Begin(t.Context(), subject, journal.KindIntent, journal.Intent{
		Params: req.Params, Triggers: req.Triggers, Holder: holder, Digest: review.Digest, Session: b.session,
		Locks:    append(review.Locks, "identity:"+review.IdentityHash),
		Deadline: b.clock.Now().Add(2 * time.Minute),
	})
	if err == nil && dispatched {
		rec, err = b.store.Append(t.Context(), rec.Lease(), journal.KindDispatch,
			journal.Dispatch{RemoteID: "remote-of-the-dead"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// newestEntry returns the newest entry of an engine's journal.
func newestEntry(t *testing.T, e *engine.Engine) journal.Mark {
	t.Helper()
	store, err := e.Journal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mark, err := journal.Newest(t.Context(), store)
	if err != nil || mark.Journal == "" {
		t.Fatalf("%+v, %v", mark, err)
	}
	return mark
}

// dead is a process of this host that has ended: no process with this PID has its start time.
func dead() proc.Identity {
	p := proc.Self()
	p.Started++
	return p
}

// other is a living process of this host that is not this one.
func other() proc.Identity { return proc.Identify(1) }

var (
	_       clock.Clock = &testClock{}
	errBoom             = errors.New("boom")
)
