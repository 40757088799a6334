//go:build unix

package access

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// writers are the mode bits with which group or others can write.
const writers = 0o022

// guarded returns an error that wraps ErrUnguarded if group, others, or the reader can write the file or folder.
func guarded(path string, info fs.FileInfo, by Reader) error {
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	if info.Mode().Perm()&writers != 0 && !sticky {
		return fmt.Errorf("%w: %s is writable by group or others (mode %04o)", ErrUnguarded, path, info.Mode().Perm())
	}
	if err := guardedLink(path, info, by); err != nil || by.Root() {
		return err
	}
	// An access control list can allow more than the mode shows.
	if !sticky && by == Self() && unix.Access(path, unix.W_OK) == nil {
		return fmt.Errorf("%w: %s is writable by the user who runs Terraform (ID %d)", ErrUnguarded, path, by.UID)
	}
	return nil
}

// guardedLink returns an error that wraps ErrUnguarded if the file, folder, or link belongs to the reader. The mode of
// a link means nothing: only its owner, and whoever can write its folder, can replace it.
func guardedLink(path string, info fs.FileInfo, by Reader) error {
	if by.Root() {
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%w: the owner of %s can't be determined", ErrUnguarded, path)
	}
	if int(stat.Uid) == by.UID {
		return fmt.Errorf("%w: %s belongs to the user who runs Terraform (ID %d)", ErrUnguarded, path, by.UID)
	}
	return nil
}
