package scenarios_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
)

// router is a HAProxy that gives the canary 25% of the traffic.
type router struct{ *haproxytest.Server }

func newRouter(t *testing.T) router {
	t.Helper()
	return router{haproxytest.StartWith(t, haproxytest.Setup{Servers: []string{"weight 75", "weight 25"}})}
}

// provider is the provider block for the router.
func (r router) provider() string {
	return fmt.Sprintf(`provider "remediation" {
  planner {
    haproxy {
      address = %q
      backend = "planner"
      servers = { v1 = "srv1", v2 = "srv2" }
    }
  }
}`, r.Socket)
}

// contained reports whether the canary has 5% of the weights.
func (r router) contained(t *testing.T) bool {
	t.Helper()
	return strings.HasPrefix(r.Say(t, "get weight planner/srv2"), "10 ")
}

// answers counts which versions answer a number of requests.
func (r router) answers(t *testing.T) map[string]int {
	t.Helper()
	const requests = 200
	all := map[string]int{}
	for range requests {
		version, err := r.Request()
		if err != nil {
			t.Fatal(err)
		}
		all[version]++
	}
	return all
}

// wantCanary sends requests, and compares whether the canary gets any of them.
func (r router) wantCanary(t *testing.T, served bool) {
	t.Helper()
	all := r.answers(t)
	const most = 30 // 5% of 200 are 10
	if got := all["v2"]; (got > 0) != served || got > most {
		t.Errorf("the requests were answered by %v; want the canary among them: %t\n%s", all, served, r.Configured(t))
	}
}

func TestAccCanaryRegression(t *testing.T) {
	t.Parallel()
	proxy := newRouter(t)
	r := newRig(t, "canary-regression", regressed())
	r.Write("provider.tf", proxy.provider())
	r.branches(t)
	r.wantNotes(t, "7", "Executed: adjust_canary_split (", "target_percent: 5", "Result: accuracy is 0.78",
		"Duration: ")
	r.wantNotes(t, "8", "rollback_planner (from_version: v2; immediate: true", "Duration: ")
	proxy.wantCanary(t, false)
}

// regressed is an accuracy of the canary that is 13% below that of the stable version.
func regressed() map[string]float64 {
	return map[string]float64{"canary_accuracy": 0.78, "stable_accuracy": 0.9}
}

// canary uses the scenario as a module, on a router.
func canary(t *testing.T, approved string) (rig, router) {
	t.Helper()
	proxy, r := newRouter(t), newServices(t, regressed())
	r.canary(t, proxy, approved)
	return r, proxy
}

func (r rig) canary(t *testing.T, proxy router, approved string) {
	t.Helper()
	r.live(t, "canary-regression", proxy.provider(), `canary_version = "v2"`, `watch = "4s"`,
		`accuracy_query = "canary_accuracy"`, `stable_accuracy_query = "stable_accuracy"`, approved)
}

func TestAccCanaryRecoversAtASmallShare(t *testing.T) {
	t.Parallel()
	r, proxy := canary(t, "")
	r.when(t, func() bool { return proxy.contained(t) }, "canary_accuracy", 0.89)
	r.saved(t)
	now := r.outputs(t)
	now.wantSteps(t, map[string]string{"contain": "v2 has 5% of the traffic", "watch": "Passed: accuracy is 0.89",
		"rollback": "Skipped: run_if is false", "resolve": "Resolved incident 7"})
	if now.StillRegresses {
		t.Error("the canary still regresses")
	}
	proxy.wantCanary(t, true)
	r.wantNotes(t, "7", "Executed: adjust_canary_split (", "Result: accuracy is 0.89", "Duration: ")
}

func TestAccCanaryIsRolledBack(t *testing.T) {
	t.Parallel()
	r, proxy := canary(t, `rollback_approved_by = "manager@example.com"`)
	r.saved(t)
	now := r.outputs(t)
	now.wantSteps(t, map[string]string{"watch": "Failed: accuracy", "resolve": "Resolved incident 7"})
	if !now.StillRegresses {
		t.Error("the canary does not regress")
	}
	proxy.wantCanary(t, false)
	r.wantNotes(t, "7", "adjust_canary_split (", "rollback_planner (from_version: v2; immediate: true", "Duration: ")
}

// TestAccCanaryIsRolledBackOnceApproved applies without the manager's approval, and again with it: the README says that
// the containment runs, and that the next apply continues from there.
func TestAccCanaryIsRolledBackOnceApproved(t *testing.T) {
	t.Parallel()
	r, proxy := canary(t, "")
	r.Must("plan", "-no-color", "-out=p")
	if out := r.MustFail("apply", "-no-color", "p"); !strings.Contains(out, "rollback_planner needs an approval") {
		t.Errorf("refusal:\n%s", out)
	}
	proxy.wantCanary(t, true)
	if got := r.notes("7"); got != "open" {
		t.Errorf("incident 7 is %s", got)
	}
	r.canary(t, proxy, `rollback_approved_by = "manager@example.com"`)
	if plan := r.saved(t); !strings.Contains(plan, "Plan: 2 to add, 0 to change, 0 to destroy.") {
		t.Errorf("the second apply does more than roll back and resolve:\n%s", plan)
	}
	proxy.wantCanary(t, false)
	r.wantNotes(t, "7", "adjust_canary_split (", "rollback_planner (from_version: v2; immediate: true", "Duration: ")
}
