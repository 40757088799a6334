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
		line := connection(l.Connection) + schema
		if elsewhere(l, m.Relation) {
			line += " (another database than the connection's)"
		}
		if !slices.Contains(lines, line) {
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

// otherNames returns the names of the warehouse that don't depend on the names in a profile, which the author of a
// project chooses: "dbt:duckdb:/srv/shop.duckdb" or "dbt:postgres:db.example.com:5432/shop", and the same with the
// schema after a slash.
func otherNames(identity map[string]string) []string {
	adapter := identity["adapter"]
	if adapter == "" {
		return nil
	}
	var names []string
	for _, place := range places(identity) {
		name := "dbt:" + adapter + ":" + place
		names = append(names, name)
		if schema := identity["schema"]; schema != "" {
			names = append(names, name+"/"+schema)
		}
	}
	return names
}

// places returns where the warehouse is. PostgreSQL's client takes a list of hosts: each of them may be the warehouse.
func places(identity map[string]string) []string {
	if path := identity["path"]; path != "" {
		return []string{path}
	}
	host := ""
	for _, key := range []string{"host", "account", "server", "project", "unique_field"} {
		if host = identity[key]; host != "" {
			break
		}
	}
	hosts := []string{host}
	if each := strings.Split(host, ","); len(each) > 1 {
		hosts = append(hosts, each...)
	}
	for i, place := range hosts {
		if port := identity["port"]; port != "" {
			place += ":" + port
		}
		if database := identity["database"]; database != "" && database != place {
			place += "/" + database
		}
		hosts[i] = place
	}
	return hosts
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
