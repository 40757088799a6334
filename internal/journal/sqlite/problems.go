package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// attribute is where the provider block names the journal's file.
var attribute = []string{"journal", "path"}

const notSQLite = "It does not begin like a SQLite database."

func foreign(path, why string) error {
	return &problem.Problem{
		What: fmt.Sprintf("%s is not a journal of this provider", path), Why: why,
		Next: "It was left as it is. Set journal.path to another file, or move this one away.",
		Path: attribute, Err: journal.ErrForeign,
	}
}

func damaged(path string, cause error) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s is damaged", path),
		Why:  cause.Error(),
		Next: fmt.Sprintf("Nothing was repaired or removed. Copy the file with its -wal and -shm files. Then restore "+
			"a backup, or write what can be read to a new file with: sqlite3 %q .recover. Until then, the provider "+
			"doesn't see executions that only the damaged journal contains.", path),
		Path: attribute, Err: fmt.Errorf("%w: %w", journal.ErrDamaged, cause),
	}
}

// strange returns the error for a journal with objects that the provider did not create.
func strange(path string, names []string) error {
	list := strings.Join(names, ", ")
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s contains objects that the provider did not create", path),
		Why: fmt.Sprintf("It contains %s. SQLite would run such a trigger or view with the provider's own reads and "+
			"writes, and it could change, hide or delay entries.", list),
		Next: "Nothing was read or written. Find out who changed the file. Then restore a backup, or remove the " +
			"objects with sqlite3 (DROP TRIGGER, DROP VIEW, DROP INDEX, DROP TABLE) and run " +
			"`terraform-provider-remediation journal verify`.",
		Path: attribute, Err: fmt.Errorf("%w: it contains %s", journal.ErrDamaged, list),
	}
}

func newer(path string, version, known int) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s was written by a newer version of the provider", path),
		Why: fmt.Sprintf("The journal has schema version %d; this provider supports versions up to %d.", version,
			known),
		Next: "It was left as it is. Use the newer version of the provider, or set journal.path to another file.",
		Path: attribute, Err: journal.ErrNewer,
	}
}

func newerEntry(path string, cause error) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s was written by a newer version of the provider", path),
		Why:  cause.Error() + ".",
		Next: "Nothing was changed. Use the newer version of the provider, or set journal.path to another file.",
		Path: attribute, Err: cause,
	}
}

func unusable(path string, cause error) error {
	return unavailable(path, cause, "Set journal.path to a file in a folder that can be written, on a local disk.")
}

func unavailable(path string, cause error, next string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s cannot be read or written", path), Why: cause.Error(), Next: next,
		Path: attribute, Err: fmt.Errorf("%w: %w", journal.ErrUnavailable, cause),
	}
}

// primary returns SQLite's primary result code of err, or SQLITE_OK if err is not a SQLite error.
func primary(err error) int {
	const mask = 0xff // https://www.sqlite.org/rescode.html#primary_result_codes_versus_extended_result_codes
	var e *driver.Error
	if !errors.As(err, &e) {
		return lib.SQLITE_OK
	}
	return e.Code() & mask
}

func isBusy(err error) bool {
	code := primary(err)
	return code == lib.SQLITE_BUSY || code == lib.SQLITE_LOCKED
}

// explain converts errors from database/sql and SQLite to *problem.Problem. It returns errors of that type, and a
// *journal.BusyError, unchanged.
func explain(ctx context.Context, path string, err error) error {
	var p *problem.Problem
	var held *journal.BusyError
	switch {
	case err == nil || errors.As(err, &p) || errors.As(err, &held):
		return err
	case errors.Is(err, journal.ErrNewer):
		return newerEntry(path, err)
	case errors.Is(err, journal.ErrDamaged):
		return damaged(path, err)
	}
	if cause := ctx.Err(); cause != nil && (errors.Is(err, cause) || errors.Is(err, sql.ErrTxDone) ||
		primary(err) == lib.SQLITE_INTERRUPT) {
		return fmt.Errorf("journal %s: %w", path, cause)
	}
	switch primary(err) {
	case lib.SQLITE_NOTADB:
		return foreign(path, notSQLite)
	case lib.SQLITE_CORRUPT:
		return damaged(path, err)
	case lib.SQLITE_FULL:
		return unavailable(path, err, "Nothing was written. Free some space on its disk and run again.")
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return unavailable(path, err,
			"Nothing was written. Another process keeps the journal locked: find it (for example with "+
				"fuser or lsof), let it end, and run again.")
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_CANTOPEN, lib.SQLITE_AUTH:
		return unavailable(path, err,
			"Make the file and its folder writable for this user, or set journal.path to another file.")
	case lib.SQLITE_IOERR, lib.SQLITE_PROTOCOL, lib.SQLITE_NOLFS:
		return unavailable(path, err,
			"Check its disk for faults. On a network file system locks may not work: set journal.path to a "+
				"file on a local disk.")
	default:
		return fmt.Errorf("journal %s: %w", path, err)
	}
}

func (s *Store) explain(ctx context.Context, err error) error { return explain(ctx, s.path, err) }
