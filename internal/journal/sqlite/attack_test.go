package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// attackable makes a journal with some executions and returns its file and its head.
func attackable(t *testing.T) (path string, head journal.Head) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal.db")
	s := openTest(t, path)
	for _, target := range []string{"dbt:shop/prod", "elasticsearch:<logs> & größe \u2028\u007f"} {
		about := journal.Subject{Playbook: "p", Target: target, Request: "r",
			Incident: strings.Repeat("INC", len(target)%2)}
		rec, err := s.Begin(t.Context(), about, journal.KindIntent,
			journal.Intent{Params: json.RawMessage(`{"a":"<b>","n":1.50}`), ApprovedBy: "boss@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		for kind, body := range map[journal.Kind]any{journal.KindDispatch: journal.Dispatch{RemoteID: "x"}} {
			if _, err := s.Append(t.Context(), rec.Lease(), kind, body); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Append(t.Context(), rec.Lease(), journal.KindOutcome,
			journal.Outcome{Status: journal.StatusFailed, Result: journal.Result{Message: "a\nb"}}); err != nil {
			t.Fatal(err)
		}
	}
	chain, err := journal.Verify(t.Context(), s)
	if err != nil || !chain.Holds() || chain.Head.Seq != 6 {
		t.Fatalf("untouched: %+v, %v", chain, err)
	}
	return path, chain.Head
}

// tamper runs SQL on the journal's file like an attacker with access to it, who can also drop the triggers.
func tamper(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, s := range append([]string{"DROP TRIGGER entries_are_never_changed",
		"DROP TRIGGER entries_are_never_removed"}, statements...) {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// independent verifies with the documented script, which shares no code with the provider.
func independent(t *testing.T, args ...string) (string, int) {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(file), "..", "..", "..", "tools", "verify_journal.py")
	//nolint:gosec // the project's own script
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{script}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestAttacksOnTheJournal(t *testing.T) {
	t.Parallel()
	const rest = ", kind, at, playbook, target, request, incident, body, prev, hash, digest, identity FROM entries " +
		"WHERE seq = "
	for name, tt := range map[string]struct {
		statements []string
		says       string
	}{
		"edited: the approver": {[]string{`UPDATE entries SET body = replace(body, 'boss@', 'eve@') WHERE seq = 1`},
			"entry 1"},
		"edited: the outcome": {[]string{`UPDATE entries SET body = replace(body, 'failed', 'success') WHERE seq = 3`}, "entry 3"},
		"edited: the target":  {[]string{`UPDATE entries SET target = 'x' WHERE seq = 4`}, "entry 4"},
		"edited: the time": {[]string{`UPDATE entries SET at = '2020-01-01T00:00:00.000000000Z' WHERE seq = 2`},
			"entry 2"},
		"edited: the incident":  {[]string{`UPDATE entries SET incident = 'INC-9' WHERE seq = 6`}, "entry 6"},
		"edited: the digest":    {[]string{`UPDATE entries SET digest = 'sha256:0' WHERE seq = 6`}, "entry 6"},
		"edited: the identity":  {[]string{`UPDATE entries SET identity = 'x' WHERE seq = 4`}, "entry 4"},
		"removed in the middle": {[]string{`DELETE FROM entries WHERE seq = 3`}, "after entry 2 comes entry 4"},
		"removed, then closed": {[]string{`DELETE FROM entries WHERE seq = 3`,
			`UPDATE entries SET seq = seq - 1 WHERE seq > 3`}, "entry 3"},
		"cut at the beginning": {[]string{`DELETE FROM entries WHERE seq < 4`}, "after entry 0 comes entry 4"},
		"cut at the end":       {[]string{`DELETE FROM entries WHERE seq > 5`}, "the journal ends with entry 5"},
		"emptied":              {[]string{`DELETE FROM entries`}, "the journal ends with entry 0"},
		"reordered": {[]string{`UPDATE entries SET seq = 99 WHERE seq = 2`,
			`UPDATE entries SET seq = 2 WHERE seq = 5`, `UPDATE entries SET seq = 5 WHERE seq = 99`}, "entry 2"},
		"copied":                     {[]string{`INSERT INTO entries SELECT 7, 7` + rest + `1`}, "entry 7"},
		"another hash":               {[]string{`UPDATE entries SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 6`}, "entry 6"},
		"another hash in the middle": {[]string{`UPDATE entries SET prev = 'x' WHERE seq = 4`}, "entry 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, head := attackable(t)
			tamper(t, path, tt.statements...)
			chain, err := journal.Verify(t.Context(), reader(t, path), head)
			if err != nil || chain.Holds() || !strings.Contains(chain.Broken, tt.says) {
				t.Errorf("got %+v, %v; want one that says %q", chain, err, tt.says)
			}
			if out, code := independent(t, path, anchor(head)); code != 1 || !strings.Contains(out, "broken: ") {
				t.Errorf("the script: exit code %d, %s", code, out)
			}
		})
	}
}

// reader opens the entries of a tampered journal. Open would refuse some of them.
func reader(t *testing.T, path string) journal.Store { return openTest(t, path) }

func anchor(h journal.Head) string { return strconv.FormatInt(h.Seq, 10) + ":" + h.Hash }

func TestJournalWrittenAnewIsFoundByItsHead(t *testing.T) {
	t.Parallel()
	path, _ := attackable(t)
	_, other := attackable(t)
	chain, err := journal.Verify(context.Background(), openTest(t, path), other)
	if err != nil || !strings.Contains(chain.Broken, "rewritten") {
		t.Errorf("got %+v, %v", chain, err)
	}
}

func TestExportIsVerifiedWithoutTheProvider(t *testing.T) {
	t.Parallel()
	path, head := attackable(t)
	var out bytes.Buffer
	if err := journal.Export(t.Context(), openTest(t, path), &out); err != nil {
		t.Fatal(err)
	}
	export := filepath.Join(t.TempDir(), "journal.jsonl")
	write := func(text string) {
		const private = 0o600
		if err := os.WriteFile(export, []byte(text), private); err != nil {
			t.Fatal(err)
		}
	}
	write(out.String())
	want := "holds, head " + anchor(head)
	for _, file := range []string{export, path} {
		if text, code := independent(t, file, anchor(head)); code != 0 || strings.TrimSpace(text) != want {
			t.Errorf("%s: exit code %d, %s; want %s", file, code, text, want)
		}
	}
	write(strings.Replace(out.String(), "boss@", "eve@", 1))
	text, code := independent(t, export)
	if code != 1 || !strings.Contains(text, "entry 1 was changed after it was written") {
		t.Errorf("edited: exit code %d, %s", code, text)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	write(strings.Join(append(lines[:2:2], lines[3:]...), ""))
	if text, code := independent(t, export); code != 1 || !strings.Contains(text, "after entry 2 comes entry 4") {
		t.Errorf("cut: exit code %d, %s", code, text)
	}
}

func TestEntryEditedAndSealedAnewIsFound(t *testing.T) {
	t.Parallel()
	path, head := attackable(t)
	var first journal.Entry
	stop := errors.New("enough")
	if err := openTest(t, path).Entries(t.Context(), 1,
		func(e journal.Entry) error { first = e; return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	first.Body = json.RawMessage(strings.Replace(string(first.Body), "boss@", "eve@", 1))
	sealed, err := journal.Seal(first, "")
	if err != nil {
		t.Fatal(err)
	}
	tamper(t, path, `UPDATE entries SET body = replace(body, 'boss@', 'eve@'), hash = '`+sealed.Hash+`' WHERE seq = 1`)
	chain, err := journal.Verify(t.Context(), openTest(t, path))
	if err != nil || !strings.Contains(chain.Broken, "entry 2 does not follow") {
		t.Errorf("got %+v, %v", chain, err)
	}
	if out, code := independent(t, path, anchor(head)); code != 1 {
		t.Errorf("the script: exit code %d, %s", code, out)
	}
}

// TestAttackRemovedBesideACompaction removes entries from a compacted journal. Only the entries that the compaction
// lists may be missing.
func TestAttackRemovedBesideACompaction(t *testing.T) {
	t.Parallel()
	compacted := func(t *testing.T) (string, journal.Head) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "journal.db")
		s := openTest(t, path)
		for range 5 {
			rec, err := s.Begin(t.Context(), journal.Subject{Playbook: "p", Target: "t"}, journal.KindIntent,
				journal.Intent{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Append(t.Context(), rec.Lease(), journal.KindOutcome,
				journal.Outcome{Status: journal.StatusFailed}); err != nil {
				t.Fatal(err)
			}
		}
		c, err := journal.Removable(t.Context(), s, time.Now().Add(time.Hour))
		if err != nil || len(c.Gaps) != 1 {
			t.Fatalf("got %+v, %v", c, err)
		}
		c.Gaps[0].To, c.Gaps[0].Hash = 6, entryHash(t, s, 6) // two of three; the first entry is never removed
		if _, err := s.Compact(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		chain, err := journal.Verify(t.Context(), s)
		if err != nil || !chain.Holds() || chain.Removed != 4 {
			t.Fatalf("untouched: %+v, %v", chain, err)
		}
		if out, code := independent(t, path, anchor(chain.Head)); code != 0 ||
			!strings.Contains(out, "4 entries were removed") {
			t.Errorf("the script: exit code %d, %s", code, out)
		}
		return path, chain.Head
	}
	for name, statement := range map[string]string{
		"more than it tells of":    "DELETE FROM entries WHERE seq IN (7, 8)",
		"the compaction itself":    "DELETE FROM entries WHERE kind = 'compaction'",
		"the range in the entry":   `UPDATE entries SET body = replace(body, '"to":6', '"to":8') WHERE kind = 'compaction'`,
		"one next to the gap":      "DELETE FROM entries WHERE seq = 7",
		"the one after the gap":    "UPDATE entries SET prev = 'x' WHERE seq = 7",
		"one far away":             "DELETE FROM entries WHERE seq = 9",
		"all that it doesn't tell": "DELETE FROM entries WHERE seq BETWEEN 7 AND 10",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, head := compacted(t)
			tamper(t, path, statement)
			chain, err := journal.Verify(t.Context(), reader(t, path), head)
			if err != nil || chain.Holds() {
				t.Errorf("got %+v, %v", chain, err)
			}
			if out, code := independent(t, path, anchor(head)); code != 1 || !strings.Contains(out, "broken: ") {
				t.Errorf("the script: exit code %d, %s", code, out)
			}
		})
	}
}

func entryHash(t *testing.T, s journal.Store, seq int64) (hash string) {
	t.Helper()
	err := s.Entries(t.Context(), seq, func(e journal.Entry) error {
		if e.Seq == seq {
			hash = e.Hash
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
