package dbtrun_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccBadInput checks that plan refuses each invalid input, at its attribute, before anything has happened.
func TestAccBadInput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(file, []byte("not a journal, and not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	inputs := func(text string) string {
		return strings.ReplaceAll(config("", text), "  models      = [\"inbox_emails\", \"triage_results\"]\n", "")
	}
	good := `models = ["inbox_emails"]` + "\n  "
	tests := map[string]struct {
		config string
		says   string
		at     string
	}{
		"no models": {inputs(`models = []`), "No model is selected", "models = []"},
		"duplicate models": {inputs(`models = ["a", "a"]`), `"a" in models: it is a duplicate`,
			`models = ["a", "a"]`},
		"blank model":  {inputs(`models = [" "]`), "it is empty", `models = [" "]`},
		"blank within": {inputs(`models = ["a b"]`), "contains a space", `models = ["a b"]`},
		"an option": {inputs(`models = ["--full-refresh"]`), "begins with -",
			`models = ["--full-refresh"]`},
		"an option to exclude": {inputs(good + `exclude = ["-x"]`), "begins with -", `exclude = ["-x"]`},
		"no threads":           {inputs(good + `threads = 0`), "Must be between 1 and 256", "threads = 0"},
		"too many threads":     {inputs(good + `threads = 10000`), "Use 1 to 256", "threads = 10000"},
		"vars are no object":   {inputs(good + `vars = "days"`), "Expected an object", `vars = "days"`},
		"an unknown variable":  {inputs(good + `vars = { dais = 3 }`), "days", `vars = { dais = 3 }`},
		"an unknown model":     {inputs(`models = ["inbox_email"]`), "inbox_emails", `models = ["inbox_email"]`},
		"an empty approver":    {inputs(good + `approved_by = ""`), "is empty", `approved_by = ""`},
		"blanks round approver": {inputs(good + `approved_by = " a@example.com"`), "begins or ends with a space",
			`approved_by = " a@example.com"`},
		"rollback of dbt": {inputs(good + `on_destroy = "rollback"`), "rerun_dbt can't be undone",
			`on_destroy = "rollback"`},
		"on_destroy": {inputs(good + `on_destroy = "explode"`), `value must be one of: ["keep" "rollback"]`,
			`on_destroy = "explode"`},
		"timeout": {inputs(good + `timeouts { create = "soon" }`),
			"Invalid duration", address},
		"project is a file": {config(fmt.Sprintf(`dbt { project_dir = %q }`, file), ""), "not a folder",
			"dbt.project_dir"},
		"project is missing": {config(`dbt { project_dir = "nowhere" }`, ""), "can't be read", "dbt.project_dir"},
		"dbt is missing":     {config(`dbt { executable = "no-such-dbt" }`, ""), "no-such-dbt", "dbt.executable"},
		"a flag as variable": {config(`dbt { environment = { DBT_FULL_REFRESH = "1" } }`, ""),
			"DBT_FULL_REFRESH is a flag", "dbt.environment"},
		"journal is foreign": {config(fmt.Sprintf(`journal { path = %q }`, file), ""),
			"is not a journal of this provider", "journal.path"},
		"journal below a file": {config(fmt.Sprintf(`journal { path = %q }`, filepath.Join(file, "journal.db")), ""),
			"cannot be read or written", "journal.path"},
		"approver pattern": {config(`approval { approvers = ["[x"] }`, ""), "syntax error in pattern",
			"approval.approvers"},
		"no approvers": {config(`approval { approvers = [] }`, ""), "at least 1", "approval.approvers"},
		"enforce": {config(`approval { enforce = "never" }`, ""), `["apply" "plan"]`,
			"approval.enforce"},
		"seconds a model": {config(`estimates { dbt_seconds_per_model = 0 }`, ""), "between 1",
			"estimates.dbt_seconds_per_model"},
		"cost a model": {config(`estimates { dbt_cost_per_model_usd = -1 }`, ""), "between 0",
			"estimates.dbt_cost_per_model_usd"},
		"history limit": {config(`history_limit = 0`, ""), "between 1 and 500", "history_limit = 0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Write("main.tf", tt.config)
			out := flat(r.MustFail("plan", "-no-color"))
			if !strings.Contains(out, tt.says) || !strings.Contains(out, tt.at) {
				t.Errorf("want %q at %q:\n%s", tt.says, tt.at, out)
			}
			if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
				t.Error("the warehouse was touched")
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "not a journal, and not a folder" {
		t.Errorf("the foreign file was changed: %q, %v", text, err)
	}
}

// TestAccPlanOnlyReads runs all kinds of plans with a read-only project and warehouse, and compares both, byte for
// byte, before and after. An apply, which fails, shows that they are read-only.
func TestAccPlanOnlyReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", ""))
	r.Must("apply", "-auto-approve", "-no-color")
	before := tree(t, r.project.Dir, r.project.Warehouse)
	r.Protect(r.project.Dir, filepath.Dir(r.project.Warehouse))
	for _, more := range []string{`triggers = { run = "2" }`, `full_refresh = true`, `upstream = true`,
		`vars = { days = 9 }`} {
		r.Write("main.tf", config("", more))
		r.Must("plan", "-no-color")
	}
	r.MustFail("apply", "-auto-approve", "-no-color")
	after := tree(t, r.project.Dir, r.project.Warehouse)
	if before != after {
		t.Errorf("plan changed something:\nbefore\n%s\nafter\n%s", before, after)
	}
}

// tree lists files with their sizes, times and contents' hashes.
func tree(t *testing.T, roots ...string) string {
	t.Helper()
	var b strings.Builder
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // the test's own files
			fmt.Fprintf(&b, "%s %d %s %x\n", path, info.Size(), info.ModTime(), sha256.Sum256(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

const canary = "canary-secret-7f3a9c"

// TestAccSecretsStayOut searches for a secret of the dbt environment in everything that is written: state, plans, logs,
// journal, and artifacts.
func TestAccSecretsStayOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/triage_results.sql", "{{ config(materialized='table') }}\n"+
		"select cast('{{ env_var('TRIAGE_PASSWORD') }}' as integer) as id\n")
	r.Write("main.tf", config(fmt.Sprintf(`dbt { environment = { TRIAGE_PASSWORD = %q } }`, canary), ""))
	out := r.Must("plan", "-no-color", "-out=saved.tfplan")
	// Terraform itself keeps the configuration as it was written, in clear text: the rest of the plan is the
	// provider's.
	shown := r.Must("show", "-json", "saved.tfplan")
	configuration := strings.Index(shown, `"configuration":`)
	if configuration < 0 {
		t.Fatalf("no configuration in the plan: %s", shown)
	}
	out += shown[:configuration]
	out += r.MustFail("apply", "-no-color", "saved.tfplan")
	out += r.Must("show", "-json")
	if strings.Contains(out, canary) || !strings.Contains(out, "(redacted)") {
		t.Errorf("the secret is printed, or the failure is not told:\n%s", out)
	}
	if found := grep(t, filepath.Join(r.Dir, ".remediation"), canary); len(found) > 0 {
		t.Errorf("the secret is in %v", found)
	}
	if found := grep(t, filepath.Join(r.Dir, "terraform.tfstate"), canary); len(found) > 0 {
		t.Errorf("the secret is in %v", found)
	}
}

// grep returns the files below root that contain text.
func grep(t *testing.T, root, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own files
		if strings.Contains(string(content), text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
