package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	lib "modernc.org/sqlite/lib"
)

// checkTimeout is how long Check waits for a journal that another process is creating.
const checkTimeout = 2 * time.Second

// Check reports whether a journal can be stored at path, without creating anything. It fails with the same errors as
// Open.
func Check(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return unusable(path, err)
	}
	if err := lookAt(ctx, abs, checkTimeout); err != nil {
		return explain(ctx, abs, err)
	}
	return nil
}

// lookAt fails if path can't store a journal or contains something else. It changes nothing.
func lookAt(ctx context.Context, path string, busy time.Duration) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkFolder(filepath.Dir(path), path)
	case err != nil:
		return unusable(path, err)
	case info.IsDir():
		return foreign(path, "It is a folder.")
	case !info.Mode().IsRegular():
		return foreign(path, "It is not a regular file.")
	}
	// SQLite keeps its log in the same folder, so the folder must be writable too.
	if err := errors.Join(writable(path), writable(filepath.Dir(path))); err != nil {
		return unusable(path, err)
	}
	switch info.Size() {
	case 0:
		return nil
	case 1: // SQLite takes such a file for an empty one and would overwrite it
		return foreign(path, notSQLite)
	}
	f, err := inspect(ctx, path, busy)
	switch {
	case primary(err) == lib.SQLITE_READONLY && beganEmpty(path):
		return nil
	case primary(err) == lib.SQLITE_READONLY && exists(path+"-journal"):
		return foreign(path, "It is a SQLite database in the middle of a change, with a rollback journal; the "+
			"provider uses none.")
	case err != nil:
		return err
	}
	return f.judge(path, len(migrations))
}

// checkObjects refuses a journal with objects that the provider did not create.
func (f found) checkObjects(ctx context.Context, q rowsQuerier, path string) error {
	if f.application != applicationID || f.version < 1 || f.version > len(migrations) {
		return nil // judge knows more about it
	}
	names, err := strangers(ctx, q, f.version)
	if err == nil && len(names) > 0 {
		err = strange(path, names)
	}
	return err
}

// checkFolder fails if the folder is not writable, or doesn't exist and can't be created. The journal's path is for the
// message.
func checkFolder(folder, path string) error {
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(folder) != folder:
		return checkFolder(filepath.Dir(folder), path)
	case err != nil:
		return unusable(path, err)
	case !info.IsDir():
		return unusable(path, fmt.Errorf("%s is not a folder", folder))
	}
	if err := writable(folder); err != nil {
		return unusable(path, err)
	}
	return nil
}

// found is what a SQLite file contains.
type found struct {
	application, version int
	objects              int // tables, indexes and the like
	ours                 int // how many of them are the journal's tables
}

// inspect reads path on a read-only connection. A file without a log is read as immutable, which leaves no log behind.
// If there is a log, it contains the newest pages and must be read.
func inspect(ctx context.Context, path string, busy time.Duration) (f found, err error) {
	options := []string{"mode=ro"}
	if !exists(path+"-wal") && !exists(path+"-journal") {
		options = append(options, "immutable=1")
	}
	db, err := connections(path, 1, busy, options...)
	if err != nil {
		return found{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if f, err = find(ctx, db); err == nil {
		err = f.checkObjects(ctx, db, path)
	}
	return f, err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func find(ctx context.Context, q querier) (f found, err error) {
	const query = `SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema),
		(SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('entries', 'open_executions'))
		FROM pragma_application_id a, pragma_user_version v`
	err = q.QueryRowContext(ctx, query).Scan(&f.application, &f.version, &f.objects, &f.ours)
	return f, err
}

// judge returns nil for an empty file and for a journal of a known version.
func (f found) judge(path string, known int) error {
	const tables = 2 // entries and open_executions
	switch {
	case f == found{}:
		return nil
	case f.application != applicationID:
		return foreign(path, fmt.Sprintf("It is a SQLite database of another program: its application id is %d and "+
			"not %d.",
			f.application, applicationID))
	case f.version > known:
		return newer(path, f.version, known)
	case f.version < 1 || f.ours != tables:
		return damaged(path, errors.New("tables are missing"))
	}
	return nil
}

// beganEmpty reports whether the rollback journal next to path belongs to the first transaction on an empty file. In
// that case a process died while it created the database, and nothing is lost when SQLite rolls it back on opening. The
// size before the transaction, in pages, is at offset 16 (https://www.sqlite.org/fileformat.html, section 3).
func beganEmpty(path string) bool {
	const offset, size = 16, 4
	log, err := os.Open(path + "-journal")
	if err != nil {
		return false
	}
	header := make([]byte, offset+size)
	_, err = io.ReadFull(log, header)
	return errors.Join(err, log.Close()) == nil && binary.BigEndian.Uint32(header[offset:]) == 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
