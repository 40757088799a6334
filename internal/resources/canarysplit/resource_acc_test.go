package canarysplit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

const (
	address = "remediation_canary_split.canary"
	canary  = "v1.2.3-canary"
)

type rig struct {
	*acctest.Workspace
	file string
}

func newRig(t *testing.T) rig {
	t.Helper()
	r := rig{Workspace: acctest.NewWorkspace(t)}
	r.file = filepath.Join(r.Dir, "planner.json")
	r.split(10)
	return r
}

// split writes the planner file as another client would.
func (r rig) split(percent float64) {
	r.Write("planner.json",
		fmt.Sprintf(`{"revision": 1, "stable": "v1.2.2", "versions": {"v1.2.2": {"percent": %g}, %q: {"percent": %g}, "v1.1.0": {"percent": 0, "down": true}}}`,
			100-percent, canary, percent))
}

// share reads the canary's share as a router would.
func (r rig) share(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Versions map[string]struct{ Percent float64 }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d.Versions[canary].Percent
}

// config is a configuration of a shift to target percent; more is put into the resource, and provider into the
// provider's block.
func config(target float64, more, provider string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  %s
}

resource "remediation_canary_split" "canary" {
  incident_id    = "INC-7"
  version        = %q
  target_percent = %g
  %s
}
`, provider, canary, target, more)
}

const (
	approved = `approved_by = "lead@example.com"`
	atOnce   = approved + "\n  gradual = false"
)

func flat(out string) string { return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ") }

func (r rig) preview(t *testing.T) map[string]any {
	t.Helper()
	p, ok := r.Attributes(address)["preview"].(map[string]any)
	if !ok {
		t.Fatal("no preview")
	}
	return p
}

// pin returns the line that approves by name what a plan shows.
func (r rig) pin(t *testing.T, args ...string) string {
	t.Helper()
	out := flat(r.Must(append(args, "-no-color")...))
	m := regexp.MustCompile(`set expected_digest = "([0-9a-f]{64})"`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("the plan names no expected_digest:\n%s", out)
	}
	return fmt.Sprintf("\n  expected_digest = %q", m[1])
}

func (r rig) empty(t *testing.T) {
	t.Helper()
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}

func (r rig) detail(name string) string {
	result, _ := r.Attributes(address)["result"].(map[string]any)
	details, _ := result["details"].(map[string]any)
	return fmt.Sprint(details[name])
}

// TestAccSpecifiedExample compares the plan of the documented example with a golden file.
func TestAccSpecifiedExample(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, "", ""))
	out := r.Must("plan", "-no-color")
	out = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(strings.ReplaceAll(out, r.Dir, "WORK"),
		"sha256:...")
	out = regexp.MustCompile(`"[0-9a-f]{64}"`).ReplaceAllString(out, `"..."`)
	out = regexp.MustCompile(`shown=[0-9a-f]{8}`).ReplaceAllString(out, "shown=...")
	acctest.Golden(t, "first_run.txt", out)
	refusal := r.MustFail("apply", "-auto-approve", "-no-color")
	for _, want := range []string{"adjust_canary_split needs an approval", "goes up from 10% to 25%",
		"Nothing has run"} {
		if !strings.Contains(flat(refusal), want) {
			t.Errorf("the refusal lacks %q:\n%s", want, refusal)
		}
	}
	if got := r.share(t); got != 10 {
		t.Errorf("the canary has %g%%", got)
	}
}

func TestAccSplitUpDownAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, approved+"\n  gradual_duration = \"3s\"\n  steps = 3\n  on_destroy = \"rollback\"",
		""))
	r.Must("apply", "-auto-approve", "-no-color")
	p := r.preview(t)
	for name, want := range map[string]any{
		"current_percent": 10.0, "target_percent": 25.0, "stable_percent_before": 90.0, "stable_percent_after": 75.0,
		"approval_required":  true,
		"rollback_available": true,
	} {
		if p[name] != want {
			t.Errorf("preview.%s is %v, want %v", name, p[name], want)
		}
	}
	if r.share(t) != 25 || r.detail("step") != "3" {
		t.Errorf("the canary has %g%%, step %s", r.share(t), r.detail("step"))
	}
	r.empty(t)
	r.Write("main.tf", config(5, "gradual = false", ""))
	r.Must("apply", "-auto-approve", "-no-color") // less traffic needs no approval
	if r.share(t) != 5 {
		t.Errorf("the canary has %g%%", r.share(t))
	}
	undone := atOnce + "\n  on_destroy = \"rollback\""
	r.Write("main.tf", config(5, undone, ""))
	r.Must("apply", "-auto-approve", "-no-color")
	pin := r.pin(t, "plan", "-destroy") // the name approved an earlier execution
	r.Write("main.tf", config(5, undone+pin, ""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Must("destroy", "-auto-approve", "-no-color")
	if r.share(t) != 25 {
		t.Errorf("after the rollback the canary has %g%%", r.share(t))
	}
}

func TestAccSplitIsAlreadyAtItsTarget(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.split(25)
	before, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	r.Write("main.tf", config(25, "on_destroy = \"rollback\"", ""))
	r.Must("apply", "-auto-approve", "-no-color") // nothing moves, so nobody has to approve
	after, err := os.ReadFile(r.file)
	if err != nil || string(before) != string(after) {
		t.Errorf("the file changed to %s, %v", after, err)
	}
	if p := r.preview(t); p["approval_required"] != false || p["approval_payload"] != nil ||
		p["approval_reasons"] != nil ||
		!strings.Contains(fmt.Sprint(r.Attributes(address)["dry_run"]), "Nothing to do") {
		t.Errorf("preview %v", p)
	}
	r.empty(t)
	if out := flat(r.Must("plan", "-destroy", "-no-color")); !strings.Contains(out,
		"Destroy will not undo adjust_canary_split") ||
		!strings.Contains(out, "the newest one (success), has nothing to undo") {
		t.Errorf("the plan of the destroy does not say that nothing is undone:\n%s", out)
	}
}

func TestAccSplitChangedAfterReview(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, atOnce, ""))
	r.Must("plan", "-no-color", "-out=reviewed.tfplan")
	r.split(15)
	out := r.MustFail("apply", "-no-color", "reviewed.tfplan")
	for _, want := range []string{"changed since it was reviewed", "current_percent: was 10, now 15",
		"Nothing has run"} {
		if !strings.Contains(flat(out), want) {
			t.Errorf("the refusal lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "bug in the provider") || r.share(t) != 15 {
		t.Errorf("the canary has %g%%:\n%s", r.share(t), out)
	}
}

func TestAccDriftIsReportedOrReconciled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, atOnce, ""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.split(40)
	out, code := r.Run("plan", "-no-color", "-detailed-exitcode")
	if code != 0 || !strings.Contains(flat(out), canary+" has 40% of the traffic, but was set to 25%") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	r.Write("main.tf", config(25, atOnce+"\n  on_drift = \"reconcile\"", ""))
	r.Must("apply", "-auto-approve", "-no-color")
	if r.share(t) != 25 || r.Attributes(address)["drift"] != nil {
		t.Errorf("the canary has %g%%, drift %v", r.share(t), r.Attributes(address)["drift"])
	}
	r.empty(t)
	// The third execution within the hour is the last one that drift alone leads to.
	r.split(41)
	r.Must("apply", "-auto-approve", "-no-color")
	r.split(42)
	out, code = r.Run("plan", "-no-color", "-detailed-exitcode")
	if code != 0 || !strings.Contains(flat(out), canary+" has 42% of the traffic, but was set to 25%") ||
		!strings.Contains(flat(out), "executed on this target 3 times within the last hour") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if r.Must("apply", "-auto-approve", "-no-color"); r.share(t) != 42 {
		t.Errorf("a fourth execution moved the canary to %g%%", r.share(t))
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if out := r.Must("plan", "-no-color"); !strings.Contains(flat(out), "can't check for drift") {
		t.Errorf("a planner that can't be read:\n%s", out)
	}
	if r.Attributes(address) == nil {
		t.Error("the resource is gone from the state")
	}
}

// TestAccGuardrails runs against a real Prometheus.
func TestAccGuardrails(t *testing.T) {
	t.Parallel()
	prom := prometheustest.Start(t)
	prom.Show("error_rate", 0.01)
	guarded := func(onBreach, query string) string {
		return config(25, approved+fmt.Sprintf(`
  gradual_duration = "8s"
  steps            = 4
  guardrail {
    name      = "errors"
    query     = %q
    max       = 0.05
    on_breach = %q
  }`, query, onBreach),
			fmt.Sprintf("prometheus { url = %q }", prom.URL))
	}
	t.Run("rollback in one step", func(t *testing.T) { //nolint:paralleltest // the metric is shared
		r := newRig(t)
		r.Write("main.tf", guarded("rollback", "error_rate"))
		done := make(chan time.Duration, 1)
		go func() {
			for r.share(t) < 15 { // the second step
				time.Sleep(20 * time.Millisecond)
			}
			prom.Set("error_rate", 0.5)
			at := time.Now()
			for r.share(t) != 10 && time.Since(at) < time.Minute {
				time.Sleep(20 * time.Millisecond)
			}
			done <- time.Since(at)
		}()
		out := r.MustFail("apply", "-auto-approve", "-no-color")
		took := <-done
		// the margin is for the scrape, and for a busy machine
		const interval, margin = 2 * time.Second, 1500 * time.Millisecond
		if r.share(t) != 10 || took > interval+margin {
			t.Errorf("the canary has %g%%, %s after the breach", r.share(t), took)
		}
		for _, want := range []string{"A guardrail is breached", "is back at 10% of the traffic",
			"0.5 is above the maximum of 0.05"} {
			if !strings.Contains(flat(out), want) {
				t.Errorf("the error lacks %q:\n%s", want, out)
			}
		}
		if got := r.Attributes(address)["status"]; got != "failed" ||
			!strings.Contains(r.detail("guardrail.errors"), "breached") {
			t.Errorf("status %v, details %s", got, r.detail("guardrail.errors"))
		}
		if out := r.Must("plan", "-no-color"); !strings.Contains(flat(out),
			`Guardrail "errors" (max 0.05): breached, value 0.5`) || !strings.Contains(flat(out),
			"Apply will refuse to run") {
			t.Errorf("the plan does not warn:\n%s", out)
		}
	})
	t.Run("hold and go on", func(t *testing.T) { //nolint:paralleltest // as above
		prom.Show("error_rate", 0.01)
		r := newRig(t)
		r.Write("main.tf", guarded("hold", "error_rate"))
		go func() {
			for r.share(t) < 14 { // the first step
				time.Sleep(20 * time.Millisecond)
			}
			prom.Set("error_rate", 0.5)
		}()
		r.MustFail("apply", "-auto-approve", "-no-color")
		if got := r.Attributes(address)["status"]; got != "cancelled" || r.share(t) != 14 {
			t.Errorf("status %v, the canary has %g%%", got, r.share(t))
		}
		prom.Show("error_rate", 0.01)
		r.MustFail("apply", "-auto-approve", "-no-color") // the name approved the execution that was held
		r.Write("main.tf", strings.Replace(guarded("hold", "error_rate"), approved, approved+r.pin(t, "plan"), 1))
		r.Must("apply", "-auto-approve", "-no-color") // from 14%, not from 10%
		if r.share(t) != 25 || r.detail("percent_before") != "14" {
			t.Errorf("the canary has %g%%, it began at %s%%", r.share(t), r.detail("percent_before"))
		}
	})
	t.Run("nothing moves before the guardrails hold", func(t *testing.T) { //nolint:paralleltest // as above
		r := newRig(t)
		r.Write("main.tf", guarded("rollback", "no_such_metric"))
		out := r.MustFail("apply", "-auto-approve", "-no-color")
		if !strings.Contains(flat(out), `Guardrail "errors" can't be read`) || r.share(t) != 10 {
			t.Errorf("without data: the canary has %g%%:\n%s", r.share(t), out)
		}
		prom.Show("error_rate", 0.5)
		r.Write("main.tf", guarded("rollback", "error_rate"))
		out = r.MustFail("apply", "-auto-approve", "-no-color")
		if !strings.Contains(flat(out), `Guardrail "errors" is in breach`) || r.share(t) != 10 {
			t.Errorf("in breach: the canary has %g%%:\n%s", r.share(t), out)
		}
	})
}
