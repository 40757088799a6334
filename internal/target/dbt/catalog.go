package dbt

import (
	"context"
	"path/filepath"
	"strings"
)

// Catalog is what the warehouse contains of the relations that a Listing builds and reads.
type Catalog struct {
	// State is "read", "missing" (the database file does not exist yet), "locked" (another process has it open),
	// "unreadable", or "not read" (this package can't read this kind of warehouse).
	State string `json:"state"`
	// Why is the reason why it was not read.
	Why string `json:"why,omitempty"`
	// Relations are those that exist.
	Relations []Standing `json:"relations"`
}

// Standing is a relation that exists.
type Standing struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Type is "table" or "view".
	Type string `json:"type"`
	// Rows is the number of rows of a table according to the catalog; nil if the catalog doesn't say.
	Rows *int64 `json:"rows,omitempty"`
	// Columns are the names of the columns, at most 500.
	Columns []string `json:"columns,omitempty"`
}

// States of a Catalog.
const (
	CatalogRead    = "read"
	CatalogMissing = "missing"
	CatalogLocked  = "locked"
	CatalogNotRead = "not read"
)

// Find returns the existing relation of that name. Names are compared as DuckDB does: case is ignored.
func (c Catalog) Find(r Relation) (Standing, bool) {
	for _, s := range c.Relations {
		if strings.EqualFold(s.Schema, r.Schema) && strings.EqualFold(s.Name, r.Identifier) {
			return s, true
		}
	}
	return Standing{}, false
}

// Catalog looks up in the warehouse what l builds and reads. A DuckDB file is opened for reading and closed again; it
// is neither created nor locked.
func (c *CLI) Catalog(ctx context.Context, l Listing) (Catalog, error) {
	if !filepath.IsAbs(l.Path) {
		return Catalog{State: CatalogNotRead}, nil
	}
	var wanted [][2]string
	for _, m := range l.Models {
		wanted = append(wanted, [2]string{m.Relation.Schema, m.Relation.Identifier})
		for _, p := range m.Parents {
			if !p.Virtual && p.Relation.Identifier != "" {
				wanted = append(wanted, [2]string{p.Relation.Schema, p.Relation.Identifier})
			}
		}
	}
	var catalog Catalog
	err := c.helper.ask(ctx, func(string) (question, error) {
		return question{Op: "catalog", Path: l.Path, Relations: wanted}, nil
	}, &catalog)
	if err != nil {
		return Catalog{}, c.reviewProblem(err)
	}
	catalog.Why = c.secrets.String(catalog.Why)
	return catalog, nil
}
