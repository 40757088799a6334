package canarysplit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

// chain is the canary regression: contain, check, roll back, deploy the next version. more is added to every step.
func chain(provider, more string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  %s
}

resource "remediation_canary_split" "contain" {
  incident_id    = "INC-7"
  version        = "v2"
  target_percent = 5
  gradual        = false
  %[2]s
}

resource "remediation_metric_gate" "after" {
  incident_id = "INC-7"
  after       = [remediation_canary_split.contain.preview.digest]
  guardrail {
    name  = "errors"
    query = "error_rate"
    max   = 0.05
  }
}

resource "remediation_planner_rollback" "regression" {
  incident_id  = "INC-7"
  from_version = "v2"
  immediate    = true
  approved_by  = "manager@example.com"
  after = [
    remediation_canary_split.contain.preview.digest,
    remediation_metric_gate.after.preview.digest,
  ]
  %[2]s
}

resource "remediation_planner_deploy" "again" {
  incident_id     = "INC-7"
  version         = "v2"
  initial_percent = 1
  approved_by     = "manager@example.com"
  after           = [remediation_planner_rollback.regression.preview.digest]
  %[2]s
}
`, provider, more)
}

const chained = `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`

// onFile is the provider block of a chain on a planner file.
func onFile(prom *prometheustest.Server) string {
	return fmt.Sprintf("planner {\n    file { path = \"planner.json\" }\n  }\n  prometheus { url = %q }", prom.URL)
}

// withoutIDs replaces what differs between runs.
func withoutIDs(out string, replaced ...string) string {
	out = strings.NewReplacer(replaced...).Replace(out)
	for _, p := range [][2]string{
		{`sha256:[0-9a-f]{64}`, "sha256:..."}, {`"[0-9a-f]{64}"`, `"..."`}, {`shown=[0-9a-f]{8}`, "shown=..."},
		{`As of \d\d:\d\d`, "As of 03:00"},
	} {
		out = regexp.MustCompile(p[0]).ReplaceAllString(out, p[1])
	}
	return out
}

// TestAccChainInOnePlan plans and applies a whole chain at once.
func TestAccChainInOnePlan(t *testing.T) {
	t.Parallel()
	w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	w.Write("planner.json", chained)
	w.Write("main.tf", chain(onFile(prom), ""))
	acctest.Golden(t, "chain.txt", withoutIDs(w.Must("plan", "-no-color", "-out=p"), w.Dir, "WORK"))
	w.Must("apply", "-no-color", "p")
	text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
	if err != nil || !strings.Contains(string(text), `"percent": 1`) {
		t.Errorf("%s, %v", text, err)
	}
	for address, gone := range map[string]string{
		"remediation_canary_split.contain": "success", "remediation_metric_gate.after": "success",
		"remediation_planner_rollback.regression": "success", "remediation_planner_deploy.again": "success",
	} {
		if got := w.Attributes(address)["status"]; got != gone {
			t.Errorf("%s is %v", address, got)
		}
	}
	out, code := w.Run("plan", "-no-color", "-detailed-exitcode")
	if code != 0 || strings.Contains(out, "moved since") {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}

// TestAccChainWithoutASavedPlan applies a chain with plan and apply in one command.
func TestAccChainWithoutASavedPlan(t *testing.T) {
	t.Parallel()
	w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	w.Write("planner.json", chained)
	w.Write("main.tf", chain(onFile(prom), ""))
	w.Must("apply", "-no-color", "-auto-approve")
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}

// TestAccChainOnARouter runs the chain on a real HAProxy.
func TestAccChainOnARouter(t *testing.T) {
	t.Parallel()
	w, prom, proxy := acctest.NewWorkspace(t), prometheustest.Start(t), haproxytest.Start(t)
	prom.Show("error_rate", 0.5)
	w.Write("main.tf", chain(fmt.Sprintf(`planner {
    haproxy {
      address = %q
      backend = "planner"
      servers = { v1 = "srv1", v2 = "srv2" }
    }
  }
  prometheus { url = %q }`, proxy.Socket, prom.URL), ""))
	w.Must("plan", "-no-color", "-out=p")
	w.Must("apply", "-no-color", "p")
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
	if got := proxy.Say(t, "get weight planner/srv2"); !strings.HasPrefix(got, "2 ") {
		t.Errorf("srv2 has weight %q", got)
	}
}

// TestAccChainIsTakenBack destroys a chain with on_destroy = "rollback".
func TestAccChainIsTakenBack(t *testing.T) {
	t.Parallel()
	w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	w.Write("planner.json", chained)
	const undone = `on_destroy = "rollback"`
	w.Write("main.tf", chain(onFile(prom), undone))
	w.Must("apply", "-no-color", "-auto-approve")
	// The undos raise the traffic again: another name approves them, in an apply that runs nothing.
	approvedUndo := strings.ReplaceAll(chain(onFile(prom), undone), `approved_by     = "manager@example.com"`, "")
	approvedUndo = strings.ReplaceAll(approvedUndo, `approved_by  = "manager@example.com"`, "")
	w.Write("main.tf", strings.ReplaceAll(approvedUndo, undone, undone+"\n  approved_by = \"boss@example.com\""))
	w.Must("apply", "-no-color", "-auto-approve")
	out := w.Must("destroy", "-no-color", "-auto-approve")
	text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
	if err != nil || !strings.Contains(string(text), `"percent": 90`) || !strings.Contains(string(text),
		`"percent": 10`) || strings.Contains(string(text), "down") {
		t.Errorf("%s, %v after\n%s", text, err, out)
	}
}

// TestAccOthersMoveInAChainIsRefused lets somebody else move traffic between two steps.
func TestAccOthersMoveInAChainIsRefused(t *testing.T) {
	t.Parallel()
	w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	w.Write("planner.json", chained)
	main := strings.Replace(chain(onFile(prom), ""), "max   = 0.05", "max   = 0.05\n    interval = \"1s\"", 1)
	w.Write("main.tf", strings.Replace(main, `after       = [remediation_canary_split.contain.preview.digest]`,
		`wait        = "20s"
  after       = [remediation_canary_split.contain.preview.digest]`, 1))
	w.Must("plan", "-no-color", "-out=p")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
			text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
			if err == nil && strings.Contains(string(text), `"percent": 5`) {
				w.Write("planner.json", `{"revision": 7, "stable": "v1", "versions": {"v1": {"percent": 60}, "v2": {"percent": 40}}}`)
				return
			}
		}
	}()
	out := flat(w.MustFail("apply", "-no-color", "p"))
	<-done
	for _, says := range []string{"The target of rollback_planner changed since it was reviewed",
		"current_percent: was 5, now 40", "Nothing has run"} {
		if !strings.Contains(out, says) {
			t.Errorf("the refusal lacks %q:\n%s", says, out)
		}
	}
	if strings.Contains(out, "bug in the provider") {
		t.Errorf("the refusal is Terraform's:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
	if err != nil || !strings.Contains(string(text), `{"percent": 40}`) {
		t.Errorf("%s, %v", text, err)
	}
}

// conditional is a containment and a rollback that both depend on a gate.
func conditional(provider, first, second string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  %s
}

resource "remediation_metric_gate" "errors" {
  guardrail {
    name  = "errors"
    query = "error_rate"
    max   = 0.05
  }
}

resource "remediation_metric_gate" "latency" {
  guardrail {
    name  = "latency"
    query = "latency"
    max   = 500
  }
}

resource "remediation_canary_split" "contain" {
  version        = "v2"
  target_percent = 5
  gradual        = false
  %s
}

resource "remediation_planner_rollback" "regression" {
  from_version = "v2"
  immediate    = true
  approved_by  = "manager@example.com"
  after        = [remediation_canary_split.contain.preview.digest]
  %s
}
`, provider, first, second)
}

