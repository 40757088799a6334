package dbtrun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/postgrestest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// combination is a model's configuration and what exists before the run.
type combination struct {
	name                                              string
	materialized, strategy, schemaChange, fullRefresh string
	key, contract, extraColumn                        bool
	// before is "", "table", "view", or "materialized view". viewed adds a view that reads it.
	before string
	viewed bool
}

// system is a warehouse to run combinations on.
type system interface {
	// profile returns the text of profiles.yml for the profile "verbs" and the schema "main".
	profile() string
	// query returns rows, one per line, with columns separated by "|".
	query(sql string) string
}

// TestVerbsAreWhatDBTDoes plans random combinations of materialization, configuration, full refresh, and what exists,
// lets dbt run them, and compares the verbs with the statements in dbt's log and with the tables afterwards.
// REMEDIATION_TEST_VERBS is the number of combinations per warehouse and mode, and REMEDIATION_TEST_SEED repeats a run.
func TestVerbsAreWhatDBTDoes(t *testing.T) {
	t.Parallel()
	count, seed := number(t, "REMEDIATION_TEST_VERBS", 12), number(t, "REMEDIATION_TEST_SEED", 1)
	systems := map[string]func(t *testing.T) system{
		"duckdb":   func(t *testing.T) system { return newDuckDB(t) },
		"postgres": func(t *testing.T) system { return postgres{postgrestest.Start(t)} },
	}
	for adapter, start := range systems {
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/full_refresh=%t/seed=%d", adapter, full, seed), func(t *testing.T) {
				t.Parallel()
				//nolint:gosec // the same combinations for the same seed
				random := rand.New(rand.NewPCG(uint64(seed), uint64(len(adapter))+map[bool]uint64{true: 1000}[full]))
				m := matrix{t: t, adapter: adapter, full: full, system: start(t), dir: t.TempDir()}
				for i := range count {
					c := draw(random, adapter, i)
					if c.strategy == "microbatch" && !hasMicrobatch(t) {
						c.strategy = "append"
					}
					m.combinations = append(m.combinations, c)
				}
				m.run()
			})
		}
	}
}

