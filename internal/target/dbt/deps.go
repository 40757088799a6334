package dbt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const lockName = "package-lock.yml"

// DepsChange describes what `dbt deps` would change.
type DepsChange struct {
	// Packages lists the packages that are installed or will be, sorted by name.
	Packages []PackageChange `json:"packages"`
	// LockChanges reports whether package-lock.yml would be rewritten.
	LockChanges bool `json:"lock_changes"`
	// DBTVersion is dbt Core's version.
	DBTVersion string `json:"dbt_version"`
	// Resolved are the packages as they will be installed, for ListAfter. Nil: there are none, or the lock contains a
	// secret.
	Resolved *Resolved `json:"resolved,omitempty"`
	// Programs are the executable and the RECORD file of dbt-core. They are hashed for each call of PreviewDeps.
	Programs []proc.Program `json:"-"`
}

// PackageChange is one package, now and after `dbt deps`.
type PackageChange struct {
	Name string `json:"name"`
	// Source is where it comes from, such as "dbt-labs/dbt_utils", "git https://..." or "local ../shared".
	Source string `json:"source"`
	// Now and Then are versions, or commits of a git package. Empty: not installed.
	Now  string `json:"now"`
	Then string `json:"then"`
}

// Changes reports whether the package would be installed, removed, or changed to another version.
func (p PackageChange) Changes() bool { return p.Now != p.Then }

// Deps are the options for an installation of packages.
type Deps struct {
	// Upgrade ignores the lock file and takes the newest versions that the project allows.
	Upgrade bool `json:"upgrade,omitempty"`
	// Vars are dbt variables, for --vars of `dbt deps` and `dbt compile`.
	Vars map[string]any `json:"vars,omitempty"`
}

// DepsCommands returns the arguments of `dbt deps` and of `dbt compile`, in this order.
func (c *CLI) DepsCommands(d Deps) [][]string {
	deps := []string{c.cfg.Executable, "deps"}
	if d.Upgrade {
		deps = append(deps, "--upgrade")
	}
	with := Selection{Vars: d.Vars}
	return [][]string{append(deps, varsOf(with)...), append([]string{c.cfg.Executable, "compile"}, c.common(with)...)}
}

// CheckInstalled compares package-lock.yml after an installation with the reviewed packages, which are versions by name
// as in PackageChange.Then. A branch of a git package can move between review and installation. Errors: ErrNotReviewed.
func (c *CLI) CheckInstalled(ctx context.Context, reviewed map[string]string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	p, err := c.project()
	if err != nil {
		return err
	}
	locked, err := readLock(p.Dir)
	if err != nil {
		return c.unreadable(err)
	}
	changes, err := c.compare(p, locked, locked)
	if err != nil {
		return err
	}
	now := map[string]string{}
	for _, change := range changes {
		now[change.Name] = change.Then
	}
	var differ []string
	for name := range now {
		if reviewed[name] != now[name] {
			differ = append(differ, fmt.Sprintf("%s is %s instead of %s", name, text.OrNone(now[name]),
				text.OrNone(reviewed[name])))
		}
	}
	for name, version := range reviewed {
		if _, ok := now[name]; !ok && version != "" {
			differ = append(differ, name+" is not installed")
		}
	}
	if len(differ) == 0 {
		return nil
	}
	slices.Sort(differ)
	return &problem.Problem{
		What: "dbt deps installed different packages than were reviewed",
		Why:  strings.Join(differ, ", ") + ".",
		Next: "Plan again, and review the new versions.",
		Err:  ErrNotReviewed,
	}
}

// previews caches this process's answers that depend on the package hub and git hosts.
type previews struct {
	mu      sync.Mutex
	entries map[string]freshPreview
}

type freshPreview struct {
	at     time.Time
	change DepsChange
}

// previewAge is how long a process reuses an answer from a remote host: long enough for all previews of one plan.
const previewAge = time.Minute

// PreviewDeps finds out what `dbt deps` would do: dbt resolves the packages (dbt deps --lock) in a copy of the files
// that name them. The project is only read. An answer that follows from the project's files alone (package-lock.yml is
// up to date, or all packages are local) is kept on disk. An answer from a package hub or a git host is kept in memory
// for previewAge only: branches move and new versions appear, and the next preview must see them.
func (c *CLI) PreviewDeps(ctx context.Context, d Deps) (DepsChange, error) {
	change, err := c.previewCached(ctx, d)
	if err == nil {
		change.Programs, err = c.programs(ctx, "")
	}
	return change, err
}

