package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// told records notices.
type told struct {
	mu  sync.Mutex
	all []engine.Notice
}

func (n *told) Notify(_ context.Context, notice engine.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, notice)
}

// events returns the events so far, in order.
func (n *told) events() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, notice := range n.all {
		out = append(out, string(notice.Event))
	}
	return strings.Join(out, " ")
}

func telling(n *told) func(*engine.Config) { return func(c *engine.Config) { c.Notifier = n } }

func TestEventsOfAnExecution(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		wait func(context.Context, playbook.Job) (playbook.Report, error)
		rail *guard.Rail
		want string
	}{
		"success": {nil, nil, "start success"},
		"failure": {func(context.Context, playbook.Job) (playbook.Report, error) {
			return playbook.Report{},
				broken
		}, nil,
			"start failure"},
		"an unknown outcome": {func(context.Context, playbook.Job) (playbook.Report, error) {
			return playbook.Report{}, playbook.ErrUncertain
		}, nil, "start failure"},
		"hold":     {nil, &guard.Rail{Max: ptr(5), OnBreach: guard.Hold}, "start hold"},
		"rollback": {nil, &guard.Rail{Max: ptr(5), OnBreach: guard.Rollback}, "start rollback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &told{}
			source := &metrics{values: []any{1.0, 1.0, 9.0}} // the plan reads it, too
			b := newBench(t, telling(n), func(c *engine.Config) { c.Metrics = source })
			b.fake.wait = c.wait
			req := request("a")
			if c.rail != nil {
				c.rail.Name, c.rail.Query = "errors", guard.Query{Prometheus: "q"}
				req.Guardrails = []guard.Rail{*c.rail}
				b.cfg.Catalogue = playbook.NewCatalogue(&shiftPlaybook{fakePlaybook: b.fake})
				b.Engine = engine.New(b.cfg)
			}
			x, _ := b.planned(t, req)
			if n.events() != c.want {
				t.Fatalf("events %q, want %q (%+v)", n.events(), c.want, x.Record.Result)
			}
			for _, notice := range n.all {
				if notice.Execution != b.ref(t, x.Record).String() || notice.Incident != "INC-1" ||
					notice.Message == "" ||
					notice.Target != "fake:a" || notice.Digest == "" {
					t.Errorf("notice %+v", notice)
				}
			}
			if _, err := b.Plan(t.Context(), request("b")); err != nil || n.events() != c.want {
				t.Errorf("a plan told something: %q, %v", n.events(), err)
			}
		})
	}
}

// TestApprovalNeededIsToldOncePerDigest applies what is not approved three times, the last time after a change.
func TestApprovalNeededIsToldOncePerDigest(t *testing.T) {
	t.Parallel()
	n := &told{}
	b := newBench(t, telling(n))
	b.fake.reasons = []string{"it is a test"}
	for range 2 {
		if _, err := b.planned(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
			t.Fatal(err)
		}
	}
	if n.events() != "approval_needed" || !strings.HasSuffix(n.all[0].Message, ", because it is a test.") {
		t.Fatalf("events %q, want one, with the reason: %+v", n.events(), n.all)
	}
	review, err := b.Plan(t.Context(), request("a"))
	if err != nil || review.Record == 0 || n.all[0].Digest != review.Digest {
		t.Errorf("the plan after it: record %d, digest %s, notice %+v, %v", review.Record, review.Digest, n.all[0], err)
	}
	b.fake.facts = map[string]any{"things": []string{"c"}}
	if _, err := b.planned(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
		t.Fatal(err)
	}
	if n.events() != "approval_needed approval_needed" {
		t.Errorf("events %q, want one per digest", n.events())
	}
	journaltest.Verify(t, b.store)
}

func TestThirdFailureInARowIsAnEscalation(t *testing.T) {
	t.Parallel()
	n := &told{}
	b := newBench(t, telling(n))
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
		return playbook.Report{}, errors.New("broken")
	}
	for range 3 {
		_, _ = b.planned(t, request("a"))
	}
	if want := "start failure start failure start failure escalation"; n.events() != want {
		t.Errorf("events %q, want %q", n.events(), want)
	}
	if last := n.all[len(n.all)-1].Message; !strings.HasPrefix(last, "The last 3 executions for incident ") {
		t.Errorf("the escalation says %q", last)
	}
}

// slowClock lets waits of minutes pass when the test says so, and never those of hours.
type slowClock struct {
	*testClock
	past chan struct{}
}

