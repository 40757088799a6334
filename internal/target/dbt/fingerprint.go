package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// fingerprintVersion is part of every fingerprint. Change it when the meaning of cache entries changes.
const fingerprintVersion = "5"

// parsed are the extensions of the files that dbt reads: models, macros and tests, Python models, properties, docs,
// seeds.
var parsed = []string{".sql", ".py", ".yml", ".yaml", ".md", ".csv"}

// files returns the absolute paths of all files of the project that dbt reads, installed packages included, sorted.
// dbt's own output, .git, and anything else (databases, virtual environments) are left out.
func (c *CLI) files(p project) ([]string, error) {
	w := walker{skip: append([]string{}, p.Skip...), seen: map[string]bool{}, found: map[string]bool{}}
	if work, err := filepath.Abs(c.cfg.WorkDir); err == nil && c.cfg.WorkDir != "" {
		w.skip = append(w.skip, work)
	}
	roots := slices.Clone(p.Packages)
	for _, path := range append(c.modulePaths(p), p.Paths...) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.Dir, path)
		}
		roots = append(roots, path)
	}
	if p.Dynamic {
		roots = append(roots, p.Dir)
	}
	for _, root := range roots {
		if err := w.walk(root); err != nil {
			return nil, err
		}
	}
	if err := w.folder(p.Dir, false); err != nil {
		return nil, err
	}
	files := make([]string, 0, len(w.found))
	for path := range w.found {
		files = append(files, path)
	}
	slices.Sort(files)
	return files, nil
}

// modulePaths returns the folders from which profiles.yml lets models import Python modules, as they are written. One
// that only dbt can render is left out: the content of what is reviewed has its modules.
func (c *CLI) modulePaths(p project) (paths []string) {
	dir, err := c.profilesDir(p)
	if err != nil {
		return nil // reported where the profile is needed
	}
	data, err := os.ReadFile(filepath.Join(dir, "profiles.yml"))
	if err != nil {
		return nil
	}
	profiles, err := readYAML(data)
	if err != nil {
		return nil
	}
	for _, profile := range profiles {
		fields, _ := profile.(map[string]any)
		outputs, _ := fields["outputs"].(map[string]any)
		for _, output := range outputs {
			settings, _ := output.(map[string]any)
			folders, _ := settings["module_paths"].([]any)
			for _, folder := range folders {
				if path, ok := folder.(string); ok && !strings.Contains(path, "{{") {
					paths = append(paths, path)
				}
			}
		}
	}
	return paths
}

// walker collects files. Like dbt it follows symbolic links, but visits no folder twice.
type walker struct {
	skip  []string
	seen  map[string]bool
	found map[string]bool
}

func (w *walker) walk(dir string) error {
	if slices.Contains(w.skip, dir) || filepath.Base(dir) == ".git" {
		return nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if w.seen[real] {
		return nil
	}
	w.seen[real] = true
	return w.folder(dir, true)
}

func (w *walker) folder(dir string, deep bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		isDir := entry.IsDir()
		if entry.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			if err != nil {
				continue // dbt ignores dangling links too
			}
			isDir = info.IsDir()
		}
		switch {
		case isDir && deep:
			if err := w.walk(path); err != nil {
				return err
			}
		case isDir:
		case entry.Name() == ".dbtignore" || slices.Contains(parsed, strings.ToLower(filepath.Ext(path))):
			w.found[path] = true
		}
	}
	return nil
}

// sums returns the SHA-256 of each file's content, in the order of files.
func sums(ctx context.Context, files []string) ([][sha256.Size]byte, error) {
	all := make([][sha256.Size]byte, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range files {
		g.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }() // read only
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			h.Sum(all[i][:0])
			return nil
		})
	}
	return all, g.Wait()
}

// questionKey returns the cache key of the answer to question about a project whose fingerprint is state.
func questionKey(state string, question any) (string, error) {
	text, err := json.Marshal(question)
	sum := sha256.Sum256(append([]byte(state+"\x00"), text...))
	return hex.EncodeToString(sum[:]), err
}

// sharedFingerprint is fingerprint for many callers at once: a plan asks for it with each resource. No caller gets a
// fingerprint that was begun before it asked, because a file may have changed since.
func (c *CLI) sharedFingerprint(ctx context.Context, p project, s Selection) (string, error) {
	key, err := questionKey(p.Dir, []any{p.Resolved, s.State})
	if err != nil {
		return "", err
	}
	return c.fingerprints.do(ctx, key, func() (string, error) { return c.fingerprint(ctx, p, s) })
}

// parsedState is a parse, see reviewed.Parse, and the fingerprint of the files that it should have read.
type parsedState struct {
	parse int
	state string
}

// unchanged reports whether the files still have the fingerprint that they had before dbt read them. If they changed
// meanwhile, the answer belongs to no fingerprint. The files are compared once per parse.
func (c *CLI) unchanged(ctx context.Context, p project, s Selection, read parsedState) (bool, error) {
	if _, compared := c.compared.Load(read); compared && read.parse > 0 {
		return true, nil
	}
	now, err := c.sharedFingerprint(ctx, p, s)
	if err != nil || now != read.state {
		return false, err
	}
	c.compared.Store(read, true)
	return true, nil
}

// fingerprint hashes everything that could change dbt's answer: the project's files, the profiles, the artifacts in the
// state folder, the environment, dbt, and its packages. For dbt and its packages, it covers sizes and times instead of
// contents.
func (c *CLI) fingerprint(ctx context.Context, p project, s Selection) (string, error) {
	profiles, err := c.profilesDir(p)
	if err != nil {
		return "", err
	}
	files, err := c.files(p)
	if err != nil {
		return "", err
	}
	files = append(files, filepath.Join(profiles, "profiles.yml"))
	if path := p.dotEnvPath(); path != "" && c.readsDotEnv() {
		files = append(files, path)
	}
	return c.hash(ctx, append(files, p.stateFiles(s)...), []any{p.Dir, c.cfg.Target, p.Resolved})
}

// hash returns a hash of dbt, its environment, the question, and the contents of files.
func (c *CLI) hash(ctx context.Context, files []string, question []any) (string, error) {
	exe, err := c.executable()
	if err != nil {
		return "", err
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return "", err
	}
	info, err := os.Stat(exe)
	if err != nil {
		return "", err
	}
	env, err := c.environment(os.Environ(), nil)
	if err != nil {
		return "", err
	}
	contents, err := sums(ctx, files)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	head := []any{fingerprintVersion, exe, info.Size(), info.ModTime().UnixNano(), env, dbtPackages(exe), question}
	if err := json.NewEncoder(h).Encode(head); err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	for i, path := range files {
		_, _ = fmt.Fprintf(h, "%q %x\n", path, contents[i]) // a hash does not fail
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// dbtPackages identifies dbt's Python packages by their folders, whose names have the versions, and by the sizes and
// times of their RECORD files, which change when an adapter is installed again.
func dbtPackages(exe string) []string {
	found := packageFolders(exe)
	for i, folder := range found {
		if info, err := os.Stat(filepath.Join(folder, "RECORD")); err == nil {
			found[i] = fmt.Sprintf("%s %d %d", folder, info.Size(), info.ModTime().UnixNano())
		}
	}
	return found
}
