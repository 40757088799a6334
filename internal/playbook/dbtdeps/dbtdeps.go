// Package dbtdeps is the playbook refresh_dbt_dependencies: it reinstalls the packages of a dbt project and compiles
// the project. If the compilation fails, it restores the old packages.
package dbtdeps

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// ActionType is the playbook's name in the history.
const ActionType = "refresh_dbt_dependencies"

// Estimates, from the playbooks' specification.
const (
	estimate = 2 * time.Minute
	costUSD  = 0.01
)

// DBT is what the playbook needs from dbt.
type DBT interface {
	// Name names the project and target.
	Name(ctx context.Context) (string, error)
	// DepsCommands returns the commands in order: install, then compile.
	DepsCommands(d dbt.Deps) [][]string
	// PreviewDeps finds out on a copy what would be installed. The project is not changed.
	PreviewDeps(ctx context.Context, d dbt.Deps) (dbt.DepsChange, error)
	// SavePackages copies the installed packages and the lock file into dir.
	SavePackages(ctx context.Context, dir string) error
	// RestorePackages restores what SavePackages copied, byte for byte.
	RestorePackages(ctx context.Context, dir string) error
	// CheckInstalled compares what is installed with what was reviewed: versions by package.
	CheckInstalled(ctx context.Context, reviewed map[string]string) error
	// Start starts a command with its artifacts in dir.
	Start(ctx context.Context, argv []string, dir string) (*dbt.Run, error)
	// Warnings returns the warnings in the log of an earlier command, or false if the log can't be read.
	Warnings(dir string) ([]string, bool)
	// Attach finds the command that Start started before the process that called it died.
	Attach(ctx context.Context, dir, id string) (*dbt.Run, error)
}

// New returns the playbook.
func New(cli DBT) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] { return action{dbt: cli, params: p} })
}

// Describe returns the playbook without its target.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Validate: func(p params) (params, error) {
		return p, dbt.CheckVars(p.Vars)
	}}
}

// page is the playbook's page in the catalogue.
func page() playbook.Metadata {
	return playbook.Metadata{
		ActionType: ActionType,
		Summary: "reinstalls the packages of a dbt project, then compiles it; if that fails, it restores the " +
			"previous packages",
		Use:      []string{"outdated packages", "a dependency conflict", "a macro that is not found"},
		Approval: "never needed",
		Duration: fmt.Sprintf("%.0f s", estimate.Seconds()),
		Cost:     fmt.Sprintf("USD %.2f", costUSD),
		Undo:     "not needed, idempotent",
	}
}

// params are the playbook's inputs.
type params struct {
	// Upgrade ignores the lock file and takes the newest versions that the project allows.
	Upgrade bool `json:"upgrade"`
	// Vars are dbt variables that compiling the project needs.
	Vars map[string]any `json:"vars,omitempty"`
	// TaskID is a reference of the caller, kept in the history.
	TaskID string `json:"task_id"`
}

func (p params) deps() dbt.Deps { return dbt.Deps{Upgrade: p.Upgrade, Vars: p.Vars} }

type action struct {
	dbt    DBT
	params params
}

// Facts are what must still be true at apply.
type Facts struct {
	// Packages are those that would change.
	Packages []Package `json:"packages"`
	// LockChanges reports whether package-lock.yml would change.
	LockChanges bool `json:"package_lock_changes"`
	// DBTVersion is the version that resolved the packages.
	DBTVersion string `json:"dbt_version"`
	// Versions are all packages as they will be installed, by name.
	Versions map[string]string `json:"versions"`
}

// Package is a package whose version would change.
type Package struct {
	Name string `json:"name"`
	// Current is the installed version; empty if it is not installed. Planned is empty if it would be removed.
	Current string `json:"current"`
	Planned string `json:"planned"`
}

// Target implements playbook.Logic.
func (a action) Target(ctx context.Context) (string, error) { return a.dbt.Name(ctx) }

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	change, err := a.dbt.PreviewDeps(ctx, a.params.deps())
	if err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	facts := Facts{LockChanges: change.LockChanges, DBTVersion: change.DBTVersion, Packages: []Package{},
		Versions: map[string]string{}}
	p := playbook.Preview{
		Summary: "Will reinstall the packages of the dbt project and compile it", Duration: estimate, CostUSD: costUSD,
		Risk: playbook.RiskLow, Affected: []string{"dbt"}, Undo: page().Undo,
		Programs: change.Programs,
	}
	p.Changes = []string{p.Summary}
	for _, c := range change.Packages {
		if c.Then != "" {
			facts.Versions[c.Name] = c.Then
		}
		if c.Now == c.Then {
			continue
		}
		facts.Packages = append(facts.Packages, Package{Name: c.Name, Current: c.Now, Planned: c.Then})
		p.Changes = append(p.Changes, fmt.Sprintf("Package %s: %s becomes %s", c.Name, orNone(c.Now), orNone(c.Then)))
	}
	if p.Keeps = len(facts.Packages) == 0 && !change.LockChanges; !p.Keeps && change.Resolved != nil {
		p.Projection = change.Resolved
	}
	if len(facts.Packages) == 0 {
		p.Changes = append(p.Changes, "No package changes its version")
	}
	if change.LockChanges {
		p.Changes = append(p.Changes, "package-lock.yml is rewritten")
	} else {
		p.Changes = append(p.Changes, "package-lock.yml stays as it is")
	}
	p.Changes = append(p.Changes, "If the project does not compile with them, the previous packages are restored")
	for _, argv := range a.dbt.DepsCommands(a.params.deps()) {
		p.Commands = append(p.Commands, dbt.Line(argv))
	}
	return p, facts, nil
}

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}
