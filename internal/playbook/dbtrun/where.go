package dbtrun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// where lists the databases and schemas in which the models are built, one line per schema, and the dbt version.
// threads is the input; if it is zero, the profile decides.
func where(l dbt.Listing, threads int) []string {
	fromProfile := threads == 0
	if fromProfile {
		threads = l.Threads
	}
	var lines []string
	for _, m := range l.Models {
		schema := m.Relation.Schema
		if schema == "" {
			continue
		}
		if m.Relation.Database != "" {
			schema = m.Relation.Database + "." + schema
		}
		if line := connection(l.Connection) + schema; !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if l.Interface {
		origin := ""
		if fromProfile {
			origin = " (from the profile)"
		}
		with := text.Count(int64(threads), "thread")
		return append(lines, fmt.Sprintf("dbt %s with %s%s", l.DBTVersion, with, origin))
	}
	return append(lines, "dbt "+l.DBTVersion+", started by a script: the project's files are compared before it "+
		"runs, and its results afterwards")
}

// connection formats "postgres at db:5432, target prod: ", as far as it is known.
func connection(of map[string]string) string {
	if of["adapter"] == "" {
		return ""
	}
	var parts []string
	first := of["adapter"]
	switch {
	case of["host"] != "" && of["port"] != "":
		first += fmt.Sprintf(" at %s:%s", of["host"], of["port"])
	case of["host"] != "":
		first += " at " + of["host"]
	case of["account"] != "":
		first += " account " + of["account"]
	case of["path"] != "":
		first += " file " + of["path"]
	}
	parts = append(parts, first, "target "+of["target"])
	return strings.Join(parts, ", ") + ": "
}
