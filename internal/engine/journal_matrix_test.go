package engine_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
)

var (
	journals    = flag.Int("journals", 60, "random journals to execute a used approval with")
	journalSeed = flag.Uint64("journals.seed", 7, "what decides the edits of the random journals")
)

// history is what a state and its journal contain after three executions, each under a signature.
type history struct {
	*bench
	requests []engine.Request
	reviewed []*engine.Reviewed
	mark     journal.Mark
	// copies are the journal after each execution, and last of all another journal.
	copies []string
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{bench: guarded(t)}
	dir := t.TempDir()
	keep := func(path string) {
		name := filepath.Join(dir, fmt.Sprintf("%d.db", len(h.copies)))
		execute(t, path, "VACUUM INTO '"+name+"'")
		h.copies = append(h.copies, name)
	}
	use := func(path string) {
		store, err := sqlite.Open(t.Context(), path, h.clock)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		h.store, h.Engine = store, engine.New(h.cfg)
	}
	use(filepath.Join(dir, "journal.db"))
	for _, incident := range []string{"a", "b", "c"} {
		req, was := h.bench.reviewed(t, request(incident))
		if _, err := h.Apply(t.Context(), req, was, func(engine.Execution) {}); err != nil {
			t.Fatal(err)
		}
		h.requests, h.reviewed = append(h.requests, req), append(h.reviewed, was)
		keep(filepath.Join(dir, "journal.db"))
	}
	h.mark = newestEntry(t, h.Engine)
	use(filepath.Join(dir, "other.db"))
	h.plan(t, request("a"))
	keep(filepath.Join(dir, "other.db"))
	return h
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		_, err = db.ExecContext(t.Context(), s) // an edit that the database refuses does not count
	}
	if err != nil && len(statements) == 1 {
		t.Fatalf("%s: %v", statements[0], err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// edits returns random changes of a journal.
func edits(r *rand.Rand) []string {
	const most = 30 // more than there are entries
	columns := []string{"execution", "kind", "at", "playbook", "target", "request", "incident", "body", "prev", "hash",
		"digest", "identity"}
	column, row, other := columns[r.IntN(len(columns))], 1+r.IntN(most), 1+r.IntN(most)
	return [][]string{
		{fmt.Sprintf("UPDATE entries SET %s = '' WHERE seq = %d", column, row)},
		{fmt.Sprintf("UPDATE entries SET %s = (SELECT %[1]s FROM entries WHERE seq = %d) WHERE seq = %d", column, other,
			row)},
		{fmt.Sprintf("UPDATE entries SET body = json_remove(body, '$.approvals') WHERE seq >= %d", row)},
		{"UPDATE entries SET body = json_remove(body, '$.approvals', '$.policy')"},
		{fmt.Sprintf("UPDATE entries SET body = json_set(body, '$.status', 'failed') WHERE seq >= %d", row)},
		{fmt.Sprintf("UPDATE entries SET %s = '' WHERE kind = 'intent'", column)},
		{fmt.Sprintf("DELETE FROM entries WHERE seq = %d", row)},
		{fmt.Sprintf("DELETE FROM entries WHERE seq >= %d", row)},
		{fmt.Sprintf("DELETE FROM entries WHERE seq <= %d", row)},
		{fmt.Sprintf("DELETE FROM entries WHERE execution = (SELECT execution FROM entries WHERE seq = %d)", row)},
		{"DELETE FROM entries WHERE kind IN ('intent', 'dispatch', 'outcome')", "DELETE FROM open_executions"},
		{fmt.Sprintf("DELETE FROM entries WHERE kind = 'outcome' AND seq >= %d", row)},
		{fmt.Sprintf("UPDATE entries SET seq = -1 WHERE seq = %d", row),
			fmt.Sprintf("UPDATE entries SET seq = %d WHERE seq = %d", row, other),
			fmt.Sprintf("UPDATE entries SET seq = %d WHERE seq = -1", other)},
		{fmt.Sprintf("INSERT INTO entries SELECT (SELECT max(seq) + 1 FROM entries), execution, kind, at, playbook, "+
			"target, request, incident, body, prev, hash, digest, identity FROM entries WHERE seq = %d", row)},
		{fmt.Sprintf("INSERT INTO gaps VALUES (%d, %d)", min(row, other), max(row, other)),
			fmt.Sprintf("DELETE FROM entries WHERE seq BETWEEN %d AND %d", min(row, other), max(row, other))},
	}[r.IntN(15)]
}

// chained computes every hash of an edited journal again, as somebody would who can write the file.
func chained(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT seq, execution, kind, at, playbook, target, request, incident, "+
		"body, digest, identity FROM entries ORDER BY seq")
	if err != nil {
		return // no journal any more
	}
	var all []journal.Entry
	for rows.Next() {
		var e journal.Entry
		var at, body string
		if err := rows.Scan(&e.Seq, &e.Execution, &e.Kind, &at, &e.Subject.Playbook, &e.Subject.Target,
			&e.Subject.Request, &e.Subject.Incident, &body, &e.Subject.Digest, &e.Subject.Identity); err != nil {
			continue
		}
		e.At, _ = time.Parse(time.RFC3339Nano, at)
		e.Body = []byte(body)
		all = append(all, e)
	}
	if err := rows.Close(); err != nil || rows.Err() != nil {
		t.Fatal(err, rows.Err())
	}
	prev := ""
	for _, e := range all {
		sealed, err := journal.Seal(e, prev)
		if err != nil {
			continue // its body is not JSON
		}
		if _, err := db.ExecContext(t.Context(), "UPDATE entries SET prev = ?, hash = ? WHERE seq = ?", prev,
			sealed.Hash, e.Seq); err != nil {
			t.Fatal(err)
		}
		prev = sealed.Hash
	}
}

// TestRandomJournalsNeverRunTwice executes requests that were executed before, under the signatures that were used
// then, with a journal that was edited, cut, restored from an older copy, or swapped for another one, and in part
// chained again. Nothing is dispatched. If the journal lacks the newest entry that the state has seen, plan says so.
func TestRandomJournalsNeverRunTwice(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	dispatched, told, lost := h.fake.count("dispatch"), 0, 0
	for n := range *journals {
		r := rand.New(rand.NewPCG(*journalSeed, uint64(n))) //nolint:gosec // a repeatable test
		path := filepath.Join(t.TempDir(), "journal.db")
		data, err := os.ReadFile(h.copies[[]int{0, 1, 2, 2, 2, 2, 3}[r.IntN(7)]])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		steps := []string{"DROP TRIGGER entries_are_never_changed", "DROP TRIGGER entries_are_never_removed"}
		for range r.IntN(4) {
			steps = append(steps, edits(r)...)
		}
		execute(t, path, steps...)
		if r.IntN(3) == 0 {
			chained(t, path)
		}
		said, lacks := h.again(t, path, r.IntN(len(h.requests)))
		if now := h.fake.count("dispatch"); now != dispatched {
			t.Fatalf("journal %d: an execution ran again after\n%s", n, strings.Join(steps[2:], "\n"))
		}
		if lacks {
			lost++
			if strings.Contains(said, "ournal") {
				told++
			} else {
				t.Errorf("journal %d: nothing is said about it, but %q, after\n%s", n, said,
					strings.Join(steps[2:], "\n"))
			}
		}
	}
	t.Logf("random journals: %d with seed %d; %d lacked what the state has seen, and %d of these were told", *journals,
		*journalSeed, lost, told)
}

// again plans and applies a request that was executed. It returns what the plan says, and whether the journal lacks the
// newest entry that the state has seen.
func (h *history) again(t *testing.T, path string, which int) (said string, lacks bool) {
	t.Helper()
	cfg := h.cfg
	var open journal.Store
	cfg.Journal = func(ctx context.Context) (journal.Store, error) {
		store, err := sqlite.Open(ctx, path, h.clock)
		open = store
		return store, err
	}
	e, req := engine.New(cfg), h.requests[which]
	req.Mark = h.mark
	if store, err := sqlite.Open(t.Context(), path, h.clock); err == nil {
		standing, err := journal.Compare(t.Context(), journal.Identified(store), h.mark)
		lacks = err == nil && standing != journal.StandingHolds
		_ = store.Close()
	}
	review, err := e.Plan(t.Context(), req)
	said = strings.Join(review.Warnings, "\n")
	if err != nil {
		said = err.Error()
	}
	_, _ = e.Apply(t.Context(), req, h.reviewed[which], func(engine.Execution) {}) // whatever it says, nothing runs
	if open != nil {
		_ = open.Close()
	}
	return said, lacks
}
