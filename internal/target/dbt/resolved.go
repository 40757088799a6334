package dbt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Resolved are packages that PreviewDeps has resolved and that `dbt deps` will install. It names no folder on this
// machine. The members are in the order of their JSON names, so that equal values have equal JSON.
type Resolved struct {
	// Lock is package-lock.yml as dbt has written it.
	Lock string `json:"lock"`
	// Vars are the variables of `dbt deps`.
	Vars map[string]any `json:"vars,omitempty"`
}

// resolved returns the packages in a lock. Nil: the lock names none, or contains a secret.
func (c *CLI) resolved(l lock, d Deps) *Resolved {
	if len(l.Packages) == 0 || c.secrets.String(string(l.data)) != string(l.data) {
		return nil
	}
	return &Resolved{Lock: string(l.data), Vars: d.Vars}
}

// ListAfter is List for the project as it will be once `dbt deps` has installed the packages. dbt installs them in a
// copy, and reads everything else from the project itself. Nothing in the answer names the copy. ErrNoCopy: the
// packages can't be installed in a copy, so nobody knows what s selects before `dbt deps` has run.
func (c *CLI) ListAfter(ctx context.Context, s Selection, packages Resolved) (Listing, error) {
	if _, err := c.python(); errors.Is(err, ErrNoInterface) {
		return Listing{}, noCopy("dbt is started by a script, which reads the packages of the project itself.", err)
	}
	l, err := c.list(ctx, s, &packages)
	return l, afterDeps(err)
}

// after returns the project with packages that are not installed yet.
func (p project) after(packages Resolved) (project, error) {
	if p.InstallDynamic || !within(p.Dir, p.InstallPath) || p.InstallPath == p.Dir {
		return p, noCopy("The project installs its packages outside of its own folder.", nil)
	}
	var l lock
	if err := yaml.Unmarshal([]byte(packages.Lock), &l); err != nil || len(l.Packages) == 0 {
		return p, noCopy("The packages of the earlier step are unknown.", err)
	}
	p.Packages, p.Resolved = nil, &packages
	for _, e := range l.Packages {
		if e.Local != "" {
			p.Packages = append(p.Packages, resolveLocal(p.Dir, e.Local))
		}
	}
	return p, nil
}

// afterDeps adds to a problem with a selection that the project was read with packages that are not installed yet.
func afterDeps(err error) error {
	var p *problem.Problem
	if !errors.As(err, &p) || errors.Is(err, ErrNoCopy) {
		return err
	}
	said := *p
	said.Why = strings.TrimSuffix(p.Why, ".") + ". This is the project with the packages that dbt deps will install."
	said.Err = err
	return &said
}

func noCopy(why string, err error) error {
	return &problem.Problem{
		What: "The packages can't be installed in a copy of the project", Why: why,
		Next: "Install them with remediation_dbt_deps first. The next plan previews the models.",
		Err:  errors.Join(ErrNoCopy, err),
	}
}

// copies are this process's folders with installed packages, by a hash of everything that decides their content.
type copies struct {
	mu      sync.Mutex
	entries map[string]packagesCopy
}

type packagesCopy struct {
	at time.Time
	// root is removed at the end, and dir in it has the packages.
	root, dir string
	err       error
}

// get returns a copy. A failure to make it is returned for previewAge, because otherwise each selection would fetch the
// packages again.
func (s *copies) get(key string, now time.Time) (packagesCopy, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	return e, ok && (e.err == nil && exists(e.dir) || e.err != nil && now.Sub(e.at) < previewAge)
}

func (s *copies) put(key string, e packagesCopy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = map[string]packagesCopy{}
	}
	s.entries[key] = e
}

// remove removes all copies.
func (s *copies) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.root != "" {
			_ = os.RemoveAll(e.root) // otherwise it is removed with the other scratch folders
		}
	}
	clear(s.entries)
}

// installedCopy returns a folder with the packages of p.Resolved.
func (c *CLI) installedCopy(ctx context.Context, p project) (string, error) {
	locals, err := localPackages(p.Dir)
	if err != nil {
		return "", err
	}
	if err := c.checkPackageHosts(depsFiles(p, locals)); err != nil {
		return "", err
	}
	key, err := c.hash(ctx, depsFiles(p, locals), []any{"copy", p.Dir, p.Resolved})
	if err != nil {
		return "", err
	}
	return once(ctx, &c.flight, "copy "+key, func() (string, error) {
		if e, ok := c.copies.get(key, c.clk.Now()); ok {
			return e.dir, e.err
		}
		e := packagesCopy{at: c.clk.Now()}
		e.root, e.dir, e.err = c.installCopy(ctx, p, locals)
		if cause := context.Cause(ctx); cause != nil {
			_ = os.RemoveAll(e.root) // it may be incomplete
			return "", cause
		}
		c.copies.put(key, e)
		return e.dir, e.err
	})
}

// installCopy lets dbt install the packages in a copy of the files that name them. dbt installs exactly the packages
// that PreviewDeps has resolved, because package-lock.yml names them.
func (c *CLI) installCopy(ctx context.Context, p project, locals []string) (root, dir string, err error) {
	release, err := c.slot(ctx)
	if err != nil {
		return "", "", err
	}
	defer release()
	if root, err = c.scratch("packages-*"); err != nil {
		return "", "", err
	}
	replica, err := replicate(p, locals, filepath.Join(root, "copy"))
	if err != nil {
		return root, "", err
	}
	lockPath := filepath.Join(replica, lockName)
	if err := os.WriteFile(lockPath, []byte(p.Resolved.Lock), private); err != nil {
		return root, "", workDirProblem(lockPath, err)
	}
	argv := append([]string{c.cfg.Executable, "deps"}, varsOf(Selection{Vars: p.Resolved.Vars})...)
	run, err := c.start(ctx, launch{argv: argv, dir: filepath.Join(root, "run"), project: p, cwd: replica,
		scratch: true})
	if err != nil {
		return root, "", err
	}
	if _, err := c.packagesOf(ctx, run, depsFiles(p, locals)); err != nil {
		said := problem.Of(err, "dbt deps failed")
		return root, "", noCopy(said.What+": "+said.Why, err)
	}
	logging.Debug(ctx, logging.DBT, "packages installed in a copy", "packages", strings.Count(p.Resolved.Lock, "name:"))
	now, err := os.ReadFile(lockPath)
	if err != nil || !bytes.Equal(now, []byte(p.Resolved.Lock)) {
		return root, "", noCopy("packages.yml has changed since the packages were resolved.", err)
	}
	inside, err := filepath.Rel(p.Dir, p.InstallPath)
	return root, filepath.Join(replica, inside), err
}