// TestAccConditionalChain covers steps that may be skipped.
func TestAccConditionalChain(t *testing.T) {
	t.Parallel()
	const ifErrors, ifSlow = "run_if = !remediation_metric_gate.errors.passed",
		"run_if = !remediation_metric_gate.latency.passed"
	for name, tt := range map[string]struct {
		errors, latency float64
		first, second   string
		// plan and apply are what they say; apply is empty where it succeeds.
		plan, apply string
		// share is the canary's share at the end.
		share string
	}{
		"both run":         {0.5, 900, ifErrors, ifSlow, "what adjust_canary_split will leave", "", `"percent": 100`},
		"both are skipped": {0.01, 100, ifErrors, ifSlow, "may run: only if run_if is true", "", `"percent": 10`},
		"the second is skipped": {0.5, 100, ifErrors, ifSlow, "what adjust_canary_split will leave", "",
			`"percent": 5`},
		"only the first is skipped": {0.01, 900, ifErrors, ifSlow, "what adjust_canary_split will leave",
			"An earlier step of rollback_planner has not run", `"percent": 10`},
		"the second runs in any case": {0.5, 900, ifErrors, "",
			"it comes after adjust_canary_split, which may be skipped", "rollback_planner needs an approval",
			`"percent": 5`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
			prom.Show("error_rate", tt.errors)
			prom.Show("latency", tt.latency)
			w.Write("planner.json", chained)
			w.Write("main.tf", conditional(onFile(prom), tt.first, tt.second))
			if out := flat(w.Must("plan", "-no-color", "-out=p")); !strings.Contains(out, tt.plan) {
				t.Errorf("the plan lacks %q:\n%s", tt.plan, out)
			}
			out, code := w.Run("apply", "-no-color", "p")
			if (code == 0) != (tt.apply == "") || !strings.Contains(flat(out), tt.apply) ||
				strings.Contains(out, "bug in the provider") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
			if err != nil || !strings.Contains(string(text), tt.share) {
				t.Errorf("%s, %v", text, err)
			}
			if tt.apply == "" {
				if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
					t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
				}
				return
			}
			w.Must("apply", "-no-color", "-auto-approve") // a second run shows, approves and runs it
			text, err = os.ReadFile(filepath.Join(w.Dir, "planner.json"))
			if err != nil || !strings.Contains(string(text), `"percent": 100`) {
				t.Errorf("after the second run: %s, %v", text, err)
			}
		})
	}
}

