package dbtrun

import (
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// changeColumns adds what on_schema_change may do to the columns of an existing table. A contract names the new
// columns, so the difference is known then.
func changeColumns(e *effect, existing dbt.Existing) {
	if e.model.Contract && len(existing.Columns) > 0 {
		added, gone := lacking(e.model.Columns, existing.Columns), lacking(existing.Columns, e.model.Columns)
		if len(added)+len(gone) == 0 {
			return
		}
		switch e.model.SchemaChange {
		case "append_new_columns":
			if len(added) > 0 {
				e.does += ", adds " + columns(added)
			}
		case "sync_all_columns":
			e.mayDropColumns = len(gone) > 0
			if len(added) > 0 {
				e.does += ", adds " + columns(added)
			}
			if len(gone) > 0 {
				e.does += ", DROPS " + columns(gone)
			}
		case "fail":
			e.does += ", FAILS because its columns have changed: " + some(append(added, gone...))
		}
		return
	}
	switch e.model.SchemaChange {
	case "append_new_columns":
		e.does += ", may add columns"
	case "sync_all_columns":
		e.does, e.mayDropColumns = e.does+", may add and drop columns", true
	case "fail":
		e.does += ", fails if its columns have changed"
	}
}

// columns formats "the column id" or "the columns id, name".
func columns(names []string) string {
	if len(names) == 1 {
		return "the column " + names[0]
	}
	return "the columns " + some(names)
}

// lacking returns the names that are not among others. Case is ignored.
func lacking(names, others []string) []string {
	var found []string
	for _, name := range names {
		if !slices.ContainsFunc(others, func(o string) bool { return strings.EqualFold(o, name) }) {
			found = append(found, name)
		}
	}
	return found
}
