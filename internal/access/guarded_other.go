//go:build !unix

package access

import (
	"fmt"
	"io/fs"
)

// guarded refuses every file: who can write it can't be determined here.
func guarded(path string, _ fs.FileInfo, _ Reader) error {
	return fmt.Errorf("%w: who can write %s can't be determined on this operating system", ErrUnguarded, path)
}

// guardedLink refuses every link, as guarded does.
func guardedLink(path string, info fs.FileInfo, by Reader) error { return guarded(path, info, by) }
