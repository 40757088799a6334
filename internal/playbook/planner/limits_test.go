package planner_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/haproxy"
)

const (
	toHalf = `{"version": "v2", "target_percent": 50, "gradual": false}`
	toAll  = `{"version": "v2", "target_percent": 100, "gradual": false}`
)

func TestPlanSaysWhatWeightsCannotDo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		odd oddState
		// warns and notDone are substrings of the warnings and of what is not done, or empty.
		warns, notDone string
	}{
		"drain": {oddState{setup: servers("weight 10", "weight 3"),
			say: []string{"set server planner/srv2 state drain"}},
			"Server srv2 is draining: v2 gets no new sessions", ""},
		"down": {oddState{setup: servers("weight 10", "weight 3 check inter 50 fall 1"), say: []string{"fail 2"}},
			"health check sees server srv2 as down", ""},
		"backup": {oddState{setup: servers("weight 10", "weight 3 backup")}, "srv2 is marked backup", ""},
		"backup of no version": {oddState{setup: servers("weight 10", "weight 3", "weight 5 backup")}, "",
			"The backup server srv3 belongs to no version"},
		"cookie": {oddState{setup: haproxytest.Setup{Lines: []string{"cookie SRV insert indirect nocache"},
			Servers: []string{"weight 10 cookie a", "weight 3 cookie b"}}}, "", "session cookie SRV"},
		"stick table": {oddState{setup: haproxytest.Setup{
			Lines:   []string{"stick-table type ip size 1k expire 1m", "stick on src"},
			Servers: []string{"weight 10", "weight 3"}}}, "", "stick table"},
		"agent check": {oddState{setup: servers("weight 10",
			"weight 3 agent-check agent-port 1 agent-inter 60s")}, "Server srv2 has an agent check", ""},
		"first": {oddState{setup: haproxytest.Setup{Balance: "first", Servers: []string{"weight 10", "weight 3"}}},
			"weights other than 0 have no effect", ""},
		"hash": {oddState{setup: haproxytest.Setup{Balance: "source", Servers: []string{"weight 10", "weight 3"}}},
			"hash-type consistent", ""},
		"cookie, frontend of the same name": {oddState{setup: haproxytest.Setup{Frontend: "planner",
			Lines:   []string{"cookie SRV insert indirect nocache"},
			Servers: []string{"weight 10 cookie a", "weight 3 cookie b"}}}, "", "session cookie SRV"},
		"plain": {oddState{setup: servers("weight 10", "weight 3")}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := tt.odd.start(t)
			before := s.Configured(t)
			preview := look(t, bind(t, planner.NewSplit(p, &quick{}), toHalf))
			warnings, notDone := strings.Join(preview.Warnings, "\n"), strings.Join(preview.NotDone, "\n")
			if !strings.Contains(warnings, tt.warns) || (tt.warns == "") != (warnings == "") {
				t.Errorf("warnings %q", warnings)
			}
			if !strings.Contains(notDone, tt.notDone) || (tt.notDone == "") != (notDone == "") {
				t.Errorf("not done %q", notDone)
			}
			if s.Configured(t) != before {
				t.Errorf("plan changed the router:\n%s", s.Configured(t))
			}
		})
	}
}

