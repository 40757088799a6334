package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

const (
	columns = "e.seq, e.execution, e.kind, e.at, e.playbook, e.target, e.request, e.incident, e.digest, e.identity, " +
		"e.body, e.prev, e.hash"
	// oneRecord selects a record by its identifier.
	oneRecord = "SELECT seq FROM entries WHERE seq = execution AND seq = ?"
	// page is how many entries are read at a time. No statement is open between pages, so a visitor may take any time.
	page = 100
)

// Get implements journal.Store.
func (s *Store) Get(ctx context.Context, id int64) (journal.Record, error) {
	record, err := one(ctx, s.reader(), id)
	return record, s.explain(ctx, err)
}

func one(ctx context.Context, q rowsQuerier, id int64) (journal.Record, error) {
	found, err := records(ctx, q, oneRecord, id)
	if err != nil {
		return journal.Record{}, err
	}
	if len(found) == 0 {
		return journal.Record{}, journal.ErrNotFound
	}
	return found[0], nil
}

// Find implements journal.Store.
func (s *Store) Find(ctx context.Context, filter journal.Filter) ([]journal.Record, error) {
	if filter == (journal.Filter{Open: true}) {
		open, err := s.openRecords(ctx, s.reader())
		return open, s.explain(ctx, err)
	}
	where, args := conditions(filter)
	query := "SELECT seq FROM entries WHERE " + where
	if filter.Limit > 0 {
		// SQLite compiles a statement again whenever a parameter in its LIMIT gets a value, so the limit is part of the
		// text. There are few different limits.
		query += " ORDER BY seq DESC LIMIT " + strconv.Itoa(filter.Limit)
	}
	// Most searches find nothing, which takes a fraction of the time without the query for entries.
	ids, err := identifiers(ctx, s.reader(), query, args...)
	if err != nil || len(ids) == 0 {
		return nil, s.explain(ctx, err)
	}
	found, err := records(ctx, s.reader(), query, args...)
	return found, s.explain(ctx, err)
}

// identifiers returns the identifiers that a query selects.
func identifiers(ctx context.Context, q rowsQuerier, query string, args ...any) (ids []int64, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Count implements journal.Store.
func (s *Store) Count(ctx context.Context, filter journal.Filter) (int, error) {
	where, args := conditions(filter)
	var count int
	err := s.reader().QueryRowContext(ctx, "SELECT count(*) FROM entries WHERE "+where, args...).Scan(&count)
	return count, s.explain(ctx, err)
}

// conditions returns the filter as SQL on first entries. The indexes contain the expression "seq = execution" in
// exactly this form.
func conditions(f journal.Filter) (where string, args []any) {
	terms := []string{"seq = execution"}
	add := func(term, value string) {
		if value != "" {
			terms, args = append(terms, term), append(args, value)
		}
	}
	add("playbook = ?", f.Playbook)
	add("target = ?", f.Target)
	add("request = ?", f.Request)
	add("incident = ?", f.Incident)
	add("digest = ?", f.Digest)
	add("identity = ?", f.Identity)
	if !f.Since.IsZero() {
		add("at >= ?", timeText(f.Since))
	}
	if !f.Until.IsZero() {
		add("at < ?", timeText(f.Until))
	}
	if f.Before > 0 {
		terms, args = append(terms, "seq < ?"), append(args, f.Before)
	}
	switch {
	case f.All:
	case f.DryRuns:
		add("kind = ?", string(journal.KindDryRun))
	default:
		add("kind = ?", string(journal.KindIntent))
	}
	if f.Open {
		terms = append(terms, "seq IN (SELECT execution FROM open_executions)")
	}
	return strings.Join(terms, " AND "), args
}

// preparedReader reads with cached prepared statements, because preparing a statement takes longer than running it.
// There are few texts, one per shape of a filter and limit. The context doesn't interrupt a statement that has begun:
// watching it takes two goroutines per statement, and longer than most statements.
type preparedReader struct{ store *Store }

func (s *Store) reader() preparedReader { return preparedReader{s} }

// statement returns the prepared statement for a text.
func (r preparedReader) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if statement, ok := s.reading[query]; ok {
		return statement, nil
	}
	statement, err := s.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if s.reading == nil {
		s.reading = map[string]*sql.Stmt{}
	}
	s.reading[query] = statement
	return statement, nil
}

// QueryContext implements rowsQuerier.
func (r preparedReader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, err := r.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return statement.QueryContext(context.WithoutCancel(ctx), args...)
}

// QueryRowContext implements querier.
func (r preparedReader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	statement, err := r.statement(ctx, query)
	if err != nil {
		return r.store.read.QueryRowContext(ctx, query, args...) // which fails in the same way
	}
	return statement.QueryRowContext(context.WithoutCancel(ctx), args...)
}

type rowsQuerier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// records returns the records whose identifiers the query ids selects, oldest first.
func records(ctx context.Context, q rowsQuerier, ids string, args ...any) ([]journal.Record, error) {
	entries, err := list(ctx, q, essential(ids), args...)
	if err != nil {
		return nil, err
	}
	var found []journal.Record
	places := map[int64]int{} // of executions in found
	for _, e := range entries {
		place, ok := places[e.Execution]
		if !ok {
			place = len(found)
			places[e.Execution], found = place, append(found, journal.Record{})
		}
		if found[place], err = found[place].With(e); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// essential returns the query for the entries, oldest first, that make up the records whose identifiers the query ids
// selects. It leaves out all progress but the newest, because there may be any number of progress entries. A single
// statement reads a consistent state of the journal.
func essential(ids string) string {
	return "WITH ids (id) AS MATERIALIZED (" + ids + `)
		SELECT ` + columns + ` FROM entries e WHERE e.seq IN (
			SELECT p.seq FROM ids CROSS JOIN entries p ON p.execution = ids.id
				WHERE p.kind <> 'progress'
			UNION ALL
			SELECT (SELECT max(p.seq) FROM entries p WHERE p.execution = ids.id AND p.kind = 'progress') FROM ids)
		ORDER BY e.seq`
}

// Entries implements journal.Store.
func (s *Store) Entries(ctx context.Context, from int64, visit func(journal.Entry) error) error {
	for {
		query := "SELECT " + columns + " FROM entries e WHERE e.seq >= ? ORDER BY e.seq LIMIT " + strconv.Itoa(page)
		entries, err := list(ctx, s.reader(), query, from)
		if err != nil {
			return s.explain(ctx, err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return s.explain(ctx, err)
			}
			if err := visit(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(entries) < page {
			return nil
		}
	}
}

func list(ctx context.Context, q rowsQuerier, query string, args ...any) (entries []journal.Entry, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

func scan(rows *sql.Rows) (journal.Entry, error) {
	var e journal.Entry
	var at string
	err := rows.Scan(&e.Seq, &e.Execution, &e.Kind, &at, &e.Subject.Playbook, &e.Subject.Target, &e.Subject.Request,
		&e.Subject.Incident, &e.Subject.Digest, &e.Subject.Identity, (*[]byte)(&e.Body), &e.Prev, &e.Hash)
	if err != nil {
		return journal.Entry{}, err
	}
	if e.At, err = time.Parse(timeFormat, at); err != nil {
		return journal.Entry{}, fmt.Errorf("%w: entry %d: %w", journal.ErrDamaged, e.Seq, err)
	}
	return e, nil
}
