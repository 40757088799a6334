package planner_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/haproxy"
)

// oddState is the state of a router as operators leave it.
type oddState struct {
	setup haproxytest.Setup
	// say are commands of an administrator before the move.
	say []string
	// target is where the canary v2 is moved, in percent.
	target float64
}

func servers(options ...string) haproxytest.Setup { return haproxytest.Setup{Servers: options} }

// oddStates are ratios that are not percentages, three versions, and servers in every state, administrative or
// effective.
func oddStates() map[string]oddState {
	return map[string]oddState{
		"100 to 5":          {servers("weight 100", "weight 5"), nil, 50},
		"2 to 1":            {servers("weight 2", "weight 1"), nil, 60},
		"1 to 1":            {servers("weight 1", "weight 1"), nil, 75},
		"default weights":   {servers("", ""), nil, 80},
		"256 to 1":          {servers("weight 256", "weight 1"), nil, 10},
		"256 to 256":        {servers("weight 256", "weight 256"), nil, 20},
		"7 to 3":            {servers("weight 7", "weight 3"), nil, 50},
		"97 to 13":          {servers("weight 97", "weight 13"), nil, 25},
		"1 to 255":          {servers("weight 1", "weight 255"), nil, 5},
		"a plain 180 to 20": {servers("weight 180", "weight 20"), nil, 40},
		"canary at 0":       {servers("weight 100", "weight 0"), nil, 10},
		"canary alone":      {servers("weight 0", "weight 5"), nil, 50},
		"set at run time": {servers("weight 100", "weight 5"),
			[]string{"set server planner/srv1 weight 33", "set server planner/srv2 weight 11"}, 50},
		"set in percent": {servers("weight 100", "weight 80"), []string{"set server planner/srv2 weight 25%"}, 50},
		"third in maintenance": {servers("weight 10", "weight 3", "weight 9"),
			[]string{"set server planner/srv3 state maint"}, 50},
		"third disabled": {servers("weight 10", "weight 3", "weight 9 disabled"), nil, 50},
		"third at 0":     {servers("weight 10", "weight 3", "weight 0"), nil, 50},
		"third drained at 0": {servers("weight 10", "weight 3", "weight 0"),
			[]string{"set server planner/srv3 state drain"}, 50},
		"slow start": {servers("weight 100", "weight 7 check inter 100 slowstart 60s"), nil, 50},
		"slow start, ramping": {servers("weight 100", "weight 7 check inter 100 slowstart 60s"),
			[]string{"set server planner/srv2 state maint", "set server planner/srv2 state ready"}, 30},
		"canary down":      {servers("weight 10", "weight 3 check inter 50 fall 1"), []string{"fail 2"}, 50},
		"stable down":      {servers("weight 10 check inter 50 fall 1", "weight 3"), []string{"fail 1"}, 20},
		"canary drains":    {servers("weight 10", "weight 3"), []string{"set server planner/srv2 state drain"}, 50},
		"stable drains":    {servers("weight 10", "weight 3"), []string{"set server planner/srv1 state drain"}, 50},
		"canary is backup": {servers("weight 10", "weight 3 backup"), nil, 50},
		"backup of no version": {haproxytest.Setup{Servers: []string{"weight 10", "weight 3", "weight 0",
			"weight 5 backup"}}, nil, 50},
		"health forced up": {servers("weight 10", "weight 3 check inter 50 fall 1"),
			[]string{"fail 2", "set server planner/srv2 health up"}, 50},
		"cookies": {haproxytest.Setup{Lines: []string{"cookie SRV insert indirect nocache"},
			Servers: []string{"weight 10 cookie a", "weight 3 cookie b"}}, nil, 50},
		"stick table": {haproxytest.Setup{Lines: []string{"stick-table type ip size 1k expire 1m", "stick on src"},
			Servers: []string{"weight 10", "weight 3"}}, nil, 50},
		"leastconn": {haproxytest.Setup{Balance: "leastconn", Servers: []string{"weight 10", "weight 3"}}, nil, 50},
		"consistent hashes": {haproxytest.Setup{Balance: "source", Lines: []string{"hash-type consistent"},
			Servers: []string{"weight 10", "weight 3"}}, nil, 50},
		"random":          {haproxytest.Setup{Balance: "random", Servers: []string{"weight 10", "weight 3"}}, nil, 50},
		"tracked":         {servers("weight 10 check", "weight 3 track planner/srv1"), nil, 50},
		"more to less":    {servers("weight 3", "weight 97"), nil, 10},
		"nothing to move": {servers("weight 50", "weight 50"), nil, 50},
	}
}

// start starts the router with as many versions as it has servers, except those that belong to no version.
func (o oddState) start(t *testing.T) (*haproxytest.Server, *haproxy.Planner) {
	t.Helper()
	s := haproxytest.StartWith(t, o.setup)
	versions := map[string]string{}
	for i, options := range o.setup.Servers {
		if i < 2 || !strings.Contains(options, "backup") {
			versions[fmt.Sprintf("v%d", i+1)] = fmt.Sprintf("srv%d", i+1)
		}
	}
	for _, line := range o.say {
		if server, ok := strings.CutPrefix(line, "fail "); ok {
			fail(t, s, int(server[0]-'0'))
			continue
		}
		if answer := strings.TrimSpace(s.Say(t, line)); answer != "" {
			t.Fatalf("%s: %s", line, answer)
		}
	}
	return s, haproxy.New(haproxy.Config{Address: s.Socket, Backend: "planner", Servers: versions, Stable: "v1"})
}