func (c *CLI) previewCached(ctx context.Context, d Deps) (DepsChange, error) {
	if err := c.refuseSecrets(d.Vars); err != nil {
		return DepsChange{}, err
	}
	p, err := c.project()
	if err != nil {
		return DepsChange{}, err
	}
	if err := c.checkInstalled(); err != nil {
		return DepsChange{}, err
	}
	if err := c.checkDotEnv(p); err != nil {
		return DepsChange{}, err
	}
	locals, err := localPackages(p.Dir)
	if err != nil {
		return DepsChange{}, err
	}
	if err := c.checkPackageHosts(depsFiles(p, locals)); err != nil {
		return DepsChange{}, err
	}
	now, err := installed(p)
	if err != nil {
		return DepsChange{}, err
	}
	key, err := c.hash(ctx, depsFiles(p, locals), []any{"deps", p.Dir, d, now})
	if err != nil {
		return DepsChange{}, err
	}
	dir, err := c.workDir("deps")
	if err != nil {
		return DepsChange{}, err
	}
	cached := filepath.Join(dir, key+".json")
	if change, ok := readCached[DepsChange](ctx, c, cached); ok {
		return change, nil
	}
	defer c.useEntry(ctx, cached)
	if change, ok := c.preview.get(key, c.clk.Now()); ok {
		return change, nil
	}
	return once(ctx, &c.flight, key, func() (DepsChange, error) {
		change, err := c.resolve(ctx, p, locals, d)
		if err != nil {
			return change, err
		}
		c.preview.put(key, freshPreview{c.clk.Now(), change})
		if !d.Upgrade && !change.LockChanges || change.allLocal() {
			c.writeCached(ctx, cached, change)
		}
		return change, nil
	})
}

func (c DepsChange) allLocal() bool {
	return !slices.ContainsFunc(c.Packages,
		func(p PackageChange) bool { return !strings.HasPrefix(p.Source, "local ") })
}

func (p *previews) get(key string, now time.Time) (DepsChange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[key]
	return e.change, ok && now.Sub(e.at) < previewAge
}

func (p *previews) put(key string, e freshPreview) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries == nil {
		p.entries = map[string]freshPreview{}
	}
	p.entries[key] = e
}

// resolve lets dbt write a package-lock.yml in a copy of the project, and compares it with the project's.
func (c *CLI) resolve(ctx context.Context, p project, locals []string, d Deps) (DepsChange, error) {
	release, err := c.slot(ctx)
	if err != nil {
		return DepsChange{}, err
	}
	defer release()
	scratch, err := c.scratch("deps-*")
	if err != nil {
		return DepsChange{}, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // only the answer matters
	replica, err := replicate(p, locals, filepath.Join(scratch, "copy"))
	if err != nil {
		return DepsChange{}, err
	}
	argv := []string{c.cfg.Executable, "deps", "--lock"}
	if d.Upgrade {
		argv = append(argv, "--upgrade")
	}
	argv = append(argv, varsOf(Selection{Vars: d.Vars})...)
	run, err := c.start(ctx, launch{argv: argv, dir: filepath.Join(scratch, "run"), project: p, cwd: replica,
		scratch: true})
	if err != nil {
		return DepsChange{}, err
	}
	end, err := c.packagesOf(ctx, run, depsFiles(p, locals))
	if old := c.checkCommand(ctx, p, end.summary.Version); old != nil && !errors.Is(err, ErrTimeout) {
		return DepsChange{}, old
	}
	if err != nil {
		return DepsChange{}, err
	}
	before, err := readLock(p.Dir)
	if err != nil {
		return DepsChange{}, c.unreadable(err)
	}
	after, err := readLock(replica)
	if err != nil {
		return DepsChange{}, c.unreadable(err)
	}
	changes, err := c.compare(p, before, after)
	if err != nil {
		return DepsChange{}, err
	}
	return DepsChange{
		Packages:    changes,
		LockChanges: !bytes.Equal(before.data, after.data),
		DBTVersion:  end.summary.Version,
		Resolved:    c.resolved(after, d),
	}, nil
}

// compare lists the packages that are installed or locked in after, each with its version now and then.
func (c *CLI) compare(p project, before, after lock) ([]PackageChange, error) {
	now, err := installed(p)
	if err != nil {
		return nil, err
	}
	byName := map[string]PackageChange{}
	for name, version := range now {
		change := PackageChange{Name: name, Source: "unknown", Now: version}
		if e, ok := before.find(name); ok {
			change.Source = e.source()
			if !commit.MatchString(version) { // a git package's own folder knows its commit better than the lock
				change.Now = e.version(p.Dir)
			}
		}
		byName[name] = change
	}
	for _, e := range after.Packages {
		change := byName[e.name()]
		change.Name, change.Source, change.Then = e.name(), e.source(), e.version(p.Dir)
		byName[change.Name] = change
	}
	changes := make([]PackageChange, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		change := byName[name]
		change.Source = c.secrets.String(change.Source)
		changes = append(changes, change)
	}
	return changes, nil
}
