// Package sqlite stores the journal in a SQLite file, for any number of processes on one machine. It uses write-ahead
// logging and syncs the disk at every commit.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// Store implements journal.Store.
type Store struct {
	path        string
	clock       clock.Clock
	write, read *sql.DB
	// prepared contains the statements for appends by their text; see transaction.
	prepared map[string]*sql.Stmt

	// turn is taken by the goroutine that commits. queue has the changes for the next transaction; see update.
	turn  chan struct{}
	queue queue
	// written are the open executions as this process last wrote them.
	written written

	mu sync.Mutex
	// reading contains the statements for reads by their text; see preparedReader.
	reading map[string]*sql.Stmt
}

// The statements for appends.
const (
	newestEntry = "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1"
	insertEntry = `INSERT INTO entries
		(seq, execution, kind, at, playbook, target, request, incident, digest, identity, body, prev, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	newestOfRequest = "SELECT coalesce(max(seq), 0) FROM entries WHERE seq = execution AND request = ?"
	openExecutions  = "SELECT execution FROM open_executions"
	newestOf        = "SELECT max(seq) FROM entries WHERE execution = ?"
	insertOpen      = "INSERT INTO open_executions (target, execution) VALUES (?, ?)"
	deleteOpen      = "DELETE FROM open_executions WHERE execution = ?"
	getBeat         = "SELECT beats, beat_at FROM open_executions WHERE execution = ?"
	setBeat         = "UPDATE open_executions SET beats = ?, beat_at = ? WHERE execution = ?"
)

// Begin implements journal.Store.
func (s *Store) Begin(ctx context.Context, subject journal.Subject, kind journal.Kind,
	intent journal.Intent) (journal.Record, error) {
	return s.begin(ctx, first{subject, kind, intent}, nil)
}

// BeginAfter implements journal.Store.
func (s *Store) BeginAfter(ctx context.Context, subject journal.Subject, intent journal.Intent,
	after int64) (journal.Record, error) {
	return s.begin(ctx, first{subject, journal.KindDryRun, intent}, func(ctx context.Context, tx transaction) error {
		var newest int64
		err := tx.QueryRowContext(ctx, newestOfRequest, subject.Request).Scan(&newest)
		if err == nil && newest > after {
			err = journal.ErrStale
		}
		return err
	})
}

// first contains the parts of a record's first entry.
type first struct {
	subject journal.Subject
	kind    journal.Kind
	intent  journal.Intent
}

// begin appends a first entry, unless check (which may be nil) refuses it in the same transaction.
func (s *Store) begin(ctx context.Context, f first,
	check func(context.Context, transaction) error) (journal.Record, error) {
	subject, kind, intent := f.subject, f.kind, f.intent
	if err := (journal.Record{}).Accepts(kind); err != nil {
		return journal.Record{}, err
	}
	body, err := journal.Encode(kind, intent)
	if err != nil {
		return journal.Record{}, err
	}
	var record journal.Record
	var seq int64
	err = s.update(ctx, func(ctx context.Context, tx transaction) error {
		if check != nil {
			if err := check(ctx, tx); err != nil {
				return err
			}
		}
		if kind == journal.KindIntent && !intent.ReadOnly {
			if err := s.busy(ctx, tx, subject.Target, intent.Locks); err != nil {
				return err
			}
		}
		entry, err := s.insert(ctx, tx, journal.Entry{Kind: kind, Subject: subject, Body: body})
		if err != nil {
			return err
		}
		if kind == journal.KindIntent {
			key := subject.Target
			if intent.ReadOnly {
				key = fmt.Sprintf("execution %d, which only reads %s", entry.Seq, key) // it locks no target
			}
			if _, err := tx.ExecContext(ctx, insertOpen, key, entry.Seq); err != nil {
				return err
			}
		}
		seq = entry.Seq
		record, err = journal.Record{}.With(entry)
		return err
	})
	s.written.keep(record, seq, err)
	s.log(ctx, kind, record, err)
	return record, s.explain(ctx, err)
}

// busy returns a *journal.BusyError if an open execution excludes one of target with these locks.
func (s *Store) busy(ctx context.Context, tx transaction, target string, locks []string) error {
	open, err := s.openRecords(ctx, tx)
	if err != nil {
		return err
	}
	for _, record := range open {
		if record.Excludes(target, locks) {
			return &journal.BusyError{Record: record}
		}
	}
	return nil
}

// Append implements journal.Store.
func (s *Store) Append(ctx context.Context, lease journal.Lease, kind journal.Kind, body any) (journal.Record, error) {
	text, err := journal.Encode(kind, body)
	if err != nil {
		return journal.Record{}, err
	}
	var record journal.Record
	var seq int64
	err = s.update(ctx, func(ctx context.Context, tx transaction) error {
		before, err := s.held(ctx, tx, lease, kind)
		if err != nil {
			return err
		}
		entry, err := s.insert(ctx, tx, journal.Entry{Execution: lease.Execution, Kind: kind, Subject: before.Subject,
			Body: text})
		if err != nil {
			return err
		}
		switch kind {
		case journal.KindOutcome:
			_, err = tx.ExecContext(ctx, deleteOpen, lease.Execution)
		case journal.KindTakeover:
			_, err = tx.ExecContext(ctx, setBeat, 0, "", lease.Execution)
		}
		if err != nil {
			return err
		}
		seq = entry.Seq
		record, err = before.With(entry)
		return err
	})
	s.written.keep(record, seq, err)
	s.log(ctx, kind, record, err)
	return record, s.explain(ctx, err)
}

// log logs that an entry was appended, or why it was not.
func (s *Store) log(ctx context.Context, kind journal.Kind, record journal.Record, err error) {
	if err != nil {
		logging.Debug(ctx, logging.Journal, "entry refused", "kind", string(kind), "error", err.Error())
		return
	}
	logging.Debug(ctx, logging.Journal, "entry appended", "kind", string(kind), "record", record.ID)
}

// held returns the record that an entry of the kind is to be added to. It fails if the caller may not add it.
func (s *Store) held(ctx context.Context, tx transaction, lease journal.Lease,
	kind journal.Kind) (journal.Record, error) {
	record, err := s.current(ctx, tx, lease.Execution)
	switch {
	case err != nil:
		return journal.Record{}, err
	case record.DryRun:
		return journal.Record{}, journal.ErrNotFound
	}
	return record, record.Admits(lease, kind)
}

// Beat implements journal.Store.
func (s *Store) Beat(ctx context.Context, lease journal.Lease) error {
	err := s.update(ctx, func(ctx context.Context, tx transaction) error {
		// A heartbeat has the same condition as a takeover: the execution is open and the token is the present one.
		if _, err := s.held(ctx, tx, lease, journal.KindTakeover); err != nil {
			return err
		}
		pulse, err := pulse(ctx, tx, lease.Execution)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, setBeat, pulse.Beats+1, timeText(s.clock.Now()), lease.Execution)
		return err
	})
	return s.explain(ctx, err)
}

// Pulse implements journal.Store.
func (s *Store) Pulse(ctx context.Context, execution int64) (journal.Pulse, error) {
	found, err := pulse(ctx, s.reader(), execution)
	return found, s.explain(ctx, err)
}

func pulse(ctx context.Context, q querier, execution int64) (journal.Pulse, error) {
	var found journal.Pulse
	var at string
	err := q.QueryRowContext(ctx, getBeat, execution).Scan(&found.Beats, &at)
	if errors.Is(err, sql.ErrNoRows) || err == nil && at == "" {
		return journal.Pulse{}, nil
	}
	if err == nil {
		found.At, err = time.Parse(timeFormat, at)
	}
	return found, err
}

// insert chains e to the newest entry and adds it. A first entry, which has no execution yet, gets its own sequence
// number as the execution's number.
func (s *Store) insert(ctx context.Context, tx transaction, e journal.Entry) (journal.Entry, error) {
	var prev string
	err := tx.QueryRowContext(ctx, newestEntry).Scan(&e.Seq, &prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return journal.Entry{}, err
	}
	e.Seq++
	if e.Execution == 0 && e.Kind != journal.KindCompaction {
		e.Execution = e.Seq
	}
	// Remove the monotonic reading, so the returned time equals the one that will be read.
	e.At = s.clock.Now().UTC().Round(0)
	if e, err = journal.Seal(e, prev); err != nil {
		return journal.Entry{}, err
	}
	_, err = tx.ExecContext(ctx, insertEntry, e.Seq, e.Execution, string(e.Kind), timeText(e.At), e.Subject.Playbook,
		e.Subject.Target, e.Subject.Request, e.Subject.Incident, e.Subject.Digest, e.Subject.Identity,
		string(e.Body), e.Prev, e.Hash)
	return e, err
}

// timeFormat is RFC 3339 in UTC with all nine digits. As text, it sorts in order of time. It keeps every digit of the
// time that Seal hashes.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeFormat) }
