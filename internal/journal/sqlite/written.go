package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// written caches the open executions as this process last wrote them, with the number of their newest entry. An
// execution is read several times while it is open, for its own entries and when another one begins, and decoding its
// entries takes longer than writing one. A record is used only if the journal has no newer entry of the execution, so
// what other processes append is always read. Its zero value is empty, and it is safe for use by several goroutines.
type written struct {
	mu      sync.Mutex
	records map[int64]writtenRecord
}

type writtenRecord struct {
	journal.Record
	newest int64
}

// keep caches a record whose newest entry was just committed, or removes the record if it is no longer open.
func (w *written) keep(record journal.Record, newest int64, err error) {
	if err != nil || record.ID == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !record.Open() {
		delete(w.records, record.ID)
		return
	}
	if w.records == nil {
		w.records = map[int64]writtenRecord{}
	}
	if w.records[record.ID].newest < newest {
		w.records[record.ID] = writtenRecord{Record: record, newest: newest}
	}
}

func (w *written) find(id, newest int64) (journal.Record, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.records[id]
	return found.Record, ok && found.newest == newest
}

// reading reads the journal, within a transaction or outside of one.
type reading interface {
	querier
	rowsQuerier
}

// current returns a record, from the cache if the journal has no newer entry.
func (s *Store) current(ctx context.Context, q reading, id int64) (journal.Record, error) {
	var newest sql.NullInt64
	if err := q.QueryRowContext(ctx, newestOf, id).Scan(&newest); err != nil {
		return journal.Record{}, err
	}
	if record, ok := s.written.find(id, newest.Int64); ok {
		return record, nil
	}
	return one(ctx, q, id)
}

// openRecords returns the open executions, oldest first.
func (s *Store) openRecords(ctx context.Context, q reading) ([]journal.Record, error) {
	ids, err := identifiers(ctx, q, openExecutions)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	var open []journal.Record
	for _, id := range ids {
		record, err := s.current(ctx, q, id)
		switch {
		case errors.Is(err, journal.ErrNotFound):
			return nil, fmt.Errorf("%w: execution %d is open and has no entries", journal.ErrDamaged, id)
		case err != nil:
			return nil, err
		case record.Open(): // outside of a transaction, it may have ended since
			open = append(open, record)
		}
	}
	return open, nil
}
