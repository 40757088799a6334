package engine_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
)

// tampered runs SQL on the bench's journal, without its triggers, and returns the engine of a new process.
func (b *bench) tampered(t *testing.T, path string, statements ...string) *engine.Engine {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]string{"DROP TRIGGER entries_are_never_changed",
		"DROP TRIGGER entries_are_never_removed"}, statements...) {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return engine.New(b.cfg)
}

// TestAttackOnTheJournal: editing the journal never lets a used signature run again, and nothing runs with a journal
// that a newer version has written.
func TestAttackOnTheJournal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		statement string
		want      error
	}{
		"the approvals removed": {"UPDATE entries SET body = json_remove(body, '$.approvals') WHERE kind = 'intent'",
			journal.ErrDamaged},
		"another digest": {"UPDATE entries SET digest = '' WHERE kind = 'intent'", journal.ErrDamaged},
		"the execution removed": {"DELETE FROM entries WHERE execution IN (SELECT seq FROM entries WHERE kind = " +
			"'intent')",
			engine.ErrJournal},
		"a newer kind": {`INSERT INTO entries SELECT seq + 1, seq + 1, 'prophecy', at, playbook, target, request, incident,
			body, hash, 'x', digest, identity FROM entries ORDER BY seq DESC LIMIT 1`, journal.ErrNewer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := guarded(t)
			path := filepath.Join(t.TempDir(), "journal.db")
			store, err := sqlite.Open(t.Context(), path, b.clock)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			b.store = store
			req, was := b.reviewed(t, request("a"))
			if _, err := b.Apply(t.Context(), req, was, func(engine.Execution) {}); err != nil {
				t.Fatal(err)
			}
			req.Mark = newestEntry(t, b.Engine)
			later := b.tampered(t, path, tt.statement)
			review, err := later.Plan(t.Context(), req)
			if err != nil || len(review.Warnings) == 0 ||
				!strings.Contains(strings.Join(review.Warnings, "\n"), "ournal") {
				t.Errorf("the plan warns %q, %v", review.Warnings, err)
			}
			b.Engine = later
			before := b.fake.count("dispatch")
			x, err := later.Apply(t.Context(), req, was, func(engine.Execution) {})
			if err == nil || x.Record.ID != 0 || b.fake.count("dispatch") != before {
				t.Errorf("execution %d, %v", x.Record.ID, err)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
