package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// TestObjectsOfOthersAreRefused plants objects in a journal. A trigger that never ends would hold the next append, and
// every process that waits for it.
func TestObjectsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	for name, test := range map[string]struct{ statement, want string }{
		"an endless trigger": {"CREATE TRIGGER endless AFTER INSERT ON entries BEGIN " + endless + "; END",
			`trigger "endless" on entries`},
		"a trigger that removes leases": {"CREATE TRIGGER released AFTER INSERT ON open_executions BEGIN " +
			"DELETE FROM open_executions; END", `trigger "released" on open_executions`},
		"one of our triggers with other text": {"CREATE TRIGGER entries_are_never_changed AFTER INSERT ON entries " +
			"BEGIN " + endless + "; END", `trigger "entries_are_never_changed" on entries`},
		"a view":   {"CREATE VIEW approved AS SELECT * FROM entries", `view "approved"`},
		"an index": {"CREATE INDEX slow ON entries (length(body))", `index "slow" on entries`},
		"a table":  {"CREATE TABLE notes (text TEXT)", `table "notes"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			journalAt(t, path)
			tamper(t, path, test.statement)
			_, err := Open(t.Context(), path, clock.System{})
			explained(t, err, journal.ErrDamaged, "objects that the provider did not create")
			explained(t, err, journal.ErrDamaged, test.want)
			explained(t, Check(t.Context(), path), journal.ErrDamaged, test.want)
		})
	}
}

// TestStatisticsAreNoForeignObjects opens a journal that somebody has analyzed.
func TestStatisticsAreNoForeignObjects(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	journalAt(t, path)
	if err := raw(t.Context(), path, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	openTest(t, path)
}
