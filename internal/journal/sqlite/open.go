package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	// The driver registers itself as "sqlite".
	_ "modernc.org/sqlite"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

const (
	// busyTimeout is how long a writer waits for others. Each writer takes the lock for one short transaction of a few
	// milliseconds.
	busyTimeout = 15 * time.Second
	// busyStep is the pause between two attempts when SQLite itself does not wait.
	busyStep = 20 * time.Millisecond
	// readers is how many connections serve reads. Writers share a single connection.
	readers = 4
	// folderMode and the file's mode (see create) protect the journal from other users, because it names people and
	// systems.
	folderMode = 0o700
)

// Open opens the journal at path. It creates the journal and its folder if they don't exist. It fails with a
// *problem.Problem that wraps journal.ErrForeign, ErrDamaged, ErrNewer or ErrUnavailable, and leaves what it found
// unchanged. The clock dates entries.
func Open(ctx context.Context, path string, clk clock.Clock) (*Store, error) {
	return open(ctx, path, clk, busyTimeout)
}

func open(ctx context.Context, path string, clk clock.Clock, busy time.Duration) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	s := &Store{path: abs, clock: clk, turn: make(chan struct{}, 1)}
	if err := s.connect(ctx, busy); err != nil {
		return nil, s.explain(ctx, errors.Join(err, s.Close()))
	}
	return s, nil
}

// connect inspects the file on a read-only connection before it opens it for writing.
func (s *Store) connect(ctx context.Context, busy time.Duration) error {
	if err := lookAt(ctx, s.path, busy); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), folderMode); err != nil {
		return unusable(s.path, err)
	}
	if err := create(ctx, s.path, busy); err != nil {
		return err
	}
	var err error
	if s.write, err = connections(s.path, 1, busy, "mode=rw", "_txlock=immediate"); err != nil {
		return err
	}
	if err := s.enterWAL(ctx, s.clock.Now().Add(busy)); err != nil {
		return err
	}
	if err := s.migrate(ctx, migrations); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.read, err = connections(s.path, readers, busy, "mode=rw", "_query_only=1")
	return err
}

// connections returns a pool of connections to path. The address is a URI, so no character of the path can be taken for
// an option.
func connections(path string, count int, busy time.Duration, options ...string) (*sql.DB, error) {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	options = append(options, "_busy_timeout="+strconv.FormatInt(busy.Milliseconds(), 10),
		"_synchronous=FULL", "_defensive=1", "_dqs=0", "_error_rc=1")
	address := url.URL{Scheme: "file", Path: slashed, RawQuery: strings.Join(options, "&")}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(count)
	db.SetMaxIdleConns(count)
	return db, nil
}

// create creates an empty file of mode 0600 if there is none. SQLite creates the journal with the mode of a temporary
// file. If the provider opened the journal itself, closing it would drop the locks that SQLite has on it elsewhere in
// this process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func create(ctx context.Context, path string, busy time.Duration) (err error) {
	if exists(path) {
		return nil
	}
	model, err := os.CreateTemp(filepath.Dir(path), ".mode-*")
	if err != nil {
		return unusable(path, err)
	}
	defer func() { err = errors.Join(err, os.Remove(model.Name())) }()
	if err := model.Close(); err != nil {
		return unusable(path, err)
	}
	// In a SQLite URI, a plus sign stands for itself.
	mode := "modeof=" + strings.ReplaceAll(url.QueryEscape(model.Name()), "+", "%20")
	db, err := connections(path, 1, busy, "mode=rwc", mode)
	if err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), db.Close())
}

// enterWAL enables write-ahead logging, which the file remembers. SQLite can immediately report a lock to processes
// that create a journal at the same time, so enterWAL retries.
func (s *Store) enterWAL(ctx context.Context, until time.Time) error {
	for {
		var mode string
		err := s.write.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return unusable(s.path, fmt.Errorf("the file system does not support write-ahead logging (mode %s)", mode))
		case !isBusy(err) || s.clock.Now().After(until):
			return err
		}
		if err := s.clock.Sleep(ctx, busyStep); err != nil {
			return err
		}
	}
}

// migrate runs the steps that the file has not seen yet, all or none. It doesn't lock a file that needs no steps. It
// inspects the file again under the lock, because another process may have changed it in the meantime.
func (s *Store) migrate(ctx context.Context, steps []string) error {
	if f, err := find(ctx, s.write); err != nil || f.version == len(steps) {
		return err
	}
	return s.update(ctx, func(ctx context.Context, tx transaction) error {
		f, err := find(ctx, tx)
		if err == nil {
			err = f.judge(s.path, len(steps))
		}
		if err != nil {
			return err
		}
		for _, step := range steps[f.version:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID,
			len(steps)))
		return err
	})
}

// Close implements journal.Store.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

var _ journal.Store = (*Store)(nil)
