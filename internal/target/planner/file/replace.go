//go:build !windows

package file

import (
	"io/fs"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// replace replaces a file with one rename.
func replace(path string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, content, mode, renameio.IgnoreUmask(), renameio.WithTempDir(filepath.Dir(path)))
}
