package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
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
// because the author of a change controls the working directory. The file, and every folder and every link on the way
// to it, must belong to somebody other than the reader. None of them may be writable by group or others, except a
// folder with the sticky bit, such as /tmp. Root may own them.
func ReadGuarded(path string, by Reader) (data []byte, err error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: the path is relative to the configuration's folder, which its authors control; "+
			"set an absolute path",
			ErrUnguarded)
	}
	resolved, err := guardedPath(path, by)
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
	data, err = io.ReadAll(io.LimitReader(file, maxGuarded+1))
	if err == nil && len(data) > maxGuarded {
		err = fmt.Errorf("%s is longer than %d bytes", resolved, maxGuarded)
	}
	return data, err
}

// guardedPath resolves the links in an absolute path, one after the other, and checks each folder and each link that it
// passes through: whoever can replace one of them decides which file is read.
func guardedPath(path string, by Reader) (string, error) {
	const maxLinks = 40 // as in Linux
	links := 0
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, elements(path)
	for {
		info, err := os.Lstat(at)
		if err != nil {
			return "", err
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(at)
			if err == nil {
				err = guardedLink(at, info, by)
			}
			if links++; err == nil && links > maxLinks {
				err = fmt.Errorf("%s: too many links", path)
			}
			if err != nil {
				return "", err
			}
			rest = append(elements(to), rest...)
			if at = filepath.Dir(at); filepath.IsAbs(to) {
				at = root
			}
		case info.IsDir():
			if err := guarded(at, info, by); err != nil {
				return "", err
			}
		}
		if len(rest) == 0 {
			return at, nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:] // ".." goes up from where the links have led
	}
}

// elements returns the elements of a path below its root.
func elements(path string) []string {
	return strings.FieldsFunc(strings.TrimPrefix(path, filepath.VolumeName(path)), func(r rune) bool {
		return r < utf8.RuneSelf && os.IsPathSeparator(byte(r)) //nolint:gosec // it fits
	})
}
