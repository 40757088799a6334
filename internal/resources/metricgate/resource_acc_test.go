package metricgate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

const (
	gateAddress     = "remediation_metric_gate.after"
	rollbackAddress = "remediation_planner_rollback.canary"
)

// rig is a working directory with a planner file and a Prometheus.
type rig struct {
	*acctest.Workspace
	prometheus *prometheustest.Server
	file       string
}

func newRig(t *testing.T) rig {
	t.Helper()
	r := rig{Workspace: acctest.NewWorkspace(t), prometheus: prometheustest.Start(t)}
	r.file = filepath.Join(r.Dir, "planner.json")
	r.Write("planner.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`)
	return r
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
	return d.Versions["v2"].Percent
}

// write writes the configuration: the provider block and resources.
func (r rig) write(resources string) {
	r.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  prometheus { url = %q }
}

%s`, r.prometheus.URL, resources))
}

// gate is a gate with one guardrail; more is added to the gate, bounds to the guardrail.
func gate(more, bounds string) string {
	return fmt.Sprintf(`resource "remediation_metric_gate" "after" {
  incident_id = "INC-7"
  %s
  guardrail {
    name     = "errors"
    query    = "error_rate"
    interval = "1s"
    %s
  }
}
`, more, bounds)
}

const rollback = `
resource "remediation_planner_rollback" "canary" {
  incident_id  = "INC-7"
  from_version = "v2"
  immediate    = true
  run_if       = !remediation_metric_gate.after.passed
  approved_by  = "manager@example.com"
}
`

func flat(out string) string { return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ") }

func (r rig) apply() string { return r.Must("apply", "-auto-approve", "-no-color") }

func (r rig) empty(t *testing.T) {
	t.Helper()
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}

// has compares attributes of a resource.
func (r rig) has(t *testing.T, address string, want map[string]any) map[string]any {
	t.Helper()
	got := r.Attributes(address)
	for name, v := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(v) {
			t.Errorf("%s: %s is %v, want %v", address, name, got[name], v)
		}
	}
	return got
}

// stable replaces what differs between runs.
func (r rig) stable(out string) string {
	out = strings.ReplaceAll(strings.ReplaceAll(out, r.Dir, "WORK"), r.prometheus.URL, "PROMETHEUS")
	for _, p := range [][2]string{
		{`sha256:[0-9a-f]{64}`, "sha256:..."}, {`"[0-9a-f]{64}"`, `"..."`}, {`shown=[0-9a-f]{8}`, "shown=..."},
		{`As of \d\d:\d\d`, "As of 03:00"}, {`record( +)= \d+`, "record$1= 0"}, {`expected_digest = "\S+"`, "expected_digest = ..."},
	} {
		out = regexp.MustCompile(p[0]).ReplaceAllString(out, p[1])
	}
	return out
}

func TestAccPlanSaysWhatIsRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate(`wait = "10m"`, "max = 0.05") + rollback)
	acctest.Golden(t, "plan.txt", r.stable(r.Must("plan", "-no-color")))
}

func TestAccPassedGateSkipsTheNextStep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.01)
	r.write(gate(`wait = "2s"`, "max = 0.05") + rollback)
	r.apply()
	got := r.has(t, gateAddress, map[string]any{"passed": true, "verdict": "passed", "status": "success"})
	if text := fmt.Sprint(got["readings"]); !strings.Contains(text, "value:0.01") || !strings.Contains(text,
		"bounds:max 0.05") {
		t.Errorf("readings %s", text)
	}
	if text := fmt.Sprint(got["result"]); !strings.Contains(text, "Passed: errors is 0.01 (max 0.05)") {
		t.Errorf("result %s", text)
	}
	got = r.has(t, rollbackAddress, map[string]any{"status": "skipped", "id": nil})
	if text := fmt.Sprint(got["result"]); !strings.Contains(text, "run_if is false") {
		t.Errorf("result %s", text)
	}
	if share := r.share(t); share != 10 {
		t.Errorf("v2 has %g%%", share)
	}
	r.empty(t)
}

func TestAccFailedGateRunsTheNextStep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate(`wait = "2s"`, "max = 0.05") + rollback)
	r.apply()
	got := r.has(t, gateAddress, map[string]any{"passed": false, "verdict": "failed", "status": "success"})
	if text := fmt.Sprint(got["result"]); !strings.Contains(text, "Failed: errors: 0.5 is above the maximum of 0.05") {
		t.Errorf("result %s", text)
	}
	r.has(t, rollbackAddress, map[string]any{"status": "success"})
	if share := r.share(t); share != 0 {
		t.Errorf("v2 has %g%%", share)
	}
	r.empty(t)
}

// TestAccPercentagesCompareWithTheTimeBeforeTheIncident lets the metric drop when the first execution moves traffic.
func TestAccPercentagesCompareWithTheTimeBeforeTheIncident(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		incident, verdict string
		drop              float64
	}{
		"of the incident, too low": {`incident_id = "INC-7"`, "failed", 10},
		"of the apply, too low":    {"", "failed", 10},
		"of the apply, allowed":    {"", "passed", 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.prometheus.Show("accuracy", 95)
			r.write(fmt.Sprintf(`resource "remediation_canary_split" "contain" {
  %[1]s
  version        = "v2"
  target_percent = 5
  gradual        = false
}

resource "remediation_metric_gate" "after" {
  %[1]s
  wait       = "3s"
  depends_on = [remediation_canary_split.contain]
  guardrail {
    name             = "accuracy"
    query            = "accuracy"
    max_drop_percent = %[2]g
    interval         = "1s"
  }
}
`, tt.incident, tt.drop))
			done := make(chan struct{})
			go func() {
				defer close(done)
				for limit := time.Now().Add(time.Minute); r.share(t) != 5 && time.Now().Before(limit); {
					time.Sleep(time.Millisecond)
				}
				r.prometheus.Set("accuracy", 76)
			}()
			r.apply()
			<-done
			got := r.has(t, gateAddress, map[string]any{"verdict": tt.verdict})
			if text := fmt.Sprint(got["readings"]); !strings.Contains(text, "baseline:95") || !strings.Contains(text,
				"value:76") {
				t.Errorf("readings %s", text)
			}
		})
	}
}

func TestAccInconclusiveIsNotPassed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write(gate("", "max = 0.05"))
	r.apply()
	got := r.has(t, gateAddress, map[string]any{"passed": false, "verdict": "inconclusive", "status": "success"})
	if text := fmt.Sprint(got["result"]); !strings.Contains(text, "Inconclusive: errors: ") {
		t.Errorf("result %s", text)
	}
}

func TestAccFailStopsTheApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate("fail = true", "max = 0.05") + rollback)
	if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out,
		"The gate failed. errors: 0.5 is above the maximum of 0.05") {
		t.Errorf("error:\n%s", out)
	}
	r.has(t, gateAddress, map[string]any{"passed": false, "verdict": "failed", "status": "failed"})
	r.prometheus.Show("error_rate", 0.01)
	r.apply()
	r.has(t, gateAddress, map[string]any{"passed": true, "verdict": "passed", "status": "success"})
	if share := r.share(t); share != 10 {
		t.Errorf("v2 has %g%%", share)
	}
}

func TestAccGateReadsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate("", "max = 0.05"))
	r.apply()
	r.has(t, gateAddress, map[string]any{"verdict": "failed"})
	for name, tt := range map[string]struct{ more, bounds, verdict string }{
		"for another bound": {"", "max = 0.6", "passed"}, "for new triggers": {`triggers = { run = "2" }`, "max = 0.05",
			"failed"},
	} {
		r.write(gate(tt.more, tt.bounds))
		r.apply()
		r.has(t, gateAddress, map[string]any{"verdict": tt.verdict})
		r.write(gate(tt.more+"\n  approved_by = \"lead@example.com\"", tt.bounds))
		r.apply() // runs nothing
		r.empty(t)
		if r.has(t, gateAddress, map[string]any{"verdict": tt.verdict}); t.Failed() {
			t.Fatal(name)
		}
	}
	history, _ := r.Attributes(gateAddress)["history"].([]any)
	if len(history) != 3 {
		t.Errorf("history %v", history)
	}
}

func TestAccInterruptedWaitIsCancelled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate(`wait = "10m"`, "max = 0.05"))
	cmd := r.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.awaitReading(t)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(flat(out.String()),
		"The gate was stopped before its verdict") {
		t.Errorf("%v\n%s", err, out.String())
	}
	r.has(t, gateAddress, map[string]any{"passed": nil, "verdict": nil, "status": "cancelled"})
	r.write(gate(`wait = "1s"`, "max = 0.05"))
	r.apply()
	r.has(t, gateAddress, map[string]any{"passed": false, "verdict": "failed", "status": "success"})
}

// awaitReading waits until the gate's log has a reading.
func (r rig) awaitReading(t *testing.T) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		logs, _ := filepath.Glob(filepath.Join(r.Dir, ".remediation", "executions", "*", "execution.log"))
		for _, name := range logs {
			text, err := os.ReadFile(name) //nolint:gosec // the test's own file
			if err == nil && strings.Contains(string(text), "guardrail=errors") {
				return
			}
		}
	}
	t.Fatal("no log has a reading")
}

// TestAccKilledGateReadsAgain kills Terraform and the provider in the middle of the wait.
func TestAccKilledGateReadsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.5)
	r.write(gate(`wait = "10m"`, "max = 0.05"))
	ctx, cancel := context.WithCancel(t.Context())
	cmd := r.Command(ctx, "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.awaitReading(t)
	cancel()
	_ = cmd.Wait()
	r.write(gate(`wait = "1s"`, "max = 0.05"))
	r.apply()
	r.has(t, gateAddress, map[string]any{"passed": false, "verdict": "failed", "status": "success"})
	r.empty(t)
}
