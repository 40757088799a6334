package dbtrun

import (
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// upstream returns the relations that the models read, that should exist in the connection's own database, and that the
// run itself does not build.
func upstream(l dbt.Listing) []dbt.Parent {
	built, seen := map[string]bool{}, map[string]bool{}
	for _, m := range l.Models {
		built[m.UniqueID] = true
	}
	var parents []dbt.Parent
	for _, m := range l.Models {
		for _, p := range m.Parents {
			if !built[p.UniqueID] && !seen[p.UniqueID] && !p.Virtual && p.Relation.Identifier != "" &&
				inDatabase(l, p.Relation) {
				seen[p.UniqueID] = true
				parents = append(parents, p)
			}
		}
	}
	return parents
}

// inDatabase reports whether a relation is in the connection's own database, which is the one whose catalog is read.
func inDatabase(l dbt.Listing, r dbt.Relation) bool {
	return strings.EqualFold(r.Database, l.Connection["database"])
}

// elsewhere reports whether a relation is in another database than the connection's own.
func elsewhere(l dbt.Listing, r dbt.Relation) bool {
	return r.Database != "" && l.Connection["database"] != "" && !inDatabase(l, r)
}

// deferred describes what the models read from where the run in the state folder built it.
func (s situation) deferred() []string {
	switch {
	case !s.selection.Defer:
		return nil
	case !s.catalog.Known():
		return []string{"What is missing upstream is read from where the run in " + s.selection.State + " built it"}
	}
	var lines []string
	for _, p := range upstream(s.listing) {
		if _, exists := s.catalog.Find(p.Relation); !exists && p.Deferred != nil {
			lines = append(lines, fmt.Sprintf("%s for the missing %s", p.Deferred, p.Relation))
		}
	}
	if len(lines) == 0 {
		return []string{"Nothing upstream is deferred"}
	}
	return []string{"Reads " + some(lines) + " (defer)"}
}

// missingUpstream warns about relations that the models read and that do not exist.
func (s situation) missingUpstream() []string {
	if !s.catalog.Known() {
		return nil
	}
	var missing []string
	names := map[string][]string{}
	for _, p := range upstream(s.listing) {
		read := p.Relation
		_, exists := s.catalog.Find(read)
		if !exists && p.Deferred != nil {
			read = *p.Deferred
			_, exists = s.catalog.Find(read)
			exists = exists || !inDatabase(s.listing, read)
		}
		if exists {
			continue
		}
		missing = append(missing, read.String())
		kind, _, _ := strings.Cut(p.UniqueID, ".")
		names[kind] = append(names[kind], p.Name)
	}
	if len(missing) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Selected models read %s, which the database does not contain. The run will fail. %s",
		some(missing), strings.Join(s.remedies(names), ". "))}
}

// remedies says how to get what is missing. names are the names of the missing nodes by kind.
func (s situation) remedies(names map[string][]string) []string {
	var remedies []string
	if models := names["model"]; len(models) > 0 {
		remedy := "Build " + some(models) + " first"
		if !s.selection.Upstream { // otherwise the run lacks only what exclude names
			remedy += ", or set upstream = true"
		}
		remedies = append(remedies, remedy)
	}
	for _, kind := range []string{"seed", "snapshot"} {
		if of := names[kind]; len(of) > 0 {
			remedies = append(remedies, fmt.Sprintf("Run dbt %s --select %s first", kind,
				strings.Join(of[:min(len(of), shownNames)], " ")))
		}
	}
	if sources := names["source"]; len(sources) > 0 {
		remedies = append(remedies, "Load "+some(sources)+" first")
	}
	return remedies
}
