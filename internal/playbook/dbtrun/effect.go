package dbtrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// effect is what a run does to the relation of a model, as far as its configuration shows.
type effect struct {
	model dbt.Model
	// does is the effect in a phrase, such as "append new rows".
	does string
	// rebuilds reports that rows that a table has accumulated are replaced by what its sources contain now.
	rebuilds bool
	// mayDropColumns reports that columns may be dropped, with their data.
	mayDropColumns bool
}

// whereMissing is added if a model builds its table in full because it does not exist.
const whereMissing = " (built in full where it is missing)"

// effectsOf returns the effects on all selected models.
func effectsOf(l dbt.Listing, fullRefresh bool) []effect {
	effects := make([]effect, len(l.Models))
	for i, m := range l.Models {
		effects[i] = effectOf(m, fullRefresh, l.Connection["adapter"])
	}
	return effects
}

func effectOf(m dbt.Model, fullRefresh bool, adapter string) effect {
	full, protected := fullRefresh, ""
	if m.FullRefresh != nil {
		full = *m.FullRefresh
		if fullRefresh && !full {
			protected = ", protected from a full refresh by its configuration"
		}
	}
	e := effect{model: m}
	switch m.Materialization {
	case "view":
		e.does = "create or replace the view"
	case "table":
		e.does = "build the table anew"
	case "materialized_view":
		e.does = "create or refresh the materialized view"
		if full {
			e.does = "build the materialized view anew"
		}
	case "external":
		e.does = "write its files anew"
	case "incremental":
		if full {
			e.does, e.rebuilds = "rebuild the table from scratch", true
			break
		}
		e.does = incremental(m, adapter) + whereMissing + protected
		switch m.SchemaChange {
		case "append_new_columns":
			e.does += ", may add columns"
		case "sync_all_columns":
			e.does, e.mayDropColumns = e.does+", may add and drop columns", true
		case "fail":
			e.does += ", fails if its columns have changed"
		}
	default:
		e.does = "build with the materialization " + m.Materialization
	}
	return e
}

// keyed are the adapters whose default strategy uses a unique key if there is one, with what it does. With others, only
// the configured strategy is known.
var keyed = map[string]string{
	"duckdb": "delete+insert", "postgres": "delete+insert", "redshift": "delete+insert", "snowflake": "merge",
	"bigquery": "merge", "databricks": "merge",
}

// incremental describes what an incremental model does to an existing table.
func incremental(m dbt.Model, adapter string) string {
	strategy := m.Strategy
	if strategy == "" || strategy == "default" {
		strategy = cmp.Or(keyed[adapter], "default")
	}
	byKey := strategy == "delete+insert" || strategy == "merge" || strategy == "default" && adapter != ""
	if byKey && !m.HasUniqueKey {
		strategy = "append" // without a key there is nothing to replace rows by
	}
	switch strategy {
	case "append":
		return "append new rows"
	case "merge":
		return "merge rows by its unique key"
	case "delete+insert":
		return "delete and insert rows by its unique key"
	case "insert_overwrite":
		return "overwrite partitions"
	case "microbatch":
		return "replace batches of one " + cmp.Or(m.BatchSize, "period")
	case "default":
		return "update the table by the default strategy of the adapter"
	default:
		return "update the table by the strategy " + strategy
	}
}

// named returns the names of the models with a kind of effect.
func named(effects []effect, is func(effect) bool) []string {
	var names []string
	for _, e := range effects {
		if is(e) {
			names = append(names, e.model.Name)
		}
	}
	return names
}

// risk depends on the effects, not on the inputs.
func risk(effects []effect) (playbook.Risk, string) {
	if rebuilt := named(effects, func(e effect) bool { return e.rebuilds }); len(rebuilt) > 0 {
		return playbook.RiskHigh, some(rebuilt) + " rebuilt from scratch"
	}
	if columns := named(effects, func(e effect) bool { return e.mayDropColumns }); len(columns) > 0 {
		return playbook.RiskMedium, some(columns) + " may lose columns"
	}
	return playbook.RiskLow, ""
}

// effectLines returns one line per relation, or one per effect if there are many relations.
func effectLines(effects []effect) []string {
	const most = 8
	var lines, order []string
	if len(effects) <= most {
		for _, e := range effects {
			lines = append(lines, fmt.Sprintf("%s: %s", e.model.Relation, e.does))
		}
		return lines
	}
	same := map[string][]string{}
	for _, e := range effects {
		if same[e.does] == nil {
			order = append(order, e.does)
		}
		same[e.does] = append(same[e.does], e.model.Name)
	}
	for _, does := range order {
		lines = append(lines, fmt.Sprintf("%d x %s: %s", len(same[does]), does, some(same[does])))
	}
	return lines
}

// hookLines lists the statements that run in addition to the models, with their templates.
func hookLines(l dbt.Listing) []string {
	const most = 5
	var lines []string
	for _, sql := range l.RunHooks {
		lines = append(lines, "Hook of the project: "+brief(sql))
	}
	for _, m := range l.Models {
		for _, sql := range m.Hooks.Pre {
			lines = append(lines, fmt.Sprintf("Hook before %s: %s", m.Name, brief(sql)))
		}
		for _, sql := range m.Hooks.Post {
			lines = append(lines, fmt.Sprintf("Hook after %s: %s", m.Name, brief(sql)))
		}
	}
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more hooks", more))
	}
	return lines
}

// brief returns the beginning of a statement, on one line.
func brief(sql string) string {
	const most = 120
	line := []rune(strings.Join(strings.Fields(sql), " "))
	if len(line) > most {
		return string(line[:most]) + " ..."
	}
	return string(line)
}

// notDone lists what the selection matches and `dbt run` skips.
func notDone(l dbt.Listing) []string {
	if !l.Interface {
		return []string{"Tests, seeds and snapshots are not run"}
	}
	var lines []string
	if n := len(l.PassedOver["test"]) + len(l.PassedOver["unit_test"]); n > 0 {
		lines = append(lines, fmt.Sprintf("Tests of the selection are not run (%d)", n))
	}
	for _, kind := range []string{"seed", "snapshot"} {
		if names := l.PassedOver[kind]; len(names) > 0 {
			lines = append(lines, fmt.Sprintf("%ss are not run: %s", strings.ToUpper(kind[:1])+kind[1:], some(names)))
		}
	}
	return lines
}

// standingParents returns the relations that the models read, that should exist in the connection's own database, and
// that the run itself does not build.
func standingParents(l dbt.Listing) []dbt.Parent {
	var parents []dbt.Parent
	for _, m := range l.Models {
		for _, p := range m.Parents {
			built := slices.ContainsFunc(l.Models, func(m dbt.Model) bool { return m.UniqueID == p.UniqueID })
			known := slices.ContainsFunc(parents, func(other dbt.Parent) bool { return other.UniqueID == p.UniqueID })
			if !built && !known && !p.Virtual && p.Relation.Identifier != "" &&
				strings.EqualFold(p.Relation.Database, l.Connection["database"]) {
				parents = append(parents, p)
			}
		}
	}
	return parents
}

// some lists at most shownNames names and counts the others.
func some(names []string) string {
	line := strings.Join(first(names), ", ")
	if more := len(names) - shownNames; more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line
}
