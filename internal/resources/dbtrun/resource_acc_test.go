package dbtrun_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const address = "remediation_dbt_run.emails"

// config is a configuration with one resource; more is put into its block, and provider into the provider's.
func config(provider, more string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  %s
}

resource "remediation_dbt_run" "emails" {
  incident_id = "INC-2041"
  models      = ["inbox_emails", "triage_results"]
  %s
}
`, provider, more)
}

type rig struct {
	*acctest.Workspace
	project *acctest.Project
}

func newRig(t *testing.T) rig {
	t.Helper()
	p := acctest.NewProject(t)
	return rig{acctest.NewWorkspace(t, p.Environment()...), p}
}

// anonymous replaces values that differ between runs.
func (r rig) anonymous(text string) string {
	for _, rule := range []struct{ pattern, name string }{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "2026-01-02T03:04:05Z"},
		{`sha256:[0-9a-f]{64}`, "sha256:..."}, {`"[0-9a-f]{64}"`, `"..."`}, {`shown=[0-9a-f]{8}`, "shown=..."},
		{`([="]|execution )[0-9a-f]{8}-(\d+)`, "${1}4f9c2a17-$2"},
		{`\S+/warehouse\.duckdb`, "/srv/warehouse.duckdb"},
		{`file:///\S+/executions`, "file:///WORK/.remediation/executions"},
		{`\d+\.\d+ s\b`, "N s"},
		{`actual_duration_seconds\s+= [\d.]+`, "actual_duration_seconds = N"},
		{`\b1\.(?:[89]|1[0-2])\.\d+\b`, "1.11.16"},
		{`Estimate    [\d.]+( to [\d.]+)? \S+, USD ([\d.]+) \((\d+ runs?)`, "Estimate    N to N s, USD $2 ($3"},
		{`(estimated_duration_seconds\s+= \d+ ->) \d+`, "$1 N"},
		{`stopped after 1\d(\.\d)? min`, "stopped after 10 min"},
		{`As of \d\d:\d\d`, "As of 03:04"},
	} {
		text = regexp.MustCompile(rule.pattern).ReplaceAllString(text, rule.name)
	}
	return strings.ReplaceAll(text, r.Dir, "WORK")
}

// golden compares the plan of the current configuration with a golden file.
func (r rig) golden(t *testing.T, name string) {
	t.Helper()
	acctest.Golden(t, name, r.anonymous(r.Must("plan", "-no-color")))
}

func (r rig) status(t *testing.T) (status string, history []any) {
	t.Helper()
	values := r.Attributes(address)
	history, _ = values["history"].([]any)
	return fmt.Sprint(values["status"]), history
}

// TestAccReviewedDryRun compares the text for reviewers, at each point of a resource's life, with golden files.
func TestAccReviewedDryRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", ""))
	r.golden(t, "first_run.txt")
	r.Must("apply", "-auto-approve", "-no-color")
	r.empty(t)

	r.Write("main.tf", config("", `approved_by = "lead@example.com"
  on_destroy = "keep"
  timeouts { update = "30m" }`))
	r.Must("apply", "-auto-approve", "-no-color")
	if _, history := r.status(t); len(history) != 1 {
		t.Errorf("a change of policy ran something: %d executions", len(history))
	}

	r.Write("main.tf", config("", `triggers = { run = "2" }`))
	r.golden(t, "run_again.txt")
	r.project.Break()
	out := r.MustFail("apply", "-auto-approve", "-no-color")
	for _, want := range []string{"rerun_dbt failed (execution", "triage_results", "not a number", "file://"} {
		if !strings.Contains(flat(out), want) {
			t.Errorf("the error lacks %q:\n%s", want, out)
		}
	}
	status, history := r.status(t)
	if status != "failed" || len(history) != 2 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.golden(t, "retry_after_failure.txt")
	r.project.Repair()
	r.Must("apply", "-auto-approve", "-no-color")
	if status, history = r.status(t); status != "success" || len(history) != 3 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)
}

// empty checks that the next plan has no changes.
func (r rig) empty(t *testing.T) {
	t.Helper()
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}

// flat joins the lines that Terraform wraps and frames.
func flat(out string) string {
	return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ")
}

func TestAccUnapprovedFullRefresh(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Run()
	built, err := os.ReadFile(r.project.Warehouse)
	if err != nil {
		t.Fatal(err)
	}
	policy := `approval { approvers = ["*@example.com"] }`
	r.Write("main.tf", config(policy, "full_refresh = true"))
	r.golden(t, "unapproved_full_refresh.txt")
	out := r.MustFail("apply", "-auto-approve", "-no-color")
	if !strings.Contains(flat(out), "rerun_dbt needs an approval") || !strings.Contains(flat(out), "Nothing has run") {
		t.Errorf("refusal:\n%s", out)
	}
	if now, err := os.ReadFile(r.project.Warehouse); err != nil || !bytes.Equal(now, built) {
		t.Errorf("the warehouse was touched: %v", err)
	}
	if r.Attributes(address) != nil {
		t.Error("the refused resource is in state")
	}
	r.Write("main.tf", config(policy, "full_refresh = true\n  approved_by = \"eve@example.org\""))
	out = r.MustFail("plan", "-no-color")
	if !strings.Contains(flat(out), `"eve@example.org" is not among the approvers`) ||
		!strings.Contains(out, "approved_by = \"eve@example.org\"") {
		t.Errorf("a stranger's approval:\n%s", out)
	}
	r.Write("main.tf", config(policy, "full_refresh = true\n  approved_by = \"boss@example.com\""))
	r.Must("apply", "-auto-approve", "-no-color")
	if _, history := r.status(t); len(history) != 1 {
		t.Errorf("%d executions", len(history))
	}
}

