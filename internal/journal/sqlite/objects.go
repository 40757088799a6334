package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// object is a table, index, trigger or view in a SQLite file.
type object struct {
	kind, name, table string
	// definition is the SQL without white space, which tools that copy a database may change.
	definition string
}

// String names the object for messages.
func (o object) String() string {
	if o.kind == "trigger" || o.kind == "index" {
		return fmt.Sprintf("%s %q on %s", o.kind, o.name, o.table)
	}
	return fmt.Sprintf("%s %q", o.kind, o.name)
}

// statistics reports whether the object is a table that ANALYZE creates.
func (o object) statistics() bool {
	return o.kind == "table" && (o.name == "sqlite_stat1" || o.name == "sqlite_stat4")
}

// strangers names the objects that the provider did not create in a file with that version of the schema. A trigger or
// a view could change, hide or delay entries, and SQLite runs it whenever the provider appends one.
func strangers(ctx context.Context, q rowsQuerier, version int) (names []string, err error) {
	own, err := created(ctx, version)
	if err != nil {
		return nil, err
	}
	found, err := objects(ctx, q)
	for _, o := range found {
		if !own[o] && !o.statistics() {
			names = append(names, o.String())
		}
	}
	return names, err
}

// created returns the objects of an empty journal with that version of the schema.
func created(ctx context.Context, version int) (own map[object]bool, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each connection has its own memory
	for _, step := range migrations[:version] {
		if _, err := db.ExecContext(ctx, step); err != nil {
			return nil, err
		}
	}
	found, err := objects(ctx, db)
	own = map[object]bool{}
	for _, o := range found {
		own[o] = true
	}
	return own, err
}

func objects(ctx context.Context, q rowsQuerier) (found []object, err error) {
	rows, err := q.QueryContext(ctx, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var o object
		if err := rows.Scan(&o.kind, &o.name, &o.table, &o.definition); err != nil {
			return nil, err
		}
		o.definition = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, o.definition)
		found = append(found, o)
	}
	return found, rows.Err()
}
