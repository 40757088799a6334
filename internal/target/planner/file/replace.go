//go:build !windows

package file

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// replace replaces a file with one rename. The new file has the mode of the old one and, where this process may set
// them, its owner and group: the router that reads the file can run as another user.
func replace(path string, content []byte, old fs.FileInfo) (err error) {
	file, err := renameio.NewPendingFile(path, renameio.IgnoreUmask(), renameio.WithPermissions(old.Mode().Perm()),
		renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Cleanup()) }()
	if stat, ok := old.Sys().(*syscall.Stat_t); ok {
		if file.Chown(int(stat.Uid), int(stat.Gid)) != nil {
			_ = file.Chown(-1, int(stat.Gid)) // only root may give a file away
		}
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}
