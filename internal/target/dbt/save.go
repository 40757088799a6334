package dbt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otiai10/copy"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Names below the folder of an execution.
const (
	savedFolder = "packages"
	savedTree   = "installed"
	savedMark   = "saved.json" // written last: without it, the copy is not complete
)

// saved describes the copy. What was absent is absent again after a restore.
type saved struct {
	InstallPath string `json:"install_path"`
	Tree        bool   `json:"tree"`
	Lock        bool   `json:"lock"`
}

// SavePackages copies the installed packages and package-lock.yml to a folder below dir, byte for byte, with modes and
// symbolic links. RestorePackages reverses it.
func (c *CLI) SavePackages(ctx context.Context, dir string) error {
	p, err := c.project()
	if err != nil {
		return err
	}
	if err := checkInstallPath(p); err != nil {
		return err
	}
	if err := checkWritable(p); err != nil {
		return err
	}
	to := filepath.Join(dir, savedFolder)
	const ownerOnly = 0o700
	if err := errors.Join(os.RemoveAll(to), os.MkdirAll(to, ownerOnly)); err != nil {
		return workDirProblem(to, err)
	}
	lockPath := filepath.Join(p.Dir, lockName)
	mark := saved{InstallPath: p.InstallPath, Tree: exists(p.InstallPath), Lock: exists(lockPath)}
	if mark.Tree {
		if err := copyTree(ctx, p.InstallPath, filepath.Join(to, savedTree)); err != nil {
			return fmt.Errorf("save dbt packages: %w", err)
		}
	}
	if mark.Lock {
		if err := copyTree(ctx, lockPath, filepath.Join(to, lockName)); err != nil {
			return fmt.Errorf("save %s: %w", lockName, err)
		}
	}
	data, err := json.Marshal(mark)
	if err == nil {
		err = writeAtomic(filepath.Join(to, savedMark), data)
	}
	if err != nil {
		return fmt.Errorf("save dbt packages: %w", err)
	}
	return nil
}

// RestorePackages restores what SavePackages copied below dir. It can be repeated after an interruption.
// ErrNothingSaved: the copy was never completed, so the packages have not been changed either.
func (c *CLI) RestorePackages(ctx context.Context, dir string) error {
	p, err := c.project()
	if err != nil {
		return err
	}
	from := filepath.Join(dir, savedFolder)
	var mark saved
	data, err := os.ReadFile(filepath.Join(from, savedMark))
	if err != nil || json.Unmarshal(data, &mark) != nil {
		return fmt.Errorf("%s: %w", from, ErrNothingSaved)
	}
	if mark.InstallPath != p.InstallPath {
		return fmt.Errorf("packages were saved from %s, but the project now installs to %s: copy %s back manually",
			mark.InstallPath, p.InstallPath, from)
	}
	if err := checkInstallPath(p); err != nil {
		return err
	}
	if err := replaceTree(ctx, filepath.Join(from, savedTree), p.InstallPath, mark.Tree); err != nil {
		return fmt.Errorf("restore dbt packages: %w", err)
	}
	if err := replaceTree(ctx, filepath.Join(from, lockName), filepath.Join(p.Dir, lockName), mark.Lock); err != nil {
		return fmt.Errorf("restore %s: %w", lockName, err)
	}
	return nil
}

// replaceTree replaces path with a copy of from, or removes path if present is false. The copy is first made next to
// path, so path is incomplete only while the old files are removed.
func replaceTree(ctx context.Context, from, path string, present bool) error {
	if !present {
		return os.RemoveAll(path)
	}
	beside := path + ".restoring"
	if err := os.RemoveAll(beside); err != nil {
		return err
	}
	if err := copyTree(ctx, from, beside); err != nil {
		return errors.Join(err, os.RemoveAll(beside))
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// checkWritable refuses a project to which `dbt deps` can't write, before anything has changed. dbt creates missing
// folders above the packages, in the first one that exists.
func checkWritable(p project) error {
	parent := filepath.Dir(p.InstallPath)
	for !exists(parent) && parent != filepath.Dir(parent) {
		parent = filepath.Dir(parent)
	}
	folders := []string{p.Dir, parent}
	if exists(p.InstallPath) {
		folders = append(folders, p.InstallPath)
	}
	for _, dir := range slices.Compact(folders) {
		probe, err := os.CreateTemp(dir, ".remediation-*")
		if err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
		if err != nil {
			return &problem.Problem{
				What: "The dbt project can't be written",
				Why:  fmt.Sprintf("dbt deps installs packages there: %v. Nothing was changed.", err),
				Next: "Make " + dir + " writable for the user that runs Terraform, or install the packages where the " +
					"project is built.",
				Path: []string{"dbt", "project_dir"},
				Err:  ErrReadOnly,
			}
		}
	}
	return nil
}

// checkInstallPath refuses paths that must never be replaced as a whole: the project itself and its parent folders.
func checkInstallPath(p project) error {
	why := ""
	inside, err := filepath.Rel(p.InstallPath, p.Dir)
	switch {
	case p.InstallDynamic:
		why = "packages-install-path is a template, which only dbt can render."
	case err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(os.PathSeparator)):
		why = p.InstallPath + " contains the project itself."
	default:
		return nil
	}
	return &problem.Problem{
		What: "The dbt packages can't be saved",
		Why:  why,
		Next: "Set packages-install-path in dbt_project.yml to a separate folder, such as dbt_packages.",
		Path: []string{"dbt", "project_dir"},
		Err:  ErrProjectMalformed,
	}
}

// copyTree copies a file, a symbolic link or a folder with everything in it. Modes, links and the times of files are
// kept.
func copyTree(ctx context.Context, from, to string) error {
	return copy.Copy(from, to, copy.Options{
		OnSymlink:         func(string) copy.SymlinkAction { return copy.Shallow },
		PermissionControl: copy.PerservePermission,
		PreserveTimes:     true,
		Skip: func(info os.FileInfo, path, _ string) (bool, error) {
			if kind := info.Mode().Type(); kind&^(fs.ModeDir|fs.ModeSymlink) != 0 {
				return false, fmt.Errorf("%s is neither a file, a folder nor a link", path)
			}
			return false, context.Cause(ctx)
		},
	})
}
