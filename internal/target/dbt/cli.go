package dbt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// DefaultExecutable is used if Config names none.
const DefaultExecutable = "dbt"

// DefaultGrace is how long an interrupted dbt may take to cancel its queries and write its results before it is killed.
const DefaultGrace = 30 * time.Second

// DefaultPackagesTimeout is how long a plan may take to resolve or fetch packages. dbt itself waits for a package hub
// for up to 3 min per package, and for a git host without a limit.
const DefaultPackagesTimeout = 3 * time.Minute

// Config says which dbt executable, project, and environment to use. It is checked when it is used.
type Config struct {
	// Executable is a name on the PATH or a path. Default: DefaultExecutable. Plans show it as given.
	Executable string
	// ProjectDir is the folder of dbt_project.yml. Required.
	ProjectDir string
	// ProfilesDir is the folder of profiles.yml. Default, as in dbt: the project's folder if the file is there, else
	// ~/.dbt.
	ProfilesDir string
	// Target is the name of the profile's target. Empty: the profile's default.
	Target string
	// Environment is added to the variables that the package documentation lists. Its values are treated as secrets,
	// except those of variables that dbt would also inherit and that are not credentials, such as AWS_REGION.
	Environment map[string]string
	// WorkDir is the folder for scratch files and caches, created when needed. Required for List and PreviewDeps.
	WorkDir string
	// Grace is how long an interrupted dbt may take to exit before it is killed. Zero: DefaultGrace.
	Grace time.Duration
	// PackagesTimeout is how long PreviewDeps, and ListAfter for its copy, may take to resolve or fetch packages. Zero:
	// DefaultPackagesTimeout.
	PackagesTimeout time.Duration
	// PackageHost returns why a plan must not resolve packages from host, or an empty string if it may. secret is the
	// name of the variable whose secret value would be sent to the host, or empty. Nil: every host may be used.
	PackageHost func(host, secret string) (why string)
	// Executables lists the programs that the runner's policy allows. Nil: all are allowed.
	Executables access.Executables
	// MayConnect returns why a plan must not connect to host with the profiles.yml in profilesDir, or an empty string
	// if it may. Nil: a plan may connect unless profiles.yml is in the project. DuckDB files have no host and are
	// always read.
	MayConnect func(profilesDir, host string) (why string)
}

// CLI is a dbt project driven through the dbt command. It is safe for concurrent use.
type CLI struct {
	cfg    Config
	clk    clock.Clock
	flight singleflight.Group
	// slots bounds how many dbt processes List and PreviewDeps run at once: each needs a processor and about 150 MB.
	slots   chan struct{}
	preview previews
	copies  copies
	secrets masker
	helper  *helper
	entries entries
	// fingerprints shares the hashing of the project's files, and compared has the parses after which the files were
	// compared, as parsedState.
	fingerprints shared[string]
	// hashed shares the hashing of dbt's programs.
	hashed   shared[[]proc.Program]
	compared sync.Map
	// runs counts the starts and ends of dbt processes. The warehouse may have changed after each of them.
	runs atomic.Int64
	// hasSecrets reports whether there are any secrets. Without secrets, artifacts are not searched.
	hasSecrets bool
}

// New returns a CLI for cfg. It does no I/O.
func New(cfg Config, clk clock.Clock) *CLI {
	if cfg.Executable == "" {
		cfg.Executable = DefaultExecutable
	}
	if cfg.Grace <= 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.PackagesTimeout <= 0 {
		cfg.PackagesTimeout = DefaultPackagesTimeout
	}
	secrets := secretsOf(cfg.Environment, os.Environ())
	c := &CLI{
		cfg: cfg, clk: clk,
		slots:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		secrets: masker{redact.New(secrets...)}, hasSecrets: len(secrets) > 0,
	}
	c.helper = &helper{cli: c, turn: make(chan struct{}, 1)}
	return c
}

// Name returns the target's name for messages and locks, "dbt:PROJECT/TARGET", from dbt_project.yml alone. TARGET is
// "default" if the profile decides. Errors: ErrProjectMissing, ErrProjectNotFolder, ErrNotAProject,
// ErrProjectMalformed.
func (c *CLI) Name(ctx context.Context) (string, error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	p, err := c.project()
	if err != nil {
		return "", err
	}
	target := c.cfg.Target
	if target == "" {
		target = "default"
	}
	return fmt.Sprintf("dbt:%s/%s", p.Name, target), nil
}

// executable returns the absolute path of dbt.
func (c *CLI) executable() (string, error) {
	path, err := exec.LookPath(c.cfg.Executable)
	if err == nil {
		if path, err = filepath.Abs(path); err != nil {
			return "", err
		}
		return path, c.allowed(path)
	}
	p := &problem.Problem{
		What: "dbt can't be executed",
		Path: []string{"dbt", "executable"},
		Err:  errors.Join(ErrExecutable, err),
	}
	if errors.Is(err, fs.ErrPermission) {
		p.Why = fmt.Sprintf("%s exists, but is not an executable file.", c.cfg.Executable)
		p.Next = "Make it executable (chmod +x), or set dbt.executable to the dbt command itself."
		return "", p
	}
	p.Why = fmt.Sprintf("%q was not found as a file or on the PATH.", c.cfg.Executable)
	p.Next = "Install dbt Core and the adapter of your warehouse (pip install dbt-core dbt-duckdb, for example), or " +
		"set dbt.executable to its path."
	return "", p
}

// allowed refuses a program that the runner's policy does not list. A listed dbt includes its interpreter.
func (c *CLI) allowed(path string) error {
	if err := c.cfg.Executables.Check(path); err != nil {
		return &problem.Problem{
			What: "This dbt may not be started", Why: err.Error() + ".",
			Next: "Nothing has been started. Use a dbt executable that the runner's policy lists in executables, or " +
				"add this one to the list.",
			Path: []string{"dbt", "executable"}, Err: errors.Join(ErrExecutable, err),
		}
	}
	return nil
}

// workDir creates and returns a folder below Config.WorkDir. Caches may name models, so only the owner can read them.
func (c *CLI) workDir(elem ...string) (string, error) {
	const private = 0o700
	if c.cfg.WorkDir == "" {
		return "", workDirProblem("(not set)", ErrWorkDir)
	}
	root, err := filepath.Abs(c.cfg.WorkDir)
	if err != nil {
		return "", workDirProblem(c.cfg.WorkDir, err)
	}
	dir := filepath.Join(append([]string{root}, elem...)...)
	if err := os.MkdirAll(dir, private); err != nil {
		return "", workDirProblem(dir, err)
	}
	return dir, nil
}

func workDirProblem(dir string, err error) error {
	return &problem.Problem{
		What: "The folder for dbt's scratch files can't be used",
		Why:  fmt.Sprintf("%s: %v", dir, err),
		Next: "Make the folder writable for the user that runs Terraform.",
		Err:  errors.Join(ErrWorkDir, err),
	}
}

// slot waits until another dbt process may run, and returns a function that frees its slot.
func (c *CLI) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
