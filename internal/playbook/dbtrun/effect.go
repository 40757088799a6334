package dbtrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// verb is what a run does to a relation.
type verb string

const (
	create       verb = "create"
	appendRows   verb = "append"
	mergeRows    verb = "merge"
	deleteInsert verb = "delete+insert"
	overwrite    verb = "insert overwrite"
	microbatch   verb = "microbatch"
	rebuild      verb = "rebuild" // the new table replaces the old one
	replaceView  verb = "replace view"
	refresh      verb = "refresh"
	other        verb = "other" // a materialization or strategy that this package doesn't know
)

// effect is what a run does to the relation of a model.
type effect struct {
	model dbt.Model
	verb  verb
	// does is the effect in a phrase, such as "append new rows".
	does string
	// rebuilds reports that rows that a table has accumulated are replaced by what its sources contain now.
	rebuilds bool
	// dropsTable reports that a view takes the place of a table.
	dropsTable bool
	// mayDropColumns reports that columns may be dropped, with their data.
	mayDropColumns bool
	// dropped are the views that the database drops with the relation and that the run does not build again.
	dropped []string
}

// whereMissing is added to the effect on a table that may not exist: the model would then build it in full.
const whereMissing = " (built in full where it is missing)"

// situation is what the effects depend on, apart from the models.
type situation struct {
	selection dbt.Selection
	listing   dbt.Listing
	catalog   dbt.Catalog
	now       time.Time
}

// effects returns the effects on all selected models.
func (s situation) effects() []effect {
	effects := make([]effect, len(s.listing.Models))
	for i, m := range s.listing.Models {
		effects[i] = s.effectOn(m)
	}
	return effects
}

// existing returns the relation that a model replaces or changes. known reports whether the catalog covers it.
func (s situation) existing(m dbt.Model) (relation dbt.Existing, exists, known bool) {
	if !s.catalog.Known() || !inDatabase(s.listing, m.Relation) {
		return dbt.Existing{}, false, false
	}
	relation, exists = s.catalog.Find(m.Relation)
	return relation, exists, true
}

func (s situation) effectOn(m dbt.Model) effect {
	e := effect{model: m}
	existing, exists, known := s.existing(m)
	full, protected := s.selection.FullRefresh, ""
	if m.FullRefresh != nil {
		full = *m.FullRefresh
		if s.selection.FullRefresh && !full {
			protected = ", protected from a full refresh by its configuration"
		}
	}
	kind := strings.ReplaceAll(m.Materialization, "_", " ")
	switch m.Materialization {
	case "view", "table", "materialized_view":
		e.verb, e.does, e.dropsTable = replacement(m.Materialization, kind, existing.Type)
		if known && !exists {
			e.verb, e.does = create, "create the "+kind
		}
		if m.Materialization == "materialized_view" && full && (exists || !known) {
			e.verb, e.does = rebuild, "replace the materialized view"
		}
	case "external":
		e.verb, e.does = rebuild, "rewrite its files"
	case "incremental":
		switch {
		case known && !exists:
			e.verb, e.does = create, "create the table"+s.inBatches(m, false)
		case existing.Type == "view" || existing.Type == "materialized_view" && full:
			e.verb, e.does = rebuild, "replace the "+strings.ReplaceAll(existing.Type, "_", " ")+" with a table"+
				s.inBatches(m, false)
		case existing.Type == "materialized_view":
			e.verb, e.does = other, "FAILS because a materialized view has its name; a full refresh replaces it with "+
				"a table"
		case full:
			e.verb, e.does, e.rebuilds = rebuild, "rebuild the table from scratch"+s.inBatches(m, false), true
		default:
			e.verb, e.does = s.incremental(m)
			if !known {
				e.does += whereMissing
			}
			e.does += protected
			changeColumns(&e, existing)
		}
	default:
		e.verb, e.does = other, "build with the materialization "+m.Materialization
	}
	s.cascade(&e, existing)
	return e
}