func TestAccFailedCreateKeepsItsHistory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Break()
	r.Write("main.tf", config("", ""))
	r.MustFail("apply", "-auto-approve", "-no-color")
	if status, history := r.status(t); status != "failed" || len(history) != 1 {
		t.Fatalf("status %q, %d executions", status, len(history))
	}
	r.golden(t, "retry_after_failed_create.txt")
	r.project.Repair()
	r.Must("apply", "-auto-approve", "-no-color")
	status, history := r.status(t)
	if status != "success" || len(history) != 2 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)
}

// TestAccModelAddedAfterReview covers the saved plan, which is what CI and Atlantis apply.
func TestAccModelAddedAfterReview(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", strings.ReplaceAll(config("", ""), `["inbox_emails", "triage_results"]`, `["path:models"]`))
	r.Must("plan", "-no-color", "-out=reviewed.tfplan")
	r.project.Write("models/sneaked_in.sql", "select 1 as id\n")
	out := r.MustFail("apply", "-no-color", "reviewed.tfplan")
	for _, want := range []string{"changed since it was reviewed", "selected_models: added sneaked_in",
		"Nothing has run"} {
		if !strings.Contains(flat(out), want) {
			t.Errorf("the refusal lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "bug in the provider") {
		t.Errorf("Terraform's own message came first:\n%s", out)
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}
}

func TestAccSpecifiedExample(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", "threads = 4"))
	r.Must("apply", "-auto-approve", "-no-color")
	preview, ok := r.Attributes(address)["preview"].(map[string]any)
	if !ok {
		t.Fatal("no preview")
	}
	want := map[string]any{
		"command":                    "dbt run --select inbox_emails triage_results --threads 4",
		"estimated_duration_seconds": 600.0, "estimated_cost_usd": 0.1, "approval_required": false, "risk": "low",
	}
	for name, v := range want {
		if preview[name] != v {
			t.Errorf("preview.%s is %v, want %v", name, preview[name], v)
		}
	}
	if fmt.Sprint(preview["selected_models"]) != "[inbox_emails triage_results]" {
		t.Errorf("selected_models %v", preview["selected_models"])
	}
	if fmt.Sprint(preview["affected"]) != "[dbt triage_board]" ||
		fmt.Sprint(preview["downstream_models"]) != "[triage_daily]" {
		t.Errorf("downstream %v, affected %v", preview["downstream_models"], preview["affected"])
	}
}

func TestAccImportTakesAnExecution(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", `triggers = { run = "1" }
  vars     = { days = 5 }`))
	r.Must("apply", "-auto-approve", "-no-color")
	id := fmt.Sprint(r.Attributes(address)["id"])
	r.Must("state", "rm", address)
	r.Must("import", "-no-color", address, id)
	r.empty(t)
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.Must("state", "rm", address)
	if out := r.MustFail("import", "-no-color", address, "4711"); !strings.Contains(out, "There is no execution") {
		t.Errorf("import of nothing:\n%s", out)
	}
}

func TestAccRunIf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := `
resource "terraform_data" "gate" {
  input = %q
}
`
	unknown := config("", `run_if = terraform_data.gate.output == "go"`)
	r.Write("main.tf", unknown+fmt.Sprintf(gate, "wait"))
	r.Must("apply", "-auto-approve", "-no-color")
	if status, history := r.status(t); status != "skipped" || len(history) != 0 {
		t.Fatalf("status %q, %d executions", status, len(history))
	}
	r.empty(t)
	r.Write("main.tf", unknown+fmt.Sprintf(gate, "go"))
	r.Must("apply", "-auto-approve", "-no-color")
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)
}

func TestAccUnknownInputsArePreviewedAtApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", strings.ReplaceAll(config("", `full_refresh = true`), `["inbox_emails", "triage_results"]`,
		`[terraform_data.model.output]`)+
		"\nresource \"terraform_data\" \"model\" {\n  input = \"inbox_emails\"\n}\n")
	if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out),
		"rerun_dbt needs an approval") {
		t.Errorf("unknown at plan, risky at apply:\n%s", out)
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}
}

func TestAccExpectedDigest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", `expected_digest = "sha256:`+strings.Repeat("0", 64)+`"`))
	out := r.MustFail("plan", "-no-color")
	if !strings.Contains(flat(out), "The preview is not the one that expected_digest pins") {
		t.Fatalf("refusal:\n%s", out)
	}
	_, after, _ := strings.Cut(strings.ReplaceAll(flat(out), " ", ""), "hasthedigest")
	digest := regexp.MustCompile(`^sha256:[0-9a-f]{64}`).FindString(after)
	r.Write("main.tf", config("", fmt.Sprintf("expected_digest = %q", digest)))
	r.Must("apply", "-auto-approve", "-no-color")
}

func TestAccLogsURLNamesTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", ""))
	r.Must("apply", "-auto-approve", "-no-color")
	result, ok := r.Attributes(address)["result"].(map[string]any)
	if !ok {
		t.Fatal("no result")
	}
	path := strings.TrimPrefix(fmt.Sprint(result["logs_url"]), "file://")
	if text, err := os.ReadFile(filepath.Clean(path)); err != nil || !strings.Contains(string(text), "inbox_emails") {
		t.Errorf("logs at %s: %v", path, err)
	}
}