// TestAccTwoStepsWithoutAnOrder checks the warning about two executions on one target, and the digest of nobody.
func TestAccTwoStepsWithoutAnOrder(t *testing.T) {
	t.Parallel()
	w, prom := acctest.NewWorkspace(t), prometheustest.Start(t)
	w.Write("planner.json", chained)
	const ordered = "after        = [remediation_canary_split.contain.preview.digest]"
	main := conditional(onFile(prom), "", "")
	w.Write("main.tf", strings.Replace(main, ordered, "", 1))
	if out := flat(w.Must("plan", "-no-color")); strings.Count(out, "neither names the other in after") != 1 {
		t.Errorf("the plan does not warn once:\n%s", out)
	}
	w.Write("main.tf", main)
	if out := flat(w.Must("plan", "-no-color")); strings.Contains(out, "neither names the other in after") {
		t.Errorf("the plan warns of an order:\n%s", out)
	}
	w.Write("main.tf", strings.Replace(main, ordered, `after = [null, "sha256:`+strings.Repeat("a", 64)+`"]`, 1))
	if out := flat(w.MustFail("plan", "-no-color")); !strings.Contains(out, "after names an unknown step") {
		t.Errorf("a digest of nobody:\n%s", out)
	}
	w.Write("main.tf", strings.Replace(main, ordered, `after = ["contain"]`, 1))
	if out := flat(w.MustFail("plan", "-no-color")); !strings.Contains(out, "must be preview.digest of another") {
		t.Errorf("no digest:\n%s", out)
	}
}
