package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

const (
	// benchRecords is how many records a journal has in the benchmarks, unless benchVariable says otherwise.
	benchRecords  = 2_000
	benchVariable = "REMEDIATION_BENCH_RECORDS"
	// recordsPerIncident is the number of records per incident. The newest historyLimit of them are read, as for a
	// state.
	recordsPerIncident = 100
	historyLimit       = 50
	// batch is how many entries are inserted per transaction.
	batch = 2_000
)

// filled opens a journal with records, each an intent and its outcome, and returns their number.
func filled(b *testing.B) (*Store, int) {
	b.Helper()
	count := benchRecords
	if text := os.Getenv(benchVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := openTest(b, filepath.Join(b.TempDir(), "journal.db"))
	intent, err := journal.Encode(journal.KindIntent, journaltest.Intent())
	if err != nil {
		b.Fatal(err)
	}
	end, err := journal.Encode(journal.KindOutcome, journal.Outcome{Status: journal.StatusSuccess})
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < count; from += batch {
		err := s.update(b.Context(), func(ctx context.Context, tx transaction) error {
			for i := from; i < min(from+batch, count); i++ {
				subject := journaltest.Subject(i % 1000)
				subject.Incident = incident(i % max(1, count/recordsPerIncident))
				first, err := s.insert(ctx, tx, journal.Entry{Kind: journal.KindIntent, Subject: subject, Body: intent})
				if err != nil {
					return err
				}
				last := journal.Entry{Execution: first.Seq, Kind: journal.KindOutcome, Subject: subject, Body: end}
				if _, err := s.insert(ctx, tx, last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s, count
}

func incident(n int) string { return fmt.Sprintf("INC-%d", n) }

// BenchmarkAppend makes executions of four entries. In turn with them, it inserts the same rows into a table next to
// the journal's tables that has the same indexes, with one durable prepared insert per entry. It reports the ratio of
// both times.
func BenchmarkAppend(b *testing.B) {
	s, _ := filled(b)
	raw := rawTable(b, s)
	var appending, inserting time.Duration
	n := 0
	for b.Loop() {
		began := time.Now()
		if err := journaltest.Work(b.Context(), s, journaltest.Subject(n), 1); err != nil {
			b.Fatal(err)
		}
		appended := time.Now()
		entries := newest(b, s)
		insertingSince := time.Now()
		for _, e := range entries {
			if _, err := raw.ExecContext(b.Context(), e.Seq, e.Execution, string(e.Kind), timeText(e.At),
				e.Subject.Playbook, e.Subject.Target,
				e.Subject.Request, e.Subject.Incident, e.Subject.Digest, e.Subject.Identity, string(e.Body), e.Prev,
				e.Hash); err != nil {
				b.Fatal(err)
			}
		}
		inserting += time.Since(insertingSince)
		appending += appended.Sub(began)
		n++
	}
	const entries = 4
	b.ReportMetric(float64(appending.Microseconds())/float64(n*entries), "µs/append")
	b.ReportMetric(float64(inserting.Microseconds())/float64(n*entries), "µs/insert")
	b.ReportMetric(float64(appending)/float64(inserting), "append/insert")
}

// rawTable creates the table and returns its statement, on a separate connection with the journal's settings.
func rawTable(b *testing.B, s *Store) *sql.Stmt {
	b.Helper()
	db, err := connections(s.path, 1, busyTimeout, "mode=rw")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	const table = `CREATE TABLE raw (seq INTEGER PRIMARY KEY, execution INTEGER NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL,
			playbook TEXT NOT NULL, target TEXT NOT NULL, request TEXT NOT NULL, incident TEXT NOT NULL,
			digest TEXT NOT NULL, identity TEXT NOT NULL, body TEXT NOT NULL,
			prev TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
		CREATE INDEX raw1 ON raw (execution, kind);
		CREATE INDEX raw2 ON raw (playbook) WHERE seq = execution;
		CREATE INDEX raw3 ON raw (target) WHERE seq = execution;
		CREATE INDEX raw4 ON raw (request) WHERE seq = execution;
		CREATE INDEX raw5 ON raw (incident) WHERE seq = execution;
		CREATE INDEX raw6 ON raw (at) WHERE seq = execution;
		CREATE INDEX raw7 ON raw (digest) WHERE seq = execution;
		CREATE INDEX raw8 ON raw (identity) WHERE seq = execution;
		INSERT INTO raw SELECT `
	if _, err := db.ExecContext(b.Context(), table+columns+" FROM entries e"); err != nil {
		b.Fatal(err)
	}
	statement, err := db.PrepareContext(b.Context(), "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := statement.Close(); err != nil {
			b.Error(err)
		}
	})
	return statement
}

// newest returns the entries of the newest execution.
func newest(b *testing.B, s *Store) []journal.Entry {
	b.Helper()
	entries, err := list(b.Context(), s.read, "SELECT "+columns+
		" FROM entries e WHERE e.execution = (SELECT execution FROM entries ORDER BY seq DESC LIMIT 1) ORDER BY e.seq")
	if err != nil {
		b.Fatal(err)
	}
	return entries
}

// BenchmarkHistory reads the newest records of one incident, as a resource does, and counts them.
func BenchmarkHistory(b *testing.B) {
	s, count := filled(b)
	filter := journal.Filter{Incident: incident(0), Limit: historyLimit}
	want := min(historyLimit, count)
	for b.Loop() {
		found, err := s.Find(b.Context(), filter)
		if err != nil || len(found) != want {
			b.Fatalf("%d records, %v", len(found), err)
		}
	}
	b.ReportMetric(float64(count), "records")
}

// BenchmarkOpen opens a journal and reads one record, as every run of Terraform does.
func BenchmarkOpen(b *testing.B) {
	s, _ := filled(b)
	for b.Loop() {
		again, err := Open(b.Context(), s.path, s.clock)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := again.Get(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
		if err := again.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeal measures the share of hashing in an append.
func BenchmarkSeal(b *testing.B) {
	body, err := json.Marshal(journaltest.Intent())
	if err != nil {
		b.Fatal(err)
	}
	e := journal.Entry{Seq: 1, Execution: 1, Kind: journal.KindIntent, At: time.Now().UTC(),
		Subject: journaltest.Subject(1), Body: body}
	for b.Loop() {
		if _, err := journal.Seal(e, "prev"); err != nil {
			b.Fatal(err)
		}
	}
}