func number(t *testing.T, variable string, fallback int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// draw returns a combination that dbt accepts.
func draw(random *rand.Rand, adapter string, i int) combination {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	coin := func() bool { return random.IntN(2) == 0 }
	c := combination{
		name:         fmt.Sprintf("m%03d", i),
		materialized: pick("view", "table", "incremental", "incremental", "incremental", "incremental"),
		fullRefresh:  pick("", "", "true", "false"), before: pick("", "table", "table", "view"), key: coin(),
	}
	if adapter == "postgres" {
		c.viewed = c.before != "" && coin()
		switch random.IntN(12) {
		case 0:
			c.materialized, c.before = "materialized_view", ""
			c.viewed = false
		case 1, 2:
			c.before = "materialized view"
		}
		if i == 0 {
			c.materialized, c.before = "incremental", "materialized view"
		}
	}
	if c.materialized != "incremental" {
		return c
	}
	c.strategy = pick("", "append", "delete+insert", "merge", "microbatch")
	c.schemaChange = pick("ignore", "append_new_columns", "sync_all_columns", "fail")
	switch c.strategy {
	case "microbatch":
		c.key, c.schemaChange = adapter == "postgres", "ignore"
	case "merge":
		c.key = true // DuckDB before 1.4 and PostgreSQL differ without a key; adapters document one
	}
	c.extraColumn = coin() && c.schemaChange != "ignore"
	c.contract = coin() && c.schemaChange != "ignore" && c.schemaChange != "sync_all_columns"
	return c
}

// hasMicrobatch reports whether the dbt that is tested has microbatch models: dbt 1.8 lacks them.
func hasMicrobatch(t *testing.T) bool {
	t.Helper()
	executable, err := filepath.EvalSymlinks(acctest.DBT(t))
	if err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(executable), "../lib/python*/site-packages/dbt_core-1.8.*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(old) == 0
}

// matrix is one plan and one run of combinations.
type matrix struct {
	t            *testing.T
	adapter      string
	full         bool
	system       system
	dir          string
	combinations []combination
}

func (m matrix) run() {
	m.prepare()
	selection := dbt.Selection{Models: []string{"tag:tried"}, FullRefresh: m.full}
	if hasMicrobatch(m.t) {
		selection.EventTimeStart, selection.EventTimeEnd = "2025-10-01", "2025-10-04"
	}
	cli := dbt.New(dbt.Config{Executable: acctest.DBT(m.t), ProjectDir: m.project(), ProfilesDir: m.profiles(),
		WorkDir: filepath.Join(m.dir, "work")}, clock.System{})
	m.t.Cleanup(cli.Close)
	listing, err := cli.List(m.t.Context(), selection)
	if err != nil {
		m.t.Fatal(err)
	}
	catalog, err := cli.Catalog(m.t.Context(), selection, listing)
	if err != nil {
		m.t.Fatal(err)
	}
	if !catalog.Known() {
		m.t.Fatalf("the catalog was not read: %+v", catalog)
	}
	planned := situation{selection: selection, listing: listing, catalog: catalog, now: catalog.At}.effects()
	if len(planned) != len(m.combinations) {
		m.t.Fatalf("%d effects for %d combinations", len(planned), len(m.combinations))
	}
	statements := m.dbt(cli.RunCommand(selection)[1:])
	for i, c := range m.combinations {
		m.judge(c, planned[i], statements["model.verbs."+c.name])
	}
}

func (m matrix) project() string  { return filepath.Join(m.dir, "project") }
func (m matrix) profiles() string { return filepath.Join(m.dir, "profiles") }

// prepare writes the project and creates what exists before the run.
func (m matrix) prepare() {
	m.write("profiles/profiles.yml", m.system.profile())
	m.write("project/dbt_project.yml", "name: verbs\nprofile: verbs\nversion: '1.0'\n")
	m.write("project/models/events.sql", "{{ config(materialized='table', event_time='happened') }}\n"+
		"select 1 as id, 'new' as val, cast('2025-10-01' as timestamp) as happened\n")
	setup := []string{"create schema if not exists main", "create table main.events as select * from (values " +
		"(1, 'new', cast('2025-10-01' as timestamp)), (2, 'new', cast('2025-10-02' as timestamp)), " +
		"(3, 'new', cast('2025-10-03' as timestamp))) as t(id, val, happened)"}
	for _, c := range m.combinations {
		m.write("project/models/"+c.name+".sql", c.sql())
		if c.contract {
			m.write("project/models/"+c.name+".yml", c.yaml())
		}
		old := "select * from (values (1, 'old', cast('2025-10-01' as timestamp)), " +
			"(-1, 'old', cast('2024-01-01' as timestamp))) as t(id, val, happened)"
		if c.before != "" {
			setup = append(setup, fmt.Sprintf("create %s main.%s as %s", c.before, c.name, old))
		}
		if c.viewed {
			setup = append(setup, fmt.Sprintf("create view main.%s_reader as select * from main.%s", c.name, c.name))
		}
	}
	m.system.query(strings.Join(setup, ";\n"))
}

func (m matrix) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // dbt reads it
		m.t.Fatal(err)
	}
}

func (c combination) sql() string {
	settings := []string{"materialized='" + c.materialized + "'", "tags=['tried']"}
	add := func(name, value string) {
		if value != "" {
			settings = append(settings, name+"="+value)
		}
	}
	quoted := func(value string) string {
		if value == "" {
			return ""
		}
		return "'" + value + "'"
	}
	add("incremental_strategy", quoted(c.strategy))
	add("on_schema_change", quoted(c.schemaChange))
	add("full_refresh", c.fullRefresh)
	if c.key {
		add("unique_key", "'id'")
	}
	if c.strategy == "microbatch" {
		settings = append(settings, "event_time='happened'", "begin='2025-10-01'", "batch_size='day'",
			"concurrent_batches=false") // dbt before 1.11.3 can wait forever for a free thread
	}
	extra := ""
	if c.extraColumn {
		extra = ", 7 as fresh"
	}
	return "{{ config(" + strings.Join(settings, ", ") + ") }}\nselect id, val, happened" + extra +
		" from {{ ref('events') }}\n"
}

func (c combination) yaml() string {
	columns := "[{name: id, data_type: integer}, {name: val, data_type: text}, {name: happened, data_type: timestamp}"
	if c.extraColumn {
		columns += ", {name: fresh, data_type: integer}"
	}
	return "models:\n  - name: " + c.name + "\n    config: {contract: {enforced: true}}\n    columns: " + columns +
		"]\n"
}

