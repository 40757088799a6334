package dbtrun

import (
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

func TestEffectFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, test := range map[string]struct {
		model   dbt.Model
		full    bool
		adapter string
		want    string
		risk    playbook.Risk
	}{
		"view":  {dbt.Model{Materialization: "view"}, true, "duckdb", "create or replace the view", playbook.RiskLow},
		"table": {dbt.Model{Materialization: "table"}, true, "duckdb", "replace the table", playbook.RiskLow},
		"append": {dbt.Model{Materialization: "incremental"}, false, "duckdb",
			"append new rows (built in full where it is missing)", playbook.RiskLow},
		"by key": {dbt.Model{Materialization: "incremental", HasUniqueKey: true}, false, "postgres",
			"delete and insert rows by its unique key (built in full where it is missing)", playbook.RiskLow},
		"merge by default": {dbt.Model{Materialization: "incremental", HasUniqueKey: true}, false, "snowflake",
			"merge rows by its unique key (built in full where it is missing)", playbook.RiskLow},
		"merge without a key": {dbt.Model{Materialization: "incremental", Strategy: "merge"}, false, "duckdb",
			"append new rows (built in full where it is missing)", playbook.RiskLow},
		"full refresh": {dbt.Model{Materialization: "incremental"}, true, "duckdb", "rebuild the table from scratch",
			playbook.RiskHigh},
		"always full refresh": {dbt.Model{Materialization: "incremental", FullRefresh: &yes}, false, "duckdb",
			"rebuild the table from scratch", playbook.RiskHigh},
		"protected": {dbt.Model{Materialization: "incremental", FullRefresh: &no}, true, "duckdb",
			"append new rows (built in full where it is missing), protected from a full refresh by its configuration",
			playbook.RiskLow},
		"columns": {dbt.Model{Materialization: "incremental", SchemaChange: "sync_all_columns"}, false, "duckdb",
			"append new rows (built in full where it is missing), may add and drop columns", playbook.RiskMedium},
		"microbatch": {dbt.Model{Materialization: "incremental", Strategy: "microbatch", BatchSize: "day"}, false, "duckdb",
			"replace batches of one day (built in full where it is missing)", playbook.RiskLow},
		"an adapter that is not known": {dbt.Model{Materialization: "incremental", HasUniqueKey: true}, false, "",
			"update the table by the default strategy of the adapter (built in full where it is missing)", playbook.RiskLow},
		"custom": {dbt.Model{Materialization: "mine"}, false, "duckdb", "build with the materialization mine",
			playbook.RiskLow},
	} {
		s := situation{selection: dbt.Selection{FullRefresh: test.full},
			listing: dbt.Listing{Connection: map[string]string{"adapter": test.adapter}}}
		e := s.effectOn(test.model)
		if e.does != test.want {
			t.Errorf("%s: got %q, want %q", name, e.does, test.want)
		}
		if got, _ := risk([]effect{e}); got != test.risk {
			t.Errorf("%s: risk %s, want %s", name, got, test.risk)
		}
	}
}

func TestManyModelsAreSummarized(t *testing.T) {
	t.Parallel()
	l := dbt.Listing{Interface: true}
	for range 168 {
		l.Models = append(l.Models, dbt.Model{Name: "a_model_with_a_long_name", Materialization: "table"})
	}
	lines := effectLines(situation{listing: l}.effects())
	if len(lines) != 1 || len(lines[0]) > 600 || !strings.Contains(lines[0], "168 x replace the table: ") ||
		!strings.HasSuffix(lines[0], " and 165 more") {
		t.Errorf("%d lines, %q", len(lines), lines)
	}
}

func TestSkippedNodesAreReported(t *testing.T) {
	t.Parallel()
	got := strings.Join(situation{selection: dbt.Selection{EventTimeStart: "2025-10-01",
		EventTimeEnd: "2025-10-02"}, listing: dbt.Listing{Interface: true, Models: []dbt.Model{
		{Name: "daily", Materialization: "incremental", Strategy: "microbatch"},
		{Name: "all", Materialization: "table"}},
		NotRun: map[string][]string{"test": {"a", "b"}, "unit_test": {"c"}, "seed": {"codes"}, "snapshot": {"old"},
			"exposure": {"board"}}}}.notDone(), "; ")
	want := "The event-time window limits only microbatch models, not all; " +
		"Tests of the selection are not run (3); Seeds are not run: codes; Snapshots are not run: old"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