func TestStaticWeightsAreRefusedAtPlan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		setup        haproxytest.Setup
		inputs, says string
	}{
		"a share between": {haproxytest.Setup{Balance: "static-rr", Servers: []string{"weight 10", "weight 3"}}, toHalf,
			"static weights"},
		"a share between, frontend of the same name": {haproxytest.Setup{Balance: "static-rr", Frontend: "planner",
			Servers: []string{"weight 10", "weight 3"}}, toHalf, "static weights"},
		"all for a server whose initial weight is 0": {haproxytest.Setup{Balance: "static-rr",
			Servers: []string{"weight 10", "weight 0"}}, toAll, "weight 0 in the router's configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, p := oddState{setup: tt.setup}.start(t)
			_, err := bind(t, planner.NewSplit(p, &quick{}), tt.inputs).Preview(t.Context())
			if !errors.Is(err, target.ErrShares) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAHashNeverLosesAllWeights covers a server whose initial weight is 0: 100% of that is 0, too.
func TestAHashNeverLosesAllWeights(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lines []string
		// left is the configuration after the move, and refused reports that HAProxy accepts no other weight.
		left    string
		refused bool
	}{
		"consistent": {[]string{"hash-type consistent"}, "srv1 admin 0 weight 0\nsrv2 admin 0 weight 200\n", false},
		"static":     {nil, "srv1 admin 0 weight 10\nsrv2 admin 0 weight 0\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := oddState{setup: haproxytest.Setup{Balance: "source", Lines: tt.lines,
				Servers: []string{"weight 10", "weight 0"}}}.start(t)
			_, _, err := run(t, bind(t, planner.NewSplit(p, &quick{}), toAll), nil)
			if errors.Is(err, target.ErrShares) != tt.refused || errors.Is(err, playbook.ErrUncertain) {
				t.Errorf("got %v", err)
			}
			if got := s.Configured(t); got != tt.left {
				t.Errorf("the router has\n%s", got)
			}
			if _, err := s.Request(); err != nil {
				t.Errorf("a request: %v", err)
			}
		})
	}
}

// TestRefusedHashWeightsChangeNothing covers what can't be seen at plan: a hash without "consistent".
func TestRefusedHashWeightsChangeNothing(t *testing.T) {
	t.Parallel()
	s, p := oddState{setup: haproxytest.Setup{Balance: "source", Servers: []string{"weight 10", "weight 3"}}}.start(t)
	before := s.Configured(t)
	_, _, err := run(t, bind(t, planner.NewSplit(p, &quick{}), `{"version": "v2", "target_percent": 0.5}`), nil)
	if !errors.Is(err, target.ErrShares) || errors.Is(err, playbook.ErrUncertain) ||
		strings.Count(err.Error(), "static LB algorithm") != 1 {
		t.Errorf("got %v", err)
	}
	if s.Configured(t) != before {
		t.Errorf("changed to\n%s", s.Configured(t))
	}
}

func TestReadOnlySocketWarnsAtPlanAndStopsApplyBeforeAnyChange(t *testing.T) {
	t.Parallel()
	s := haproxytest.Start(t)
	p := haproxy.New(haproxy.Config{Address: s.Operator, Backend: "planner",
		Servers: map[string]string{"v1": "srv1", "v2": "srv2"}, Stable: "v1"})
	a := bind(t, planner.NewSplit(p, &quick{}), toHalf)
	preview := look(t, a)
	if said := strings.Join(preview.Warnings, "\n"); !strings.Contains(said, "level operator") {
		t.Errorf("warnings %q", said)
	}
	if _, err := a.Dispatch(t.Context(), playbook.Job{Preview: preview}); !errors.Is(err, target.ErrForbidden) {
		t.Errorf("dispatch: %v", err)
	}
}

// TestReloadAndAgentCheckAreNamed covers what changes weights during a move.
func TestReloadAndAgentCheckAreNamed(t *testing.T) {
	t.Parallel()
	agent := listenForAgent(t, "75%")
	for name, tt := range map[string]struct {
		setup   haproxytest.Setup
		disturb func(t *testing.T, s *haproxytest.Server)
		says    string
	}{
		"reload": {servers("weight 100", "weight 5"),
			func(t *testing.T, s *haproxytest.Server) { t.Helper(); s.Reload(t) }, "the router was reloaded"},
		"agent check": {servers("weight 100",
			"weight 40 agent-check agent-inter 50 agent-addr 127.0.0.1 agent-port "+agent),
			func(t *testing.T, s *haproxytest.Server) {
				t.Helper()
				if !eventually(func() bool { return strings.Contains(s.Configured(t), "srv2 admin 0 weight 30") }) {
					t.Error("the agent check sets no weight")
				}
			}, "the agent check of server srv2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := oddState{setup: tt.setup}.start(t)
			tt.disturb(t, s) // the agent sets its weight before the move begins
			before := s.Configured(t)
			a := bind(t, planner.NewSplit(p, &quick{}),
				`{"version": "v2", "target_percent": 50, "gradual_duration": "3s", "steps": 3}`)
			work, _, err := run(t, a, func(n int) error {
				if n == 2 {
					tt.disturb(t, s)
				}
				return nil
			})
			if !errors.Is(err, target.ErrMoved) || !strings.Contains(err.Error(), tt.says) ||
				strings.Contains(strings.ToLower(err.Error()), "someone else") {
				t.Errorf("got %v", err)
			}
			_, err = work.(playbook.Reverter).Revert(t.Context()) //nolint:forcetypeassert // it has to be one
			if err != nil || !eventually(func() bool { return s.Configured(t) == before }) {
				t.Errorf("back: %v\n%s, want\n%s", err, s.Configured(t), before)
			}
		})
	}
}

