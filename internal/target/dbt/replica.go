package dbt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packagesFiles are the files that decide what `dbt deps` does.
var packagesFiles = []string{projectFile, "packages.yml", "dependencies.yml", lockName}

// localPackages returns the paths of the project's local packages, and of those that these name in turn, as written in
// the files: dbt resolves all of them from the project's folder. Templates are left to dbt.
func localPackages(dir string) ([]string, error) {
	var locals []string
	for queue := []string{dir}; len(queue) > 0; queue = queue[1:] {
		for _, file := range []string{"packages.yml", "dependencies.yml"} {
			data, err := os.ReadFile(filepath.Join(queue[0], file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			values, err := scalars(data)
			if err != nil {
				continue // dbt reports the error
			}
			for _, v := range values {
				if v.key != "local" || v.text == "" || template.MatchString(v.text) || slices.Contains(locals, v.text) {
					continue
				}
				locals = append(locals, v.text)
				queue = append(queue, resolveLocal(dir, v.text))
			}
		}
	}
	return locals, nil
}

func resolveLocal(dir, local string) string {
	if filepath.IsAbs(local) {
		return local
	}
	return filepath.Join(dir, local)
}

// depsFiles returns the files of the project and of its local packages that decide what `dbt deps` does.
func depsFiles(p project, locals []string) []string {
	dirs := []string{p.Dir}
	for _, local := range locals {
		dirs = append(dirs, resolveLocal(p.Dir, local))
	}
	var files []string
	for _, dir := range dirs {
		for _, name := range packagesFiles {
			if path := filepath.Join(dir, name); exists(path) {
				files = append(files, path)
			}
		}
	}
	return files
}

// replicate copies the files that dbt needs to resolve the project's packages to a folder below root, and returns that
// folder. The files are equal byte for byte, because dbt hashes them. Local packages are links at the same relative
// paths, so the copy is as many folders deep as these paths go up.
func replicate(p project, locals []string, root string) (string, error) {
	dir := root
	for range levelsUp(locals) {
		dir = filepath.Join(dir, "up")
	}
	dir = filepath.Join(dir, "project")
	const ownerOnly = 0o700
	if err := os.MkdirAll(dir, ownerOnly); err != nil {
		return "", err
	}
	if err := copyPackagesFiles(p.Dir, dir); err != nil {
		return "", err
	}
	links := slices.Clone(locals)
	// Create a folder before what is in it.
	slices.SortFunc(links, func(a, b string) int { return len(filepath.Clean(a)) - len(filepath.Clean(b)) })
	for _, local := range links {
		link := resolveLocal(dir, local)
		if filepath.IsAbs(local) || exists(link) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(link), ownerOnly); err != nil {
			return "", err
		}
		if err := os.Symlink(resolveLocal(p.Dir, local), link); err != nil {
			return "", fmt.Errorf("local package %s: %w", local, err)
		}
	}
	return dir, nil
}

func copyPackagesFiles(from, to string) error {
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // its files are closed
	for _, name := range packagesFiles {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, data, private); err != nil {
			return err
		}
	}
	return nil
}

// levelsUp returns the largest number of folders that the local packages' paths go up.
func levelsUp(locals []string) int {
	most := 0
	for _, local := range locals {
		n := 0
		for _, part := range strings.Split(filepath.ToSlash(filepath.Clean(local)), "/") {
			if part == ".." {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
