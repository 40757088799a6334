package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// raw runs statements on the file as another program would.
func raw(ctx context.Context, path string, statements ...string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// childDieWriting ends within a transaction whose pages are already on disk, and leaves a rollback journal. With
// "table" that transaction changes a database, otherwise it is the first one of a new database.
func childDieWriting(ctx context.Context, path, what string) error {
	statements := []string{"PRAGMA cache_size = 1", "BEGIN", "CREATE TABLE big (x)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO big SELECT " +
			"randomblob(500) FROM n"}
	if what == "table" {
		statements = append([]string{"CREATE TABLE before (x)"}, statements...)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Kill()
}

// journalAt makes a journal with some entries and closes it.
func journalAt(t *testing.T, path string) {
	t.Helper()
	s, err := Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// folder returns every file below a folder with its content.
func folder(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			files[path] = "" // a folder, or something that can't be read
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRefusedPlaces proves that a path without a usable journal is reported and left unchanged.
func TestRefusedPlaces(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		// prepare fills the folder and returns the journal's path.
		prepare func(t *testing.T, dir string) string
		want    error
		says    string
	}{
		"text":       {file(bytes.Repeat([]byte("Dear diary\n"), 1000)), journal.ErrForeign, "SQLite"},
		"short text": {file([]byte("x")), journal.ErrForeign, "SQLite"},
		"zeros":      {file(make([]byte, 8192)), journal.ErrForeign, "SQLite"},
		"folder":     {func(t *testing.T, dir string) string { return dir }, journal.ErrForeign, "folder"},
		"pipe":       {pipe, journal.ErrForeign, "regular"},
		"below file": {belowFile("journal.db"), journal.ErrUnavailable, "not a directory"},
		"far below":  {belowFile("a/b/journal.db"), journal.ErrUnavailable, "not a directory"},
		"below proc": {func(*testing.T, string) string { return "/proc/sys/journal/journal.db" },
			journal.ErrUnavailable, "/proc/sys"},
		"database": {database("CREATE TABLE t (x)"), journal.ErrForeign, "another program"},
		"WAL": {database("PRAGMA journal_mode = WAL", "CREATE TABLE t (x)"), journal.ErrForeign,
			"another program"},
		"version":     {database("PRAGMA user_version = 1"), journal.ErrForeign, "another program"},
		"application": {database("PRAGMA application_id = 252006673"), journal.ErrForeign, "252006673"},
		"newer":       {changed("PRAGMA user_version = 99"), journal.ErrNewer, "99"},
		"no entries":  {changed("DROP TABLE entries"), journal.ErrDamaged, "missing"},
		"no version":  {changed("PRAGMA user_version = 0"), journal.ErrDamaged, "missing"},
		"cut":         {cut(func(size int) int { return size / 2 / 4096 * 4096 }), journal.ErrDamaged, "malformed"},
		"header only": {cut(func(int) int { return 50 }), journal.ErrDamaged, "malformed"},
		"dying":       {dying("table"), journal.ErrForeign, "in the middle of a change"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := c.prepare(t, dir)
			before := folder(t, dir)
			s, opened := Open(t.Context(), path, clock.System{})
			if opened == nil {
				t.Error("opened", s.Close())
			}
			for call, err := range map[string]error{"open": opened, "check": Check(t.Context(), path)} {
				var p *problem.Problem
				if !errors.Is(err, c.want) || !errors.As(err, &p) {
					t.Fatalf("%s: got %v", call, err)
				}
				if !strings.Contains(p.Error(), c.says) || !strings.Contains(p.What, path) || p.Next == "" ||
					!slices.Equal(p.Path, attribute) {
					t.Errorf("%s: got %+v", call, p)
				}
			}
			if diff := cmp.Diff(before, folder(t, dir)); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
}

func file(content []byte) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "journal.db")
		write(t, path, content)
		return path
	}
}

func pipe(t *testing.T, dir string) string {
	path := filepath.Join(dir, "journal.db")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func belowFile(name string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		write(t, filepath.Join(dir, "file"), []byte("x"))
		return filepath.Join(dir, "file", name)
	}
}

func database(statements ...string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "journal.db")
		if err := raw(t.Context(), path, statements...); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

func changed(statement string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "journal.db")
		journalAt(t, path)
		// Triggers protect entries from changes, but anyone who can write the file can drop the triggers.
		if err := raw(t.Context(), path, "DROP TRIGGER entries_are_never_removed", statement); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

func cut(to func(size int) int) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "journal.db")
		journalAt(t, path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, content[:to(len(content))])
		return path
	}
}

func dying(what string) func(*testing.T, string) string {
	return func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "journal.db")
		cmd, output := child(t, "die writing", path, what)
		if err := cmd.Wait(); err == nil || output.Len() > 0 || !exists(path+"-journal") {
			t.Fatalf("%v: %s", err, output)
		}
		return path
	}
}

// TestForeignWAL leaves another program's database unchanged while its newest pages are still in its log.
func TestForeignWAL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, s := range []string{"PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	before := folder(t, dir)
	if _, err := Open(t.Context(), path, clock.System{}); !errors.Is(err, journal.ErrForeign) {
		t.Errorf("got %v", err)
	}
	after := folder(t, dir)
	// The index of the log counts its readers.
	delete(before, path+"-shm")
	delete(after, path+"-shm")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
}

// TestUsablePlaces proves that a journal and its folder are created for the user only, and that Check creates nothing.
func TestUsablePlaces(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, dir string) string{
		"new":         func(_ *testing.T, dir string) string { return filepath.Join(dir, "journal.db") },
		"new folders": func(_ *testing.T, dir string) string { return filepath.Join(dir, "a", "b", "journal.db") },
		"odd name": func(_ *testing.T, dir string) string {
			return filepath.Join(dir, "a b?mode=ro&c#d%41+é;'\"", "file:x?y&z+")
		},
		"empty file":     file(nil),
		"empty database": database("PRAGMA journal_mode = WAL"),
		"died when made": dying("new"),
		"journal": func(t *testing.T, dir string) string {
			p := filepath.Join(dir, "j")
			journalAt(t,
				p)
			return p
		},
		"link to a journal": link,
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := prepare(t, dir)
			before := folder(t, dir)
			if err := Check(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, folder(t, dir)); diff != "" {
				t.Errorf("Check changed (-before +after):\n%s", diff)
			}
			s := openTest(t, path)
			if err := Check(t.Context(), path); err != nil {
				t.Error(err)
			}
			if err := journaltest.Work(t.Context(), s, journaltest.Subject(2), 1); err != nil {
				t.Fatal(err)
			}
			journaltest.Verify(t, s)
			// The owner decides the mode of files that already existed.
			for made := range folder(t, dir) {
				info, err := os.Stat(made)
				if _, there := before[made]; err != nil || there || made == path+"-wal" || made == path+"-shm" {
					continue
				}
				if info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s has mode %v", made, info.Mode())
				}
			}
		})
	}
}

func link(t *testing.T, dir string) string {
	journalAt(t, filepath.Join(dir, "real"))
	path := filepath.Join(dir, "link")
	if err := os.Symlink("real", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRelativePath covers the default, which is relative to the working directory.
func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	path := filepath.Join(".remediation", "journal.db")
	if err := Check(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	openTest(t, path)
	for name, want := range map[string]fs.FileMode{".remediation": 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
