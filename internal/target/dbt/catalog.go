package dbt

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// Catalog describes which of the relations that a Listing builds and reads exist in the warehouse.
type Catalog struct {
	// State says whether the warehouse was read.
	State CatalogState `json:"state"`
	// Why is a phrase that says why the warehouse was not read, or why a run can't create the missing file.
	Why string `json:"why,omitempty"`
	// At is when the warehouse was read.
	At time.Time `json:"-"`
	// Relations are the relations that exist.
	Relations []Existing `json:"relations"`
}

// CatalogState says whether a warehouse was read.
type CatalogState string

// States of a Catalog.
const (
	CatalogRead CatalogState = "read"
	// CatalogMissing: the database file does not exist yet, so it contains nothing.
	CatalogMissing CatalogState = "missing"
	// CatalogLocked: another process has the database file open for writing.
	CatalogLocked CatalogState = "locked"
	// CatalogUnreadable: reading failed.
	CatalogUnreadable CatalogState = "unreadable"
	// CatalogNotRead: this package can't or must not read this warehouse.
	CatalogNotRead CatalogState = "not read"
)

// Existing is a relation in the warehouse.
type Existing struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Type is "table", "view", or "materialized_view".
	Type string `json:"type"`
	// Rows is the number of rows of a table according to the catalog, often an estimate; nil if the catalog doesn't
	// say.
	Rows *int64 `json:"rows,omitempty"`
	// Columns are the names of the columns, at most 500.
	Columns []string `json:"columns,omitempty"`
	// Dependents are the views that the database drops if it drops this relation, as [schema, name].
	Dependents [][2]string `json:"dependents,omitempty"`
	// LockedBy describes the sessions that hold a lock for which a run would wait, such as "session 4711 of etl (psql),
	// since 14:02 UTC".
	LockedBy []string `json:"locked_by,omitempty"`
}

// Known reports whether the absence of a relation in the catalog means that it does not exist.
func (c Catalog) Known() bool { return c.State == CatalogRead || c.State == CatalogMissing }

// Find returns the existing relation of that name. Names are compared as DuckDB does: case is ignored.
func (c Catalog) Find(r Relation) (Existing, bool) {
	for _, e := range c.Relations {
		if strings.EqualFold(e.Schema, r.Schema) && strings.EqualFold(e.Name, r.Identifier) {
			return e, true
		}
	}
	return Existing{}, false
}

// warehouseProfile selects a connection from the project's profile.
type warehouseProfile struct {
	Target string         `json:"target,omitempty"`
	Vars   map[string]any `json:"vars,omitempty"`
}

// Catalog looks up the relations that l, the listing of s, builds and reads. A DuckDB file is opened for reading and
// closed again; it is neither created nor locked. PostgreSQL is read in a read-only transaction. An answer can be 5 s
// old, unless this process has started or ended a run since.
func (c *CLI) Catalog(ctx context.Context, s Selection, l Listing) (Catalog, error) {
	q := question{Op: "catalog", Relations: l.relations(), Generation: c.runs.Load()}
	switch adapter := l.Connection["adapter"]; {
	case filepath.IsAbs(l.Path):
		q.Path = l.Path
	case !l.Interface:
		return c.notRead("dbt is started by a script"), nil
	case l.Path == ":memory:":
		return c.notRead("it is in memory, so it is empty now, and what a run builds is gone afterwards"), nil
	case adapter != "postgres":
		return c.notRead("the provider can't read a catalog of " + adapter), nil
	default:
		why, err := c.mayConnect(l.Connection["host"])
		if err != nil || why != "" {
			return c.notRead(why), err
		}
		q.Profile = &warehouseProfile{Target: c.cfg.Target, Vars: s.Vars}
	}
	var catalog Catalog
	began := c.clk.Now()
	err := c.helper.ask(ctx, func(string) (question, error) { return q, nil }, &catalog)
	if err != nil {
		return Catalog{}, c.reviewProblem(err)
	}
	logging.Debug(ctx, logging.DBT, "catalog read", "state", string(catalog.State),
		"ms", c.clk.Now().Sub(began).Milliseconds())
	catalog.Why, catalog.At = c.secrets.String(catalog.Why), c.clk.Now()
	for i := range catalog.Relations {
		catalog.Relations[i].LockedBy = c.maskList(catalog.Relations[i].LockedBy)
	}
	return catalog, nil
}

func (c *CLI) notRead(why string) Catalog {
	return Catalog{State: CatalogNotRead, Why: why, At: c.clk.Now()}
}

// mayConnect says why a plan must not connect to host with the profile; empty if it may. A plan can run on a stranger's
// pull request, whose profile could send the runner's credentials to any host.
func (c *CLI) mayConnect(host string) (why string, err error) {
	p, err := c.project()
	if err != nil {
		return "", err
	}
	dir, err := c.profilesDir(p)
	if err != nil {
		return "", err
	}
	if c.cfg.MayConnect != nil {
		return c.cfg.MayConnect(dir, host), nil
	}
	if within(p.Dir, dir) {
		return "profiles.yml is in the project, so a plan does not connect to " + host, nil
	}
	return "", nil
}

// within reports whether path is the folder dir or below it.
func within(dir, path string) bool {
	inside, err := filepath.Rel(dir, path)
	return err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator))
}

// relations returns the relations that the models build and read, as [schema, name].
func (l Listing) relations() [][2]string {
	var all [][2]string
	for _, m := range l.Models {
		all = append(all, [2]string{m.Relation.Schema, m.Relation.Identifier})
		for _, p := range m.Parents {
			if !p.Virtual && p.Relation.Identifier != "" {
				all = append(all, [2]string{p.Relation.Schema, p.Relation.Identifier})
			}
			if p.Deferred != nil {
				all = append(all, [2]string{p.Deferred.Schema, p.Deferred.Identifier})
			}
		}
	}
	slices.SortFunc(all, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}
