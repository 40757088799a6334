package provider_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const splitAddress = "remediation_canary_split.canary"

// splitting is a workspace with a planner file and a configuration of a split.
type splitting struct{ *acctest.Workspace }

func newSplitting(t *testing.T) splitting {
	t.Helper()
	w := splitting{acctest.NewWorkspace(t)}
	w.Write("planner.json", splitFile)
	return w
}

// configure writes a split with more arguments and, after it, more configuration.
func (w splitting) configure(more, after string) {
	w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
resource "remediation_canary_split" "canary" {
  version        = "v2"
  target_percent = 5
  %s
}
%s
`, more, after))
}

func (w splitting) history(t *testing.T) []any {
	t.Helper()
	all, _ := w.Attributes(splitAddress)["history"].([]any)
	return all
}

// empty requires a plan with nothing to do.
func (w splitting) empty(t *testing.T) {
	t.Helper()
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("exit code %d, want a plan with nothing to do:\n%s", code, out)
	}
}

// TestAccDefaultsCountAsNotSet writes defaults out, which runs nothing and keeps the digest, and takes inputs and
// blocks out of the state, as a provider that adds them finds it.
func TestAccDefaultsCountAsNotSet(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	w.configure("gradual_duration = \"5s\"", "")
	w.Must("apply", "-auto-approve", "-no-color")
	was := w.Attributes(splitAddress)
	if was["steps"] != nil || was["gradual"] != nil || was["on_destroy"] != nil || was["on_drift"] != nil {
		t.Errorf("inputs that are not set have values: %v", was)
	}
	if params := fmt.Sprint(w.history(t)[0]); strings.Contains(params, "steps") {
		t.Errorf("the history holds a default: %s", params)
	}
	w.configure("gradual_duration = \"5s\"\n  gradual = true\n  steps = 5\n  on_destroy = \"keep\"\n"+
		"  on_drift = \"report\"", "")
	if out := w.Must("plan", "-no-color"); strings.Contains(out, "Execution") {
		t.Errorf("defaults that are written out plan an execution:\n%s", out)
	}
	w.Must("apply", "-auto-approve", "-no-color")
	if now := w.Attributes(splitAddress); len(w.history(t)) != 1 ||
		digestOf(now) != digestOf(was) || now["id"] != was["id"] {
		t.Errorf("it ran again: %v", now)
	}
	w.configure("gradual_duration = \"5s\"", "")
	w.Must("apply", "-auto-approve", "-no-color")
	w.forget(t, "steps", "gradual", "guardrail", "approval", "timeouts", "run_if", "on_drift")
	w.empty(t)
}

func digestOf(values map[string]any) any {
	preview, _ := values["preview"].(map[string]any)
	return preview["digest"]
}

// forget takes attributes out of the state.
func (w splitting) forget(t *testing.T, names ...string) {
	t.Helper()
	path := filepath.Join(w.Dir, "terraform.tfstate")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	for _, r := range state["resources"].([]any) { //nolint:forcetypeassert // Terraform's format
		for _, i := range r.(map[string]any)["instances"].([]any) { //nolint:forcetypeassert // as above
			for _, name := range names {
				delete(i.(map[string]any)["attributes"].(map[string]any), name) //nolint:forcetypeassert // as above
			}
		}
	}
	if text, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	w.Write("terraform.tfstate", string(text))
}

// TestAccEditWithoutEffectRunsNothing changes inputs that have no effect.
func TestAccEditWithoutEffectRunsNothing(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	w.configure("gradual = false\n  steps = 5", "")
	w.Must("apply", "-auto-approve", "-no-color")
	was := w.Attributes(splitAddress)
	if was["rollback_action"] == nil {
		t.Fatalf("no way back: %v", was)
	}
	w.configure("gradual = false\n  steps = 9\n  gradual_duration = \"30m\"", "")
	if out := w.Must("plan", "-no-color"); strings.Contains(out, "Execution") || !strings.Contains(out, "steps") {
		t.Errorf("the plan:\n%s", out)
	}
	w.Must("apply", "-auto-approve", "-no-color")
	if now := w.Attributes(splitAddress); fmt.Sprint(now["rollback_action"]) != fmt.Sprint(was["rollback_action"]) ||
		len(w.history(t)) != 1 {
		t.Errorf("an inert edit left %v", now)
	}
	w.empty(t)
	w.configure("gradual = false\n  steps = 0", "") // has no effect, but is not a valid number of steps
	if out := w.MustFail("plan", "-no-color"); !strings.Contains(out, "steps") {
		t.Errorf("the error:\n%s", out)
	}
}

// TestAccSameRequestWithAndWithoutAnIncident applies two resources that ask for the same, one of them for an incident.
// The plan inside the apply must show each the record of its own.
func TestAccSameRequestWithAndWithoutAnIncident(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	w.configure("gradual = false", "")
	w.Must("apply", "-auto-approve", "-no-color")
	twin := func(name, more string) string {
		return fmt.Sprintf("resource \"remediation_canary_split\" %q {\n  version = \"v2\"\n  target_percent = 5\n"+
			"  gradual = false\n  %s\n}\n", name, more)
	}
	w.configure("gradual = false", twin("plain", "")+twin("incident", `incident_id = "INC-1"`))
	w.Must("apply", "-auto-approve", "-no-color")
	w.empty(t)
}

// TestAccSkippedHasObjects reads members of preview and result when nothing has run.
func TestAccSkippedHasObjects(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	const outputs = `
output "message" { value = remediation_canary_split.canary.result.message }
output "target" { value = remediation_canary_split.canary.preview.target == null ? "none" : "some" }
output "id" { value = remediation_canary_split.canary.id == null ? "null" : remediation_canary_split.canary.id }
`
	w.configure("run_if = false\n  gradual = false", outputs)
	if out := w.Must("plan", "-no-color"); strings.Contains(out, "1st execution") || !strings.Contains(out, "Skipped") {
		t.Errorf("the plan:\n%s", out)
	}
	w.Must("apply", "-auto-approve", "-no-color")
	out := w.Must("output", "-no-color")
	for _, want := range []string{`message = "Skipped: run_if is false."`, `target = "none"`, `id = "null"`} {
		if !strings.Contains(out, want) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	w.empty(t)
	w.configure("run_if = true\n  gradual = false", outputs)
	w.Must("apply", "-auto-approve", "-no-color")
	out = w.Must("output", "-no-color")
	if strings.Contains(out, "Skipped") || !strings.Contains(out, `target = "some"`) {
		t.Errorf("it did not run:\n%s", out)
	}
}

// TestAccPreviewAgrees compares the data source with the resource: the same inputs and blocks give the same digest,
// facts and approval, before and after an execution, and the digest of the one pins the other.
func TestAccPreviewAgrees(t *testing.T) {
	t.Parallel()
	w := newSplitting(t)
	const policy = `approved_by = "lead@example.com"
  on_destroy  = "rollback"
  timeouts {
    create = "5m"
  }
  guardrail {
    name = "up"
    max  = 60000
    http {
      url = "http://127.0.0.1:1"
    }
  }`
	const preview = `
data "remediation_preview" "split" {
  action_type = "adjust_canary_split"
  params      = jsonencode({ version = "v2", target_percent = 25, gradual = true, steps = 5, gradual_duration = "5s" })
  ` + policy + `
}
locals {
  mine = remediation_canary_split.canary.preview
  same = [for k in ["target", "command", "digest", "risk", "affected", "approval_required", "approval_reasons",
    "rollback_available", "identity", "content", "undo", "estimated_duration_seconds", "approval_granted"] :
    k if jsonencode(local.mine[k]) != jsonencode(data.remediation_preview.split[k])]
}
output "differ" { value = join(",", local.same) }
output "percent" { value = jsondecode(data.remediation_preview.split.facts).target_percent }
output "text" { value = data.remediation_preview.split.dry_run }
`
	w.configure("", "")
	w.Write("main.tf", strings.Replace(w.read(t, "main.tf"), "target_percent = 5", `target_percent = 25
  gradual_duration = "5s"
  expected_digest = data.remediation_preview.split.digest
  `+policy, 1)+preview)
	out := w.Must("plan", "-no-color")
	for _, want := range []string{`differ  = ""`, `percent = 25`} {
		if !strings.Contains(out, want) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	_, text, _ := strings.Cut(out, "+ text")
	text, _, _ = strings.Cut(text, "EOT\n")
	if strings.Contains(text, "Execution") || strings.Contains(text, "none before") {
		t.Errorf("the text of the data source:\n%s", text)
	}
}

func (w splitting) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name)) //nolint:gosec // the test's own file
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
