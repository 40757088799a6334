package dbtrun_test

import (
	"strings"
	"testing"
)

// selecting is config with other models.
func selecting(models, provider, more string) string {
	return strings.Replace(config(provider, more), `["inbox_emails", "triage_results"]`, models, 1)
}

// contains checks that a text has all of the parts.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("missing %q:\n%s", part, text)
		}
	}
}

// TestAccMissingUpstreamIsReportedByPlan selects a model whose upstream table does not exist: in no database, and then
// in the database of another target. The run fails as the plan says.
func TestAccMissingUpstreamIsReportedByPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const warning = "which the database does not contain. The run will fail. Build triage_results first, or set " +
		"upstream = true"
	r.Write("main.tf", selecting(`["triage_daily"]`, "", ""))
	contains(t, flat(r.Must("plan", "-no-color")), "Selected models read warehouse.main.triage_results, "+warning)
	out := flat(r.MustFail("apply", "-auto-approve", "-no-color"))
	contains(t, out, "triage_daily", "does not exist", "run the model that builds it (upstream = true)")

	r.project.Run()
	if out := flat(r.Must("plan", "-no-color")); strings.Contains(out, "does not contain") {
		t.Errorf("the upstream table exists now:\n%s", out)
	}

	elsewhere := strings.Replace(r.project.Warehouse, "warehouse.duckdb", "production.duckdb", 1)
	r.project.Write("profiles.yml", "inbox:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: '"+
		r.project.Warehouse+"'}\n    prod: {type: duckdb, path: '"+elsewhere+"'}\n"+
		"    staging: {type: duckdb, path: '"+r.project.Warehouse+"', schema: staging}\n")
	r.Write("main.tf", selecting(`["triage_daily"]`, `dbt { target = "prod" }`, ""))
	contains(t, flat(r.Must("plan", "-no-color")), "Selected models read production.main.triage_results, "+warning)

	r.Write("main.tf", selecting(`["triage_daily"]`, `dbt { target = "staging" }`, "state = \"target\"\n  defer = true"))
	out = flat(r.Must("apply", "-auto-approve", "-no-color"))
	contains(t, out, "Reads warehouse.main.triage_results for the missing warehouse.staging.triage_results (defer)")
	if strings.Contains(out, "The run will fail") {
		t.Errorf("the run succeeded:\n%s", out)
	}
}

// TestAccPlanSaysWhatIsNotRun selects a seed, a snapshot, and tests beside models. The plan says that they are not run,
// and the apply runs none of them.
func TestAccPlanSaysWhatIsNotRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("seeds/queues.csv", "queue,name\n0,mail\n")
	r.project.Write("seeds/schema.yml", "seeds:\n  - name: queues\n    config: {tags: [nightly]}\n")
	r.project.Write("snapshots/queue_history.sql", "{% snapshot queue_history %}\n{{ config(target_schema='main', "+
		"unique_key='queue', strategy='check', check_cols=['name'], tags=['nightly']) }}\n"+
		"select * from {{ ref('queues') }}\n{% endsnapshot %}\n")
	r.project.Write("models/named_results.sql", "{{ config(materialized='table', tags=['nightly']) }}\n"+
		"select id, name from {{ ref('triage_results') }} join {{ ref('queues') }} using (queue)\n")
	r.project.Write("models/named_results.yml", "models:\n  - name: named_results\n    columns:\n      - name: id\n"+
		"        data_tests: [not_null]\n")
	r.project.DBT("seed")
	r.project.Write("seeds/queues.csv", "queue,name\n0,mail\n1,chat\n")
	what := []string{"Seeds are not run: queues", "Tests of the selection are not run (1)"}

	r.Write("main.tf", selecting(`["named_results"]`, "", "upstream = true"))
	out := r.Must("plan", "-no-color")
	contains(t, out, append(what, "Will re-run 3 dbt models",
		"Includes the models upstream of the selected ones. Seeds and snapshots are not run")...)

	r.Write("main.tf", selecting(`["tag:nightly", "+named_results"]`, "", ""))
	out = r.Must("apply", "-auto-approve", "-no-color")
	contains(t, out, append(what, "Will re-run 3 dbt models", "Snapshots are not run: queue_history")...)
	if got := r.rows(t, "main.queues"); got != "1" {
		t.Errorf("the seed was run: %s rows", got)
	}
	const tables = "information_schema.tables where table_name = "
	if got := r.rows(t, tables+"'queue_history'"); got != "0" {
		t.Error("the snapshot was run")
	}
	if got := r.rows(t, tables+"'named_results'"); got != "1" {
		t.Error("the model was not run")
	}
}

// TestAccPlanShowsHooks plans a run with hooks of the project and of a model. The plan shows them, and the apply runs
// exactly these.
func TestAccPlanShowsHooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("dbt_project.yml", "name: inbox\nprofile: inbox\nversion: '1.0'\nmodel-paths: [models]\n"+
		"vars: {days: 3}\non-run-start: ['create table if not exists audit (step varchar)']\n"+
		"on-run-end: [\"insert into audit values ('the end')\"]\n")
	r.project.Write("models/triage_results.sql", "{{ config(materialized='table', "+
		"pre_hook=\"insert into audit values ('before {{ this.name }}')\", post_hook=\"insert into audit "+
		"values ('after')\") }}\nselect id, id % 3 as queue from {{ ref('inbox_emails') }}\n")
	r.Write("main.tf", config("", ""))
	out := r.Must("apply", "-auto-approve", "-no-color")
	contains(t, out, "Hook of the project: create table if not exists audit (step varchar)",
		"Hook of the project: insert into audit values ('the end')",
		"Hook before triage_results: insert into audit values ('before {{ this.name }}')",
		"Hook after triage_results: insert into audit values ('after')", "Will re-run 2 dbt models")
	if got := r.rows(t, "audit where step in ('before triage_results', 'after', 'the end')"); got != "3" {
		t.Errorf("%s of 3 hooks have run", got)
	}
	result, _ := r.Attributes(address)["result"].(map[string]any)
	if message := result["message"]; message != "Ran 2 dbt models" {
		t.Errorf("hooks count as models: %v", message)
	}
}

// TestAccRepeatedKeysAreReadAsDBTReadsThem repeats keys in dbt_project.yml. dbt takes the last ones.
func TestAccRepeatedKeysAreReadAsDBTReadsThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("dbt_project.yml", "name: other\nname: inbox\nprofile: inbox\nversion: '1.0'\n"+
		"model-paths: [nowhere]\nmodel-paths: [models]\nvars: {days: 3}\nvars: {days: 3, weeks: 7, days: 5}\n")
	r.project.Write("models/triage_results.sql", "{{ config(materialized='table') }}\n"+
		"select * from range({{ var('days') * var('weeks') }})\n")
	r.Write("main.tf", config("", ""))
	contains(t, r.Must("plan", "-no-color"), "Will re-run 2 dbt models", "dbt:inbox/default")
	r.Must("apply", "-auto-approve", "-no-color")
	if got := r.rows(t, "triage_results"); got != "35" {
		t.Errorf("%s rows, want 5 times 7", got)
	}
	r.Write("main.tf", config("", "vars = { weeks = 2 }")) // only the repeated key declares it
	r.Must("apply", "-auto-approve", "-no-color")
	if got := r.rows(t, "triage_results"); got != "10" {
		t.Errorf("%s rows, want 5 times 2", got)
	}
}