func (c slowClock) Sleep(ctx context.Context, d time.Duration) error {
	switch {
	case d > 12*time.Hour:
		<-ctx.Done()
		return context.Cause(ctx)
	case d > time.Minute:
		select {
		case <-c.past:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return c.testClock.Sleep(ctx, d)
}

// TestEstimateThatNobodyMeasuredStopsNothing lets an execution pass twice its estimate: it is told and journaled once,
// and the execution succeeds.
func TestEstimateThatNobodyMeasuredStopsNothing(t *testing.T) {
	t.Parallel()
	n := &told{}
	clock := slowClock{newTestClock(), make(chan struct{})}
	b := newBench(t, telling(n), func(c *engine.Config) { c.Clock = clock })
	b.fake.guessed = true
	b.fake.wait = func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
		close(clock.past)
		for !strings.Contains(n.events(), "past_estimate") {
			if ctx.Err() != nil {
				return playbook.Report{}, context.Cause(ctx)
			}
			time.Sleep(time.Millisecond)
		}
		return playbook.Report{Message: "done"}, nil
	}
	review, err := b.Plan(t.Context(), request("a"))
	if err != nil || review.Deadline != 24*time.Hour || review.Expected != 2*time.Minute {
		t.Fatalf("deadline %s, expected %s, %v", review.Deadline, review.Expected, err)
	}
	if want := "stopped after 24 h, reported after 2 min (twice the estimate)"; !strings.Contains(
		review.Text(), want) {
		t.Errorf("the text lacks %q:\n%s", want, review.Text())
	}
	x, err := b.apply(t, request("a"))
	if err != nil || x.Record.Status != journal.StatusSuccess || !strings.Contains(x.Late,
		"more than twice its estimate") {
		t.Errorf("%+v, late %q, %v", x.Record, x.Late, err)
	}
	if n.events() != "start past_estimate success" || !slices.Equal(x.Record.Notices, []string{"past_estimate"}) {
		t.Errorf("events %q, journaled %q", n.events(), x.Record.Notices)
	}
	journaltest.Verify(t, b.store)
}

// TestTakeoverDoesNotTellTwice adopts an execution that has passed twice its estimate, and was told about.
func TestTakeoverDoesNotTellTwice(t *testing.T) {
	t.Parallel()
	n := &told{}
	b := newBench(t, telling(n))
	rec := b.leave(t, request("a"), dead(), true)
	noted, err := b.store.Append(t.Context(), rec.Lease(), journal.KindNotice,
		journal.Notice{Event: "past_estimate", Message: "It takes long."})
	if err != nil || !slices.Equal(noted.Notices, []string{"past_estimate"}) {
		t.Fatalf("%+v, %v", noted, err)
	}
	if _, err := b.apply(t, request("a")); err != nil {
		t.Fatal(err)
	}
	if n.events() != "success" {
		t.Errorf("events %q, want only the end", n.events())
	}
}

func TestDeadlineLine(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]engine.Review{
		"stopped after 20 min (twice the estimate)": {Deadline: 20 * time.Minute, Expected: 20 * time.Minute,
			Preview: playbook.Preview{Duration: 10 * time.Minute, Measured: true}},
		"stopped after 10 s (the minimum)": {Deadline: 10 * time.Second, Expected: 10 * time.Second,
			Preview: playbook.Preview{Duration: time.Second, Measured: true}},
		"stopped after 5 min (the minimum)": {Deadline: 5 * time.Minute, Expected: 5 * time.Minute,
			Preview: playbook.Preview{Duration: time.Minute, Measured: true, LeastDeadline: 5 * time.Minute}},
		"stopped after 24 h, reported after 10 s (the minimum)": {Deadline: 24 * time.Hour,
			Expected: 10 * time.Second, Preview: playbook.Preview{Duration: time.Second}},
		"stopped after 28 h (twice the estimate)": {Deadline: 28 * time.Hour, Expected: 28 * time.Hour,
			Preview: playbook.Preview{Duration: 14 * time.Hour}},
		"stopped after 60 s (timeouts)": {Deadline: time.Minute, TimeoutSet: true},
	} {
		if !strings.Contains(r.Text(), want+"\n") {
			t.Errorf("the text lacks %q:\n%s", want, r.Text())
		}
	}
}

// TestTextShowsHiddenCharacters checks that a text of others, such as the statement of a hook or a target's message,
// can't overwrite lines of the plan on a terminal or turn them around.
func TestTextShowsHiddenCharacters(t *testing.T) {
	t.Parallel()
	text := engine.Review{Number: 2, Last: "failed: \x1b[2K", Preview: playbook.Preview{
		Changes: []string{"Hook: select 1 -- \u202e\rall"}}}.Text()
	for _, want := range []string{"failed: <U+001B>[2K\n", "Hook: select 1 -- <U+202E><U+000D>all\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%q", want, text)
		}
	}
}