// replacement describes what a materialization that builds everything does to an existing relation. existing is empty
// if its type is unknown.
func replacement(materialization, kind, existing string) (v verb, does string, dropsTable bool) {
	switch {
	case materialization == "view" && existing == "table":
		return replaceView, "drop the table and create a view", true
	case existing != "" && existing != materialization:
		return rebuild, "replace the " + strings.ReplaceAll(existing, "_", " ") + " with a " + kind, existing == "table"
	case materialization == "view" && existing == "":
		return replaceView, "create or replace the view", false
	case materialization == "view":
		return replaceView, "replace the view", false
	case materialization == "table":
		return rebuild, "replace the table", false
	case existing == "":
		return refresh, "create or refresh the materialized view", false
	default:
		return refresh, "refresh the materialized view", false
	}
}

// keyed maps adapters to their default strategy for a model with a unique key. For other adapters, only a configured
// strategy is known.
var keyed = map[string]string{
	"duckdb": "delete+insert", "postgres": "delete+insert", "redshift": "delete+insert", "snowflake": "merge",
	"bigquery": "merge", "databricks": "merge",
}

// incremental describes what an incremental model does to an existing table.
func (s situation) incremental(m dbt.Model) (verb, string) {
	adapter := s.listing.Connection["adapter"]
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
		return appendRows, "append new rows"
	case "merge":
		return mergeRows, "merge rows by its unique key"
	case "delete+insert":
		return deleteInsert, "delete and insert rows by its unique key"
	case "insert_overwrite":
		return overwrite, "overwrite partitions"
	case "microbatch":
		does := "replace"
		if adapter == "postgres" {
			does = "merge, by its unique key,"
		}
		return microbatch, does + cmp.Or(s.batches(m, true), " batches of one "+cmp.Or(m.BatchSize, "period"))
	case "default":
		return other, "update the table by the default strategy of the adapter"
	default:
		return other, "update the table by the strategy " + strategy
	}
}

// batches describes the batches of a microbatch model: " 3 batches of one day (2025-10-01 to 2025-10-04)".
func (s situation) batches(m dbt.Model, incremental bool) string {
	first, end, count := m.Batches(s.selection, incremental, s.now)
	if count == 0 {
		return ""
	}
	layout := time.DateOnly
	if m.BatchSize == "hour" {
		layout = "2006-01-02T15:04"
	}
	return fmt.Sprintf(" %s of one %s (%s to %s)", text.Count(int64(count), "batch"), m.BatchSize, first.Format(layout),
		end.Format(layout))
}

// inBatches says in how many batches a microbatch model builds a table.
func (s situation) inBatches(m dbt.Model, incremental bool) string {
	if m.Strategy != "microbatch" {
		return ""
	}
	if batches := s.batches(m, incremental); batches != "" {
		return " in" + batches
	}
	return ""
}

// cascade adds the views that are dropped with a relation that is replaced. The run builds some of them again.
func (s situation) cascade(e *effect, existing dbt.Existing) {
	if e.verb != rebuild && e.verb != replaceView || len(existing.Dependents) == 0 {
		return
	}
	var views []string
	for _, d := range existing.Dependents {
		if slices.ContainsFunc(s.listing.Models, func(m dbt.Model) bool {
			return strings.EqualFold(m.Relation.Schema, d[0]) && strings.EqualFold(m.Relation.Identifier, d[1])
		}) {
			views = append(views, d[0]+"."+d[1]+" (built again by this run)")
			continue
		}
		e.dropped = append(e.dropped, d[0]+"."+d[1])
		views = append(views, d[0]+"."+d[1]+" (NOT built again)")
	}
	e.does += "; drops the views on it: " + some(views)
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

// risk returns the risk of a run and its reason. It depends on the effects, not on the inputs.
func risk(effects []effect) (playbook.Risk, string) {
	var dropped []string
	for _, e := range effects {
		dropped = append(dropped, e.dropped...)
	}
	rebuilt := named(effects, func(e effect) bool { return e.rebuilds })
	replaced := named(effects, func(e effect) bool { return e.dropsTable })
	altered := named(effects, func(e effect) bool { return e.mayDropColumns })
	switch {
	case len(rebuilt) > 0:
		return playbook.RiskHigh, some(rebuilt) + " rebuilt from scratch"
	case len(replaced) > 0:
		return playbook.RiskMedium, some(replaced) + " becomes a view, and the rows of its table are lost"
	case len(dropped) > 0:
		return playbook.RiskMedium, some(dropped) + " will be dropped"
	case len(altered) > 0:
		return playbook.RiskMedium, some(altered) + " may lose columns"
	default:
		return playbook.RiskLow, ""
	}
}
