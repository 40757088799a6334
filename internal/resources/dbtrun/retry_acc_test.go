package dbtrun_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// rows counts the rows of a table in the warehouse.
func (r rig) rows(t *testing.T, table string) string {
	t.Helper()
	const program = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select count(*) from ' + " +
		"sys.argv[2]).fetchone()[0])"
	python := filepath.Join(filepath.Dir(acctest.DBT(t)), "python")
	out, err := exec.CommandContext(t.Context(), python, "-c", program, r.project.Warehouse, table).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestAccRetryRunsWhatIsLeft fails one model of four. The retry runs that one and the skipped one, and appends nothing
// twice.
func TestAccRetryRunsWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/mail_log.sql", "{{ config(materialized='incremental') }}\n"+
		"select id from {{ ref('inbox_emails') }}\n")
	four := strings.ReplaceAll(config("", "vars = { days = 5 }\n  retry_failed = true"),
		`["inbox_emails", "triage_results"]`, `["path:models"]`)
	r.project.Break()
	r.Write("main.tf", four)
	r.MustFail("apply", "-auto-approve", "-no-color")
	if got := r.rows(t, "mail_log"); got != "100" {
		t.Fatalf("mail_log has %s rows", got)
	}
	r.project.Repair()
	r.golden(t, "retry_what_is_left.txt")
	r.Must("apply", "-auto-approve", "-no-color")
	if got := r.rows(t, "mail_log"); got != "100" {
		t.Errorf("mail_log has %s rows after the retry", got)
	}
	preview, ok := r.Attributes(address)["preview"].(map[string]any)
	if !ok || fmt.Sprint(preview["selected_models"]) != "[triage_daily triage_results]" ||
		preview["retried_execution"] == nil {
		t.Errorf("preview %v", preview)
	}
	r.empty(t)

	// After a success, the whole selection runs.
	r.Write("main.tf", strings.ReplaceAll(four, "retry_failed = true",
		"retry_failed = true\n  triggers = { run = \"2\" }"))
	r.Must("apply", "-auto-approve", "-no-color")
	if got := r.rows(t, "mail_log"); got != "200" {
		t.Errorf("mail_log has %s rows after another run of everything", got)
	}

	// Alone, retry_failed takes the arguments of the last execution, and there must be something to retry.
	alone := strings.ReplaceAll(config("", "retry_failed = true\n  triggers = { run = \"3\" }"),
		`models      = ["inbox_emails", "triage_results"]`, "")
	r.Write("main.tf", alone)
	if out := r.MustFail("plan", "-no-color"); !strings.Contains(flat(out), "There is nothing to retry") ||
		!strings.Contains(flat(out), "succeeded") {
		t.Errorf("a retry of a success:\n%s", out)
	}
	r.project.Break()
	r.Write("main.tf", strings.ReplaceAll(four, "retry_failed = true", "triggers = { run = \"4\" }"))
	r.MustFail("apply", "-auto-approve", "-no-color")
	r.project.Repair()
	r.Write("main.tf", alone)
	out := r.Must("plan", "-no-color")
	for _, want := range []string{"failed: triage_results; skipped: triage_daily", `--vars '{"days":5}'`} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
}
