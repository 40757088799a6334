package acctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// DBT is the dbt to test with: REMEDIATION_TEST_DBT, or the one that make setup installs.
func DBT(t testing.TB) string {
	t.Helper()
	path := os.Getenv("REMEDIATION_TEST_DBT")
	if path == "" {
		path = filepath.Join(Root(t), ".build", "dbt", "bin", "dbt")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no dbt to test with (run make setup, or set REMEDIATION_TEST_DBT): %v", err)
	}
	return path
}

// Project is a small dbt project on a DuckDB file.
type Project struct {
	Dir, Warehouse string
	t              testing.TB
}

// NewProject makes a project with the models inbox_emails (incremental) and triage_results (a table that reads it), the
// model triage_daily and the exposure triage_board downstream of both.
func NewProject(t testing.TB) *Project {
	t.Helper()
	p := &Project{Dir: t.TempDir(), Warehouse: filepath.Join(t.TempDir(), "warehouse.duckdb"), t: t}
	p.Write("dbt_project.yml", "name: inbox\nprofile: inbox\nversion: '1.0'\nmodel-paths: [models]\nvars: {days: 3}\n")
	p.Write("profiles.yml", "inbox:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: '"+p.Warehouse+"'}\n")
	p.Write("models/inbox_emails.sql", "{{ config(materialized='incremental', unique_key='id') }}\n"+
		"select range as id, 'sender' || (range % 7) as sender from range(100)\n")
	p.Write("models/triage_results.sql",
		"{{ config(materialized='table') }}\nselect id, id % 3 as queue from {{ ref('inbox_emails') }}\n")
	p.Write("models/triage_daily.sql",
		"select queue, count(*) as emails from {{ ref('triage_results') }} group by queue\n")
	p.Write("models/schema.yml",
		"exposures:\n  - name: triage_board\n    type: dashboard\n    owner: {name: Triage, email: "+
			"triage@example.com}\n"+
			"    depends_on: [ref('triage_daily')]\n")
	return p
}

// Write puts a file into the project.
func (p *Project) Write(name, text string) {
	p.t.Helper()
	const dirMode, fileMode = 0o755, 0o644
	path := filepath.Join(p.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), fileMode); err != nil { //nolint:gosec // dbt may run as another user
		p.t.Fatal(err)
	}
}

// Run builds all models with dbt itself, as the scheduled run of a project does.
func (p *Project) Run() {
	p.t.Helper()
	p.DBT("run", "--quiet")
}

// DBT runs a command of dbt itself.
func (p *Project) DBT(args ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), DBT(p.t), args...) //nolint:gosec // the test's dbt
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), p.Environment()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("dbt %v: %v\n%s", args, err, out)
	}
}

// Break makes triage_results fail when it runs. Repair reverts that.
func (p *Project) Break() {
	p.Write("models/triage_results.sql",
		"{{ config(materialized='table') }}\nselect cast('not a number' as integer) as id, 0 as queue\n")
}

// Repair reverts Break.
func (p *Project) Repair() {
	p.Write("models/triage_results.sql",
		"{{ config(materialized='table') }}\nselect id, id % 3 as queue from {{ ref('inbox_emails') }}\n")
}

// Environment makes a provider without any configuration find this dbt and this project.
func (p *Project) Environment() []string {
	return []string{
		"PATH=" + filepath.Dir(DBT(p.t)) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"DBT_PROJECT_DIR=" + p.Dir, "DBT_PROFILES_DIR=" + p.Dir,
	}
}