// dbt runs the command and returns the statements of each model, in lower case, by unique id.
func (m matrix) dbt(args []string) map[string]string {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), acctest.DBT(m.t), args...)
	cmd.Dir = m.project()
	cmd.Env = append(os.Environ(), "DBT_PROFILES_DIR="+m.profiles(), "DBT_LOG_FORMAT=json", "DBT_LOG_LEVEL=debug",
		"DBT_LOG_LEVEL_FILE=none")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // models may fail
	statements := map[string]string{}
	for line := range strings.Lines(out.String()) {
		var event struct {
			Info struct{ Name string }
			Data struct {
				SQL  string
				Exc  string
				Node struct {
					ID string `json:"unique_id"`
				} `json:"node_info"`
			}
		}
		if json.Unmarshal([]byte(line), &event) != nil {
			continue
		}
		id := event.Data.Node.ID
		switch event.Info.Name {
		case "SQLQuery":
			statements[id] += comments.ReplaceAllString(strings.ToLower(event.Data.SQL), " ") + ";\n"
		case "LogStartBatch":
			statements[id] += "-- batch\n"
		case "RunResultError", "CatchableExceptionOnRun", "GenericExceptionOnRun":
			statements[id] += "-- failed " + event.Data.Exc + "\n"
		}
	}
	if len(statements) == 0 {
		m.t.Fatalf("dbt did nothing:\n%s", out.String())
	}
	return statements
}

var comments = regexp.MustCompile(`(?s)/\*.*?\*/`)

// judge compares what was planned with dbt's statements and with what exists afterwards.
func (m matrix) judge(c combination, planned effect, statements string) {
	m.t.Helper()
	wrong := func(format string, args ...any) {
		m.t.Helper()
		m.t.Errorf("%s (%+v): planned %q (%s), but %s\n%s", c.name, c, planned.verb, planned.does,
			fmt.Sprintf(format, args...), statements)
	}
	if strings.Contains(statements, "-- failed") {
		blocked := c.schemaChange == "fail" && c.extraColumn || c.before == "materialized view"
		if !blocked || !strings.Contains(strings.ToLower(planned.does), "fails") {
			wrong("dbt failed")
		}
		return
	}
	if strings.Contains(planned.does, "FAILS") {
		wrong("dbt did not fail")
	}
	if did := observed(c, statements); did != planned.verb {
		wrong("dbt did %q", did)
	}
	if batches := strings.Count(statements, "-- batch"); batches > 0 &&
		!strings.Contains(planned.does, fmt.Sprintf(" %d batches", batches)) {
		wrong("dbt ran %d batches", batches)
	}
	rows := map[verb]string{create: "3", rebuild: "3", replaceView: "3", appendRows: "5", mergeRows: "4",
		deleteInsert: "4", microbatch: "4"}[planned.verb]
	if got := m.system.query("select count(*) from main." + c.name); got != rows {
		wrong("there are %s rows, not %s", got, rows)
	}
	if c.viewed {
		left := m.system.query("select count(*) from pg_views where viewname = '" + c.name + "_reader'")
		if dropped := slices.Contains(planned.dropped, "main."+c.name+"_reader"); dropped != (left == "0") {
			wrong("of the view on it there are %s left", left)
		}
	}
	columns := m.system.query("select count(*) from information_schema.columns where table_schema = 'main' and " +
		"table_name = '" + c.name + "' and column_name = 'fresh'")
	if added := strings.Contains(planned.does, "adds the column fresh"); added && columns != "1" {
		wrong("the column was not added")
	}
}

var renamed = regexp.MustCompile(`alter (table|view)[^;]*rename to[^;]*__dbt_backup`)

// observed is the verb that dbt's statements show.
func observed(c combination, statements string) verb {
	batched := strings.Contains(statements, "-- batch")
	// The first batch of a new table creates it, and later ones insert.
	created := regexp.MustCompile(`create\s+table[^;]*"` + c.name + `"\s*(as|\()`).MatchString(statements)
	switch {
	case renamed.MatchString(statements) && c.materialized == "view":
		switch c.before {
		case "view", "table":
			return replaceView
		case "materialized view":
			return rebuild
		}
		return create
	case renamed.MatchString(statements):
		return rebuild
	case created && c.before == "":
		return create
	case batched:
		return microbatch
	case strings.Contains(statements, "merge into"):
		return mergeRows
	case strings.Contains(statements, "delete from"):
		return deleteInsert
	case strings.Contains(statements, "insert into"):
		return appendRows
	default:
		return create
	}
}
