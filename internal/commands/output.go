package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/renameio/v2/maybe"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// output is the file that --out names.
type output struct {
	path string
	// regular reports that it is a file or doesn't exist. Otherwise it is a device or a pipe, which can't be replaced
	// or read.
	regular bool
	// mode is that of the file, or zero if it doesn't exist.
	mode fs.FileMode
}

// outputAt looks at what is at the path. It refuses a folder, and a link to a file, which somebody else may have put
// there. A link to a device or a pipe, such as /dev/stdout, is fine.
func outputAt(path string) (output, error) {
	at, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return output{path: path, regular: true}, nil
	}
	if err != nil {
		return output{}, notWritten(path, err)
	}
	if at.Mode()&fs.ModeSymlink != 0 {
		to, err := os.Stat(path)
		if err != nil || to.Mode().IsRegular() {
			return output{}, notWritten(path, errors.New("it is a link to another file"))
		}
		at = to
	}
	if at.IsDir() {
		return output{}, notWritten(path, errors.New("it is a folder"))
	}
	return output{path: path, regular: at.Mode().IsRegular(), mode: at.Mode().Perm()}, nil
}

// write replaces the file, all of it or nothing, or writes to the device or pipe.
func (o output) write(content []byte, mode fs.FileMode) error {
	if o.regular {
		if err := maybe.WriteFile(o.path, content, mode); err != nil {
			return notWritten(o.path, err)
		}
		return nil
	}
	file, err := os.OpenFile(o.path, os.O_WRONLY, 0)
	if err != nil {
		return notWritten(o.path, err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return notWritten(o.path, err)
	}
	return nil
}

func notWritten(path string, err error) error {
	return &problem.Problem{
		What: "The output can't be written", Why: fmt.Sprintf("%s: %s.", path, err),
		Next: "Name another file with --out, or leave --out out.", Err: err,
	}
}
