package dbt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Run is a dbt process, started by this process or by one that has died.
type Run struct {
	cli     *CLI
	dir     string
	scratch bool // dir is a scratch folder, which the caller removes
	record  record
	logs    []*tail
	// done is closed when our child process has ended, after exit is set. It is nil for an adopted process.
	done chan struct{}
	exit error
}

// record is process.json. It is first written without a process, which distinguishes an incomplete start from no start.
type record struct {
	Process proc.Identity `json:"process"`
	Argv    []string      `json:"argv"`
	Started time.Time     `json:"started"`
	// Expected is what may run, if it was reviewed.
	Expected *expected `json:"expected,omitempty"`
}

// launch is a dbt process to start.
type launch struct {
	argv    []string
	dir     string // for logs and artifacts
	project project
	cwd     string // default: the project's folder
	scratch bool
	// reviewed is compared with what dbt parses, right before the first statement. Nil: argv is run as it is.
	reviewed *Reviewed
	// byFiles reports that only the files were compared with reviewed.
	byFiles bool
}

// Start starts dbt with argv (see RunCommand and DepsCommands) in the project's folder and returns at once. It creates
// dir for logs and artifacts. dbt outlives ctx and this process; Attach finds it again. After an error nothing runs.
func (c *CLI) Start(ctx context.Context, argv []string, dir string) (*Run, error) {
	p, err := c.project()
	if err != nil {
		return nil, err
	}
	return c.start(ctx, launch{argv: argv, dir: dir, project: p})
}

func (c *CLI) start(ctx context.Context, l launch) (*Run, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	cmd, err := c.command(ctx, &l)
	if err != nil {
		return nil, err
	}
	r := &Run{cli: c, dir: l.dir, scratch: l.scratch, logs: c.tails(l.dir)}
	var expects *expected
	if l.reviewed != nil {
		if expects, err = l.reviewed.expected(c.cfg.Target); err != nil {
			return nil, err
		}
	}
	r.record = record{Argv: make([]string, len(l.argv)), Started: c.clk.Now(), Expected: expects}
	for i, arg := range l.argv {
		r.record.Argv[i] = c.secrets.String(arg)
	}
	if err := r.recordIntent(); err != nil {
		return nil, err
	}
	c.runs.Add(1)
	if err := r.launch(cmd); err != nil {
		return nil, errors.Join(err, os.Remove(filepath.Join(l.dir, recordFile)))
	}
	return r, nil
}

// command prepares the process. Only argv decides what runs.
func (c *CLI) command(ctx context.Context, l *launch) (*exec.Cmd, error) {
	exe, err := c.executable()
	if err != nil {
		return nil, err
	}
	if l.dir, err = filepath.Abs(l.dir); err != nil {
		return nil, workDirProblem(l.dir, err)
	}
	const ownerOnly = 0o700
	if err := os.MkdirAll(filepath.Join(l.dir, targetFolder), ownerOnly); err != nil {
		return nil, workDirProblem(l.dir, err)
	}
	if l.cwd == "" {
		l.cwd = l.project.Dir
	}
	own := c.variables(l.cwd, l.dir)
	switch dir, err := c.profilesDir(l.project); {
	case err == nil:
		own["DBT_PROFILES_DIR"] = dir
	case !isDeps(l.argv): // dbt deps needs no profile
		return nil, err
	}
	if l.reviewed != nil && l.byFiles && l.reviewed.Execution != "" {
		own[executionVariable] = l.reviewed.Execution
	}
	if err := c.checkDotEnv(l.project); err != nil {
		return nil, err
	}
	parent := os.Environ()
	if l.scratch { // a preview, not an execution
		parent = withoutCredentials(parent)
	}
	env, err := c.environment(parent, own)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), exe)
	cmd.Args, cmd.Dir, cmd.Env = l.argv, l.cwd, env
	if l.reviewed != nil && !l.byFiles {
		return cmd, c.throughInterface(ctx, cmd, *l)
	}
	return cmd, nil
}

// variables returns the variables that set dbt's folders and its log. dir gets the log and the artifacts.
func (c *CLI) variables(projectDir, dir string) map[string]string {
	return map[string]string{
		"DBT_PROJECT_DIR": projectDir, "DBT_TARGET_PATH": filepath.Join(dir, targetFolder), "DBT_LOG_PATH": dir,
		"DBT_LOG_FORMAT": "json", "DBT_LOG_LEVEL": "info", "DBT_LOG_LEVEL_FILE": "none", "DBT_USE_COLORS": "false",
		"DBT_QUIET": "false", "DBT_PRINT": "true", "DBT_WRITE_JSON": "true", "DBT_SHOW_RESOURCE_REPORT": "true",
		"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "GIT_TERMINAL_PROMPT": "0", "PYTHONUNBUFFERED": "1",
	}
}

