package access

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrUnguarded marks a file that the author of a change, or the run itself, could have written.
var ErrUnguarded = errors.New("the file is not protected")

// maxGuarded is the size in bytes of the largest file that ReadGuarded reads.
const maxGuarded = 1 << 20

// Reader is the user who runs this process.
type Reader struct{ UID int }

// Root reports whether the user is root. No file can be protected from root.
func (r Reader) Root() bool { return r.UID == 0 }

// Self returns the user who runs this process.
func Self() Reader { return Reader{UID: os.Geteuid()} }

// ReadGuarded reads a file that neither the reader nor any group can change or replace. The path must be absolute,
// because the author of a change controls the working directory. Links are resolved. The file and every folder above it
// must belong to somebody other than the reader and must not be writable by group or others; a folder with the sticky
// bit, such as /tmp, may be. Root may own them.
func ReadGuarded(path string, by Reader) (data []byte, err error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: the path is relative to the configuration's folder, which its authors control; "+
			"set an absolute path",
			ErrUnguarded)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(resolved)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat() // of the open file: its name may refer to another one by now
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", resolved)
	}
	if err := guarded(resolved, info, by); err != nil {
		return nil, err
	}
	for _, end := range []string{resolved, path} { // a link can be replaced in its own folder
		if err := guardedFolders(filepath.Dir(end), by); err != nil {
			return nil, err
		}
	}
	data, err = io.ReadAll(io.LimitReader(file, maxGuarded+1))
	if err == nil && len(data) > maxGuarded {
		err = fmt.Errorf("%s is longer than %d bytes", resolved, maxGuarded)
	}
	return data, err
}

// guardedFolders checks a folder and all folders above it.
func guardedFolders(dir string, by Reader) error {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if err := guarded(dir, info, by); err != nil {
			return err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil
		}
		dir = up
	}
}
