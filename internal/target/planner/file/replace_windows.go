package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// replace replaces a file with one rename. renameio doesn't support Windows.
func replace(path string, content []byte, _ fs.FileInfo) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}