// recordIntent writes the record without a process. An existing record is an error: each folder is for one start.
func (r *Run) recordIntent() error {
	f, err := os.OpenFile(filepath.Join(r.dir, recordFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: dbt was started for this folder before: %w", r.dir, err)
	}
	if err != nil {
		return workDirProblem(r.dir, err)
	}
	return errors.Join(json.NewEncoder(f).Encode(r.record), f.Sync(), f.Close())
}

// launch starts cmd and records it. After an error, nothing is left running.
func (r *Run) launch(cmd *exec.Cmd) error {
	for name, to := range map[string]*io.Writer{rawLog: &cmd.Stdout, rawStderr: &cmd.Stderr} {
		f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, private)
		if err != nil {
			return workDirProblem(r.dir, err)
		}
		defer func() { _ = f.Close() }() // dbt has its own descriptor
		*to = f
	}
	if err := startGroup(cmd); err != nil {
		return &problem.Problem{
			What: "dbt can't be executed",
			Why:  err.Error(),
			Next: "Check that dbt.executable is the dbt command of a working Python environment.",
			Path: []string{"dbt", "executable"},
			Err:  errors.Join(ErrExecutable, err),
		}
	}
	r.done = make(chan struct{})
	r.record.Process = proc.Identify(cmd.Process.Pid)
	go func() {
		r.exit = cmd.Wait()
		close(r.done)
	}()
	if err := r.save(); err != nil {
		err = errors.Join(err, killGroup(r.record.Process.PID))
		<-r.done
		return workDirProblem(r.dir, err)
	}
	return nil
}

// save writes the record with the process.
func (r *Run) save() error {
	data, err := json.Marshal(r.record)
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(r.dir, recordFile), data)
}

// Attach finds the process that an earlier Start left in dir. id is the Run.ID at that time, or empty if it is unknown.
// The Run's Wait waits for a live process, or reads the result of one that has ended. Errors: ErrNeverStarted if
// nothing was started, ErrOutcomeUnknown if dbt has ended without leaving a result.
func (c *CLI) Attach(ctx context.Context, dir, id string) (*Run, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) && id == "" {
		return nil, fmt.Errorf("%s: %w", dir, ErrNeverStarted)
	}
	if err != nil {
		return nil, c.unknown(dir, err.Error())
	}
	r := &Run{cli: c, dir: dir, logs: c.tails(dir)}
	if err := json.Unmarshal(data, &r.record); err != nil {
		return nil, c.unknown(dir, recordFile+": "+err.Error())
	}
	if id != "" && r.ID() != id {
		return nil, c.unknown(dir, fmt.Sprintf("%s names %s, not %s", recordFile, r.ID(), id))
	}
	if !r.alive() && !r.hasResult() {
		return nil, c.unknown(dir, r.gist())
	}
	return r, nil
}

// gist says why the outcome can't be determined.
func (r *Run) gist() string {
	const nothing = "left neither a complete run_results.json nor the end of its log"
	switch p := r.record.Process; {
	case p.PID == 0:
		return "this provider died while it was starting dbt"
	case p.Liveness() == proc.Unknown:
		return fmt.Sprintf("dbt, %s, can't be observed from here, and it %s so far", p, nothing)
	default:
		return fmt.Sprintf("dbt, %s, no longer runs, and it %s", p, nothing)
	}
}

func (c *CLI) unknown(dir, why string) error {
	return &problem.Problem{
		What: "The outcome of the dbt run is not known",
		Why:  fmt.Sprintf("%s: %s.", dir, why),
		Next: "Look at the log in that folder and at the models in the warehouse, then change triggers to run again.",
		Err:  ErrOutcomeUnknown,
	}
}

// ID identifies the process by its PID, its start, and the boot of its host, so a reused PID is not mistaken for it.
func (r *Run) ID() string {
	p := r.record.Process
	return fmt.Sprintf("%d-%d-%s", p.PID, p.Started, p.Boot)
}

// alive reports whether the process is known to be alive.
func (r *Run) alive() bool {
	if r.done != nil {
		select {
		case <-r.done:
			return false
		default:
			return true
		}
	}
	return r.record.Process.PID > 0 && r.record.Process.Liveness() == proc.Alive
}

// hasResult reports whether a dead process has left enough to determine its outcome.
func (r *Run) hasResult() bool {
	s, err := summarize(r.log())
	if err == nil && s.Finished {
		return true
	}
	_, err = readResults(filepath.Join(r.dir, targetFolder))
	return err == nil || exists(filepath.Join(r.dir, refusalFile))
}

// log returns the path of dbt's log: the private one as long as it exists.
func (r *Run) log() string {
	if raw := filepath.Join(r.dir, rawLog); exists(raw) {
		return raw
	}
	return filepath.Join(r.dir, eventsFile)
}

func (c *CLI) tails(dir string) []*tail {
	return []*tail{
		{raw: filepath.Join(dir, rawLog), public: filepath.Join(dir, eventsFile), secrets: c.secrets},
		{raw: filepath.Join(dir, rawLog), public: filepath.Join(dir, logFile), secrets: c.secrets, render: readable},
		{raw: filepath.Join(dir, rawStderr), public: filepath.Join(dir, stderrFile), secrets: c.secrets},
	}
}

func isDeps(argv []string) bool { return len(argv) > 1 && argv[1] == "deps" }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