// listenForAgent answers agent checks, and returns the port.
func listenForAgent(t *testing.T, says string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, says+"\n")
			_ = conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// busy is a clock that sends requests through the router while it waits.
type busy struct {
	s        *haproxytest.Server
	requests int
}

func (*busy) Now() time.Time { return time.Time{} }

func (b *busy) Sleep(ctx context.Context, _ time.Duration) error {
	for range b.requests {
		_, _ = b.s.Request() // the router counts them
	}
	return context.Cause(ctx)
}

func TestResultContainsTheMeasuredShare(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		say  []string
		want string
	}{
		"as configured": {nil, "the router counted 50% of 40 requests for v2"},
		"draining": {[]string{"set server planner/srv2 state drain"},
			"the router counted 0% of 40 requests for v2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := oddState{setup: servers("weight 100", "weight 5"), say: tt.say}.start(t)
			a := bind(t, planner.NewSplit(p, &busy{s, 40}),
				`{"version": "v2", "target_percent": 50, "gradual_duration": "2s", "steps": 2}`)
			_, out, err := run(t, a, nil)
			if err != nil || !strings.Contains(out.Message, tt.want) || out.Details["requests_measured"] != "40" {
				t.Errorf("%q, %v, %v", out.Message, out.Details, err)
			}
			if tt.say != nil && !strings.Contains(out.Details["router_notes"], "draining") {
				t.Errorf("details %v", out.Details)
			}
		})
	}
}

// pacer is a clock that notes each wait.
type pacer struct{ waits []time.Duration }

func (*pacer) Now() time.Time { return time.Time{} }

func (p *pacer) Sleep(ctx context.Context, d time.Duration) error {
	p.waits = append(p.waits, d)
	return context.Cause(ctx)
}

func TestScheduleInThePlanIsWhatPacesTheMove(t *testing.T) {
	t.Parallel()
	clk := &pacer{}
	_, p := oddState{setup: servers("weight 90", "weight 10")}.start(t)
	a := bind(t, planner.NewSplit(p, clk),
		`{"version": "v2", "target_percent": 25, "gradual_duration": "10s", "steps": 3}`)
	facts, ok := look(t, a).Facts.(planner.Facts)
	if !ok {
		t.Fatal("no facts")
	}
	if _, _, err := run(t, a, nil); err != nil {
		t.Fatal(err)
	}
	at := time.Duration(0)
	for i, step := range facts.Schedule {
		if at != time.Duration(step.AfterSeconds)*time.Second {
			t.Errorf("step %d was taken after %s, planned after %d s", i+1, at, step.AfterSeconds)
		}
		at += clk.waits[i]
	}
	if at != 10*time.Second {
		t.Errorf("the move took %s", at)
	}
}

func TestRollbackGoesToTheStableVersionByDefault(t *testing.T) {
	t.Parallel()
	f := newFake(10)
	a := bind(t, planner.NewRollback(f, &quick{}), `{"from_version": "v1.2.3-canary", "immediate": true}`)
	preview := look(t, a)
	if len(preview.ApprovalReasons) != 1 || !strings.Contains(preview.ApprovalReasons[0], "to v1.2.2 at once") {
		t.Errorf("reasons %q", preview.ApprovalReasons)
	}
	if _, _, err := run(t, a, nil); err != nil || f.split.Shares["v1.2.2"] != 100 {
		t.Errorf("split %v, %v", f.split.Shares, err)
	}
}
