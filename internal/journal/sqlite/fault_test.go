package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// explained fails the test unless err is a problem with the sentinel and a message.
func explained(t *testing.T, err, want error, says string) {
	t.Helper()
	var p *problem.Problem
	if !errors.Is(err, want) || !errors.As(err, &p) || p.Next == "" || !strings.Contains(p.Error(), says) {
		t.Errorf("got %v", err)
	}
}

// TestFaultsWhileOpen makes the disk full and the file read-only during use, as SQLite reports them.
func TestFaultsWhileOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ broken, mended, says string }{
		"full":      {"PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "Free some space"},
		"read-only": {"PRAGMA query_only = 1", "PRAGMA query_only = 0", "writable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
			r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
			if err != nil {
				t.Fatal(err)
			}
			before := journaltest.Verify(t, s)
			pragma(t, s, c.broken)
			long := journal.Outcome{Status: journal.StatusFailed,
				Result: journal.Result{Message: strings.Repeat("x", 100_000)}}
			_, err = s.Append(t.Context(), r.Lease(), journal.KindOutcome, long)
			explained(t, err, journal.ErrUnavailable, c.says)
			if diff := cmp.Diff(before, journaltest.Verify(t, s)); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
			pragma(t, s, c.mended)
			if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome, long); err != nil {
				t.Error(err)
			}
			journaltest.Verify(t, s)
		})
	}
}

func pragma(t *testing.T, s *Store, statement string) {
	t.Helper()
	if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestLocked covers another process that keeps the write lock.
func TestLocked(t *testing.T) {
	t.Parallel()
	const patience = 50 * time.Millisecond
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	hasty, err := open(t.Context(), path, clock.System{}, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := hasty.Close(); err != nil {
			t.Error(err)
		}
	}()
	patient := openTest(t, path)
	other := openTest(t, path)
	lock, err := other.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = hasty.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
	explained(t, err, journal.ErrUnavailable, "Another process keeps the journal locked")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	_, err = patient.Begin(ctx, journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
	if waited := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || waited > busyTimeout/2 {
		t.Errorf("after %v: %v", waited, err)
	}
	// Reads continue, and a journal can be opened.
	before := journaltest.Verify(t, openTest(t, path))
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := patient.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun,
		journaltest.Intent()); err != nil {
		t.Error(err)
	}
	if after := journaltest.Verify(t, patient); len(after) != len(before)+1 {
		t.Errorf("%d entries after %d", len(after), len(before))
	}
}

// TestDamagedInside overwrites pages that are not read on opening a journal.
func TestDamagedInside(t *testing.T) {
	t.Parallel()
	const pageSize = 4096
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * pageSize; i < len(content); i++ {
		content[i] = 0xa5
	}
	write(t, path, content)
	s, err := Open(t.Context(), path, clock.System{})
	if err != nil {
		explained(t, err, journal.ErrDamaged, "recover")
	} else {
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		_, begun := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
		_, appended := s.Append(t.Context(), journal.Lease{Execution: 1, Token: 1}, journal.KindProgress, 1)
		_, found := s.Find(t.Context(), journal.Filter{})
		for _, err := range []error{begun, appended, found, s.Entries(t.Context(), 0,
			func(journal.Entry) error { return nil })} {
			explained(t, err, journal.ErrDamaged, "recover")
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(content) {
		t.Errorf("the damaged file was changed (%v)", err)
	}
}

// TestDamagedEntries covers rows that no version of the provider has written.
func TestDamagedEntries(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"kind":   "UPDATE entries SET kind = 'outcome' WHERE seq = 1",
		"time":   "UPDATE entries SET at = 'yesterday' WHERE seq = 1",
		"body":   "UPDATE entries SET body = '[' WHERE seq = 1",
		"holder": "INSERT INTO open_executions (target, execution) VALUES ('dbt:shop/9', 7777)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			journalAt(t, path)
			if err := raw(t.Context(), path, "DROP TRIGGER entries_are_never_changed", statement); err != nil {
				t.Fatal(err)
			}
			s := openTest(t, path)
			_, err := s.Get(t.Context(), 1)
			if name == "holder" {
				_, err = s.Begin(t.Context(), journaltest.Subject(9), journal.KindIntent, journaltest.Intent())
			}
			explained(t, err, journal.ErrDamaged, "recover")
		})
	}
}

// TestNeverChanged proves that plain SQL can't change or remove an entry by mistake, and that the chain reveals a
// deliberate change.
func TestNeverChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	statements := []string{"UPDATE entries SET body = '{}' WHERE seq = 3", "DELETE FROM entries WHERE seq = 3",
		"INSERT OR REPLACE INTO entries SELECT 3, execution, kind, at, playbook, target, request, incident, body, " +
			"prev, hash, digest, identity FROM entries WHERE seq = 2"}
	for _, statement := range statements[:2] {
		if err := raw(t.Context(), path, statement); err == nil || !strings.Contains(err.Error(), "never") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	for _, statement := range statements {
		damaged := filepath.Join(t.TempDir(), "journal.db")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, damaged, content)
		err = raw(t.Context(), damaged, "DROP TRIGGER entries_are_never_changed",
			"DROP TRIGGER entries_are_never_removed", statement)
		if err != nil {
			t.Fatal(err)
		}
		prev := ""
		broken := errors.New("broken")
		err = openTest(t, damaged).Entries(t.Context(), 0, func(e journal.Entry) error {
			sealed, err := journal.Seal(e, prev)
			if err != nil || sealed.Hash != e.Hash {
				return errors.Join(err, broken)
			}
			prev = e.Hash
			return nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: the chain holds (%v)", statement, err)
		}
	}
}

