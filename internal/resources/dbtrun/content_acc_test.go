package dbtrun_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccChangedContentIsRefused approves a full refresh, saves the plan, and then changes what would run. Apply names
// what changed and touches nothing. What doesn't change the run keeps the plan.
func TestAccChangedContentIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("macros/queue.sql", "{% macro queue() %}id % 3{% endmacro %}\n")
	r.project.Write("macros/other.sql", "{% macro other() %}1{% endmacro %}\n")
	const model = "{{ config(materialized='table') }}\n" +
		"select id, {{ queue() }} as queue from {{ ref('inbox_emails') }}\n"
	r.project.Write("models/triage_results.sql", model)
	r.project.Write("dbt_project.yml",
		"name: inbox\nprofile: inbox\nversion: '1.0'\nmodel-paths: [models]\nvars: {days: 3}\n")
	r.Write("main.tf", config(`approval { approvers = ["*@example.com"] }`,
		"full_refresh = true\n  approved_by = \"boss@example.com\""))

	elsewhere := filepath.Join(t.TempDir(), "warehouse.duckdb")
	for name, edit := range map[string]struct{ file, text, names string }{
		"the SQL of a model": {"models/triage_results.sql", strings.Replace(model, "select id", "select 7 as id", 1),
			"triage_results"},
		"a macro that it calls": {"macros/queue.sql", "{% macro queue() %}id % 4{% endmacro %}\n", "triage_results"},
		"the connection": {"profiles.yml", "inbox:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: '" +
			elsewhere + "'}\n", "path"},
		"a hook that drops a table": {"dbt_project.yml", "name: inbox\nprofile: inbox\nversion: '1.0'\n" +
			"model-paths: [models]\nvars: {days: 3}\non-run-start: ['drop table if exists other']\n", "run_hooks"},
		"a model that configures itself for runs": {"models/triage_results.sql",
			"{{ config(materialized='incremental' if flags.WHICH == 'run' else 'table') }}\n" + model, "triage_results"},
	} {
		path := filepath.Join(r.project.Dir, filepath.FromSlash(edit.file))
		before, err := os.ReadFile(path) //nolint:gosec // the test's own file
		if err != nil {
			t.Fatal(err)
		}
		r.Must("plan", "-no-color", "-out=p.tfplan")
		r.project.Write(edit.file, edit.text)
		out := flat(r.MustFail("apply", "-no-color", "p.tfplan"))
		if !strings.Contains(out, edit.names) || strings.Contains(out, "This is a bug in the provider") {
			t.Errorf("%s: the refusal doesn't name %s:\n%s", name, edit.names, out)
		}
		r.project.Write(edit.file, string(before))
		for _, file := range []string{r.project.Warehouse, elsewhere} {
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Fatalf("%s: %s was touched: %v", name, file, err)
			}
		}
	}

	r.Must("plan", "-no-color", "-out=p.tfplan")
	r.project.Write("macros/other.sql", "{% macro other() %}2{% endmacro %}\n")
	r.project.Write("models/unrelated.sql", "select 1 as one\n")
	r.Must("apply", "-no-color", "p.tfplan")
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
}
