package dbt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// lock is package-lock.yml.
type lock struct {
	data     []byte
	Packages []lockEntry `yaml:"packages"`
}

type lockEntry struct {
	Name     string `yaml:"name"`
	Package  string `yaml:"package"`
	Git      string `yaml:"git"`
	Local    string `yaml:"local"`
	Tarball  string `yaml:"tarball"`
	Private  string `yaml:"private"`
	Version  any    `yaml:"version"`
	Revision string `yaml:"revision"`
}

// readLock reads the package-lock.yml of a folder; a missing file is an empty lock.
func readLock(dir string) (lock, error) {
	var l lock
	data, err := os.ReadFile(filepath.Join(dir, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l.data = data
	if err := yaml.Unmarshal(data, &l); err != nil {
		return l, fmt.Errorf("%s: %w", lockName, err)
	}
	return l, nil
}

func (l lock) find(name string) (lockEntry, bool) {
	i := slices.IndexFunc(l.Packages, func(e lockEntry) bool { return e.name() == name })
	if i < 0 {
		return lockEntry{}, false
	}
	return l.Packages[i], true
}

// name is the package's project name. Locks of dbt before 1.10 lack it; then it is the last element of the source.
func (e lockEntry) name() string {
	if e.Name != "" {
		return e.Name
	}
	from := e.Package + e.Git + e.Local + e.Tarball + e.Private
	return strings.TrimSuffix(filepath.Base(from), ".git")
}

func (e lockEntry) source() string {
	switch {
	case e.Package != "":
		return e.Package
	case e.Git != "":
		return "git " + e.Git
	case e.Local != "":
		return "local " + e.Local
	case e.Private != "":
		return "private " + e.Private
	default:
		return "tarball " + e.Tarball
	}
}

// version is the version or commit in the lock, or a local package's own version.
func (e lockEntry) version(projectDir string) string {
	switch {
	case e.Local != "":
		path := e.Local
		if !filepath.IsAbs(path) {
			path = filepath.Join(projectDir, path)
		}
		if _, v := packageVersion(path); v != "" {
			return v
		}
		return "local"
	case e.Revision != "":
		return e.Revision
	case e.Version != nil:
		return strings.Trim(fmt.Sprint(e.Version), "[]")
	default:
		return "unversioned"
	}
}

// installed returns the versions of the packages in the install path, by name: the commit of a git package, otherwise
// the version in its dbt_project.yml. A folder that can't be read is an error: it may contain packages.
func installed(p project) (map[string]string, error) {
	found := map[string]string{}
	entries, err := os.ReadDir(p.InstallPath)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil // nothing is installed
	}
	if err != nil {
		return nil, packagesProblem(p, err)
	}
	for _, entry := range entries {
		dir := filepath.Join(p.InstallPath, entry.Name())
		if file := filepath.Join(dir, projectFile); exists(file) {
			if err := canRead(file); err != nil {
				return nil, packagesProblem(p, err)
			}
		}
		name, version := packageVersion(dir)
		if name == "" {
			continue
		}
		if head := headCommit(filepath.Join(dir, ".git")); head != "" {
			version = head
		}
		found[name] = version
	}
	return found, nil
}

func packagesProblem(p project, err error) error {
	return &problem.Problem{
		What: "The installed dbt packages can't be read", Why: err.Error() + ".",
		Next: "Make " + p.InstallPath + " readable, or remove it.", Path: []string{"dbt", "project_dir"}, Err: err,
	}
}

// canRead opens a file for reading.
func canRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// headCommit returns the commit that a git folder has checked out, or nothing. dbt resets a branch to the commit, so
// HEAD can name the branch instead of the commit.
func headCommit(gitDir string) string {
	root, err := os.OpenRoot(gitDir)
	if err != nil {
		return ""
	}
	defer func() { _ = root.Close() }() // only read
	head, err := root.ReadFile("HEAD")
	if ref, ok := bytes.CutPrefix(bytes.TrimSpace(head), []byte("ref: ")); err == nil && ok {
		head, err = root.ReadFile(string(ref))
	}
	if head = bytes.TrimSpace(head); err != nil || !commit.Match(head) {
		return ""
	}
	return string(head)
}

var commit = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

// packageVersion returns the name and version in a package's dbt_project.yml.
func packageVersion(dir string) (name, version string) {
	var raw struct {
		Name    string `yaml:"name"`
		Version any    `yaml:"version"`
	}
	data, err := os.ReadFile(filepath.Join(dir, projectFile))
	if err != nil || yaml.Unmarshal(data, &raw) != nil {
		return "", ""
	}
	if raw.Version == nil {
		return raw.Name, "unversioned"
	}
	return raw.Name, fmt.Sprint(raw.Version)
}
