package faultproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// subject is a playbook on a real target behind a proxy.
type subject struct {
	proxy *faultproxy.Proxy
	// book creates the playbook with new clients, as each provider process does.
	book    func() playbook.Playbook
	metrics guard.Reader
	rails   []guard.Rail
	action  string
	params  map[string]any
	// begin prepares the target for a case. amiss describes what is wrong with it at the end.
	begin func(t *testing.T)
	amiss func(t *testing.T) string
	// once matches the requests that an execution may send only once, whatever their result.
	once func(s faultproxy.Seen) bool
}

// bench is a subject with a journal.
type bench struct {
	subject
	t     *testing.T
	store journal.Store
	dir   string
	run   int
	// applies counts the applies. A name approves one execution, so a later one needs another name.
	applies int
}

func newBench(t *testing.T, s subject) *bench {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "journal.db"), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &bench{subject: s, t: t, store: store, dir: dir}
}

// apply plans and applies as Terraform does, with new clients and caches as in a separate process.
func (b *bench) apply() (engine.Execution, error) {
	b.t.Helper()
	const patience = 2 * time.Minute
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	e := engine.New(engine.Config{
		Catalogue: playbook.NewCatalogue(b.book()), Policy: approval.Policy{}, Clock: clock.System{}, Dir: b.dir,
		HistoryLimit: 50, Self: proc.Self(),
		Metrics: b.metrics, Journal: func(context.Context) (journal.Store, error) { return b.store, nil },
	})
	params, err := json.Marshal(b.params)
	if err != nil {
		b.t.Fatal(err)
	}
	req := engine.Request{
		ActionType: b.action, Params: params, Incident: "INC-7",
		Triggers: map[string]string{"run": strconv.Itoa(b.run)},
		Given:    approval.Given{By: fmt.Sprintf("lead-%d@example.com", b.applies)}, Guardrails: b.rails,
	}
	b.applies++
	review, err := e.Plan(ctx, req)
	if err != nil {
		return engine.Execution{}, err
	}
	shown := &engine.Reviewed{Record: review.Record, Digest: review.Digest, Target: review.Target,
		Commands: review.Commands}
	if review.Unseen {
		shown = nil
	}
	x, err := e.Apply(ctx, req, shown, func(engine.Execution) {})
	if ctx.Err() != nil {
		b.t.Errorf("an apply took longer than %s", patience)
	}
	return x, err
}

// spoiled is a case: the fault, the request, and how often.
type spoiled struct {
	fault      faultproxy.Fault
	nth, times int
}

func (s spoiled) String() string {
	return fmt.Sprintf("%s, request %d, %d times", s.fault, s.nth, s.times)
}

// check runs a case: an apply with the fault, then applies without one until an apply succeeds.
func (b *bench) check(c spoiled) {
	b.t.Helper()
	b.begin(b.t)
	b.run++
	b.proxy.Spoil(c.fault, c.nth, c.times)
	const tries = 4
	for try := range tries {
		x, err := b.apply()
		seen := b.proxy.Seen()
		b.atMostOnce(c, seen)
		if try == 0 && len(seen) <= c.nth {
			b.t.Logf("%s: %d requests only", c, len(seen))
		}
		b.proxy.Spoil("", 0, 0)
		if err == nil {
			break
		}
		b.readable(c, err)
		switch {
		case try == tries-1:
			b.t.Errorf("%s: no apply succeeds: %v", c, err)
		case errors.Is(err, engine.ErrOutcome):
			b.run++
			if x.Record.ID != 0 && x.Record.Status != journal.StatusUnknown {
				b.t.Errorf("%s: the outcome is not known and the record says %q", c, x.Record.Status)
			}
		}
	}
	if wrong := b.amiss(b.t); wrong != "" {
		b.t.Errorf("%s: the target is not as asked: %s", c, wrong)
	}
	open, err := b.store.Find(b.t.Context(), journal.Filter{Open: true})
	if err != nil || len(open) != 0 {
		b.t.Errorf("%s: %d executions are open, %v", c, len(open), err)
	}
}

// atMostOnce finds requests that reached the server twice within an execution.
func (b *bench) atMostOnce(c spoiled, seen []faultproxy.Seen) {
	b.t.Helper()
	received := map[string]int{}
	for _, s := range seen {
		if b.once(s) && s.Fault.PassedOn() {
			received[s.Method+" "+s.URI+" "+s.Body]++
		}
	}
	for what, n := range received {
		if n > 1 {
			b.t.Errorf("%s: the server received %d times: %s", c, n, what)
		}
	}
}

// readable requires that an error says what is wrong, why, and what to do next.
func (b *bench) readable(c spoiled, err error) {
	b.t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) || p.What == "" || p.Why == "" || p.Next == "" {
		b.t.Errorf("%s: the error does not say what, why and what next: %#v", c, err)
	}
}

// verify checks the journal at the end.
func (b *bench) verify() {
	b.t.Helper()
	journaltest.Verify(b.t, b.store)
}
