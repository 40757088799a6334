//go:build unix

package sqlite

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// writable asks the system whether this process may write to path, a file or a folder. It does not open path, because
// closing the file again would drop the locks that SQLite has on it in this process.
func writable(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