// fail lets a server's health checks fail and waits until HAProxy has seen it.
func fail(t *testing.T, s *haproxytest.Server, server int) {
	t.Helper()
	s.Fail(server, true)
	if !eventually(func() bool { return strings.Contains(s.Say(t, "show stat planner 4 -1"), ",DOWN,") }) {
		t.Fatal("HAProxy does not see the server as down")
	}
}

func TestRevertRestoresTheExactState(t *testing.T) {
	t.Parallel()
	states := oddStates()
	if len(states) < 30 {
		t.Errorf("%d states", len(states))
	}
	for name, odd := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := odd.start(t)
			before := s.Configured(t)
			a := bind(t, planner.NewSplit(p, &quick{}), fmt.Sprintf(
				`{"version": "v2", "target_percent": %g, "gradual_duration": "3s", "steps": 3}`, odd.target))
			work, _, err := run(t, a, func(n int) error { return map[bool]error{true: errStop}[n == 2] })
			if name == "nothing to move" {
				if err != nil || s.Configured(t) != before {
					t.Errorf("%v, %s", err, s.Configured(t))
				}
				return
			}
			if err == nil || s.Configured(t) == before {
				t.Fatalf("nothing was moved: %v", err)
			}
			back, err := work.(playbook.Reverter).Revert(t.Context()) //nolint:forcetypeassert // it has to be one
			if err != nil || s.Configured(t) != before {
				t.Errorf("back (%v): %v\n%s, want\n%s", back, err, s.Configured(t), before)
			}
		})
	}
}

func TestUndoRestoresTheExactState(t *testing.T) {
	t.Parallel()
	for name, odd := range oddStates() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := odd.start(t)
			before := s.Configured(t)
			a := bind(t, planner.NewSplit(p, &quick{}), fmt.Sprintf(
				`{"version": "v2", "target_percent": %g, "gradual": false}`, odd.target))
			planned := look(t, a).Rollback
			_, out, err := run(t, a, nil)
			if err != nil {
				t.Fatal(err)
			}
			if name == "nothing to move" {
				return
			}
			undo(t, p, out.Undo)
			if s.Configured(t) != before {
				t.Errorf("undone:\n%s, want\n%s", s.Configured(t), before)
			}
			if plan, got := encode(t, planned), encode(t, out.Undo); plan != got {
				t.Errorf("planned undo %s, got %s", plan, got)
			}
		})
	}
}

// undo runs an undo through its parameters, as the journal keeps them.
func undo(t *testing.T, p target.Planner, action *playbook.Rollback) {
	t.Helper()
	if action == nil {
		t.Fatal("there is no undo")
	}
	params := json.RawMessage(encode(t, action.Params))
	books := playbook.NewCatalogue(planner.NewSplit(p, &quick{}), planner.NewRollback(p, &quick{}),
		planner.NewDeploy(p, &quick{}))
	params, err := books[action.ActionType].Normalize(params)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := books[action.ActionType].Bind(params)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, bound, nil); err != nil {
		t.Errorf("undo %s: %v", params, err)
	}
	if again := look(t, bound); len(again.Commands) != 0 {
		t.Errorf("undone, and it would still run %q", again.Commands)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRollbackAndDeployAreUndoneExactly(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]oddState{
		"roll back 100 to 5":   {setup: servers("weight 100", "weight 5")},
		"roll back slow start": {setup: servers("weight 100", "weight 7 check inter 100 slowstart 60s")},
		"roll back a drained canary": {setup: servers("weight 10", "weight 3"),
			say: []string{"set server planner/srv2 state drain"}},
		"roll back a static canary": {setup: haproxytest.Setup{Balance: "static-rr",
			Servers: []string{"weight 100", "weight 5"}}},
		"roll back a hashed canary": {setup: haproxytest.Setup{Balance: "source",
			Servers: []string{"weight 100", "weight 5"}}},
		"deploy a disabled canary": {setup: servers("weight 100", "weight 5 disabled"), target: 20},
		"deploy under slow start": {setup: servers("weight 100", "weight 5 check inter 100 slowstart 60s disabled"),
			target: 20},
		"deploy a drained canary": {setup: servers("weight 100", "weight 0"),
			say: []string{"set server planner/srv2 state drain"}, target: 10},
		"deploy a drained canary with a weight": {setup: servers("weight 90", "weight 10"),
			say: []string{"set server planner/srv2 state drain"}, target: 20},
		"deploy a drained canary with less": {setup: servers("weight 90", "weight 10"),
			say: []string{"set server planner/srv2 state drain"}, target: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := odd.start(t)
			before := s.Configured(t)
			a := bind(t, planner.NewRollback(p, &quick{}), `{"from_version": "v2", "immediate": true}`)
			if odd.target > 0 {
				a = bind(t, planner.NewDeploy(p, &quick{}),
					fmt.Sprintf(`{"version": "v2", "initial_percent": %g}`, odd.target))
			}
			_, out, err := run(t, a, nil)
			if err != nil || s.Configured(t) == before {
				t.Fatalf("%v\n%s", err, s.Configured(t))
			}
			undo(t, p, out.Undo)
			if s.Configured(t) != before {
				t.Errorf("undone:\n%s, want\n%s", s.Configured(t), before)
			}
		})
	}
}

// eventually waits for what HAProxy does by itself.
func eventually(happened func() bool) bool {
	for range 200 {
		if happened() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