// TestMigrate migrates a journal with entries. Either all steps apply or none.
func TestMigrate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	s := openTest(t, path)
	before := journaltest.Verify(t, s)
	known := len(migrations)
	const good = "ALTER TABLE open_executions ADD COLUMN token INTEGER"
	if err := s.migrate(t.Context(), append(migrations[:known:known], good,
		"ALTER TABLE nowhere ADD COLUMN x")); err == nil {
		t.Fatal("migrated by a broken step")
	}
	if v := version(t, s); v != known {
		t.Errorf("version %d", v)
	}
	for range 2 { // the second time there is nothing to do
		if err := s.migrate(t.Context(), append(migrations[:known:known], good)); err != nil {
			t.Fatal(err)
		}
	}
	if v := version(t, s); v != known+1 {
		t.Errorf("version %d", v)
	}
	if diff := cmp.Diff(before, journaltest.Verify(t, s)); diff != "" {
		t.Errorf("entries changed:\n%s", diff)
	}
	_, err := Open(t.Context(), path, clock.System{})
	explained(t, err, journal.ErrNewer, fmt.Sprintf("supports versions up to %d", known))
}

// TestFirstVersion opens a journal that the first version of the provider wrote, with an open execution.
func TestFirstVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	s, err := Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	before := journaltest.Verify(t, s)
	left, err := s.Begin(t.Context(), journaltest.Subject(9), journal.KindIntent, journaltest.Intent())
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	err = raw(t.Context(), path, "DROP INDEX first_by_digest", "DROP INDEX first_by_identity",
		"ALTER TABLE entries DROP COLUMN digest", "ALTER TABLE entries DROP COLUMN identity",
		"ALTER TABLE open_executions DROP COLUMN beats",
		"ALTER TABLE open_executions DROP COLUMN beat_at",
		"DROP TRIGGER entries_are_never_removed", "DROP TABLE gaps", `CREATE TRIGGER entries_are_never_removed BEFORE DELETE ON entries
			BEGIN SELECT RAISE(ABORT, 'journal entries are never removed'); END`,
		"PRAGMA user_version = 1")
	if err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path)
	if err := s.Beat(t.Context(), left.Lease()); err != nil {
		t.Error(err)
	}
	if p, err := s.Pulse(t.Context(), left.ID); err != nil || p.Beats != 1 {
		t.Errorf("pulse %+v, %v", p, err)
	}
	if diff := cmp.Diff(before, journaltest.Verify(t, s)[:len(before)]); diff != "" {
		t.Errorf("entries changed:\n%s", diff)
	}
}

func version(t *testing.T, s *Store) int {
	t.Helper()
	f, err := find(t.Context(), s.read)
	if err != nil {
		t.Fatal(err)
	}
	return f.version
}

// TestPlans proves that no filter scans the whole table. Each filter uses its index, and reading the newest needs no
// sorting.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	now := time.Now()
	for want, f := range map[string]journal.Filter{
		"first_by_incident":          {Incident: "i", Limit: 50},
		"first_by_target":            {Target: "t", Limit: 50},
		"first_by_request":           {Request: "r", All: true, Limit: 1},
		"first_by_playbook":          {Playbook: "p", Limit: 50},
		"first_by_time (at>?":        {Since: now},
		"first_by_time (at<?":        {Until: now},
		"first_by_time (at>? AND at": {Since: now, Until: now},
		"USING INTEGER PRIMARY KEY":  {Open: true},
	} {
		where, args := conditions(f)
		query := "SELECT seq FROM entries WHERE " + where
		if f.Limit > 0 {
			query += " ORDER BY seq DESC LIMIT 50"
		}
		got := plan(t, s, query, args...)
		if !strings.Contains(got, want) || strings.Contains(got, "SCAN entries") ||
			strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%+v: %s", f, got)
		}
	}
	where, args := conditions(journal.Filter{})
	if got := plan(t, s, "SELECT count(*) FROM entries WHERE "+where, args...); !strings.Contains(got,
		"COVERING INDEX") {
		t.Errorf("counting: %s", got)
	}
	got := plan(t, s, essential(oneRecord), 1)
	if strings.Contains(got, "SCAN e") || strings.Contains(got, "SCAN p") ||
		!strings.Contains(got, "entries_of_execution (execution=? AND kind=?)") {
		t.Errorf("one record: %s", got)
	}
}

func plan(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	var all []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		all = append(all, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "; ")
}
