package dbt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// pollEvery is how often a running dbt is polled: its log is copied, and an adopted process is checked.
	pollEvery = 200 * time.Millisecond
	// killWait is how long a killed process may take to exit.
	killWait = 5 * time.Second
)

// ending is how an invocation of dbt ended.
type ending struct {
	run     *Run
	summary summary
	results runResults
	known   bool  // results were read
	ctxErr  error // why it was stopped, or nil
	ioErr   error // an error with its files or its process
}

func (e ending) nodes() []NodeResult { return e.run.cli.nodes(e.results, e.summary.Causes) }

// Wait returns when dbt has ended. If ctx ends first, dbt is interrupted as with Ctrl-C, and killed if it still runs
// after Config.Grace. The error then wraps the cause of ctx, and the Result contains the models that were done. After a
// failure, the error names the models that failed, or says why dbt stopped.
func (r *Run) Wait(ctx context.Context) (Result, error) {
	e := r.end(ctx)
	result := Result{
		LogPath: filepath.Join(r.dir, logFile), EventsPath: filepath.Join(r.dir, eventsFile),
		TargetPath: filepath.Join(r.dir, targetFolder), Seconds: max(e.summary.Seconds, e.results.Elapsed),
	}
	result.Nodes, result.Hooks = split(e.nodes())
	result.Warnings = r.cli.maskList(e.summary.Warnings)
	err := e.failure()
	logging.Debug(ctx, logging.DBT, "dbt ended", "pid", r.record.Process.PID, "models", len(result.Nodes),
		"seconds", result.Seconds, "failed", err != nil)
	return result, err
}

// end waits for dbt, stops it if ctx ends, reads the results, and masks secrets.
func (r *Run) end(ctx context.Context) ending {
	e := ending{run: r}
	defer r.cli.runs.Add(1)
	e.ctxErr = r.await(ctx)
	if e.ctxErr != nil {
		e.ioErr = r.stop(context.WithoutCancel(ctx))
	}
	var err error
	e.summary, err = summarize(r.log())
	e.ioErr = errors.Join(e.ioErr, err)
	target := filepath.Join(r.dir, targetFolder)
	e.results, err = readResults(target)
	e.known = err == nil
	if !r.alive() {
		e.ioErr = errors.Join(e.ioErr, r.finishLogs(target))
	}
	return e
}

// await returns nil when dbt has ended, or the cause of ctx if that ends first.
func (r *Run) await(ctx context.Context) error {
	wake, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-r.done: // nil, so never ready, for an adopted process
		case <-wake.Done():
		}
		stop()
	}()
	for r.alive() {
		_ = r.pump(false) // a failed copy must not stop dbt; finishLogs tries again and returns the error
		if err := r.cli.clk.Sleep(wake, pollEvery); err != nil && ctx.Err() != nil && r.alive() {
			return context.Cause(ctx)
		}
	}
	return nil
}

// stop interrupts dbt, waits for it, and kills it if it does not exit.
func (r *Run) stop(ctx context.Context) error {
	err := interruptGroup(r.record.Process.PID)
	if r.awaitExit(ctx, r.cli.cfg.Grace) {
		return err
	}
	err = errors.Join(err, killGroup(r.record.Process.PID))
	if !r.awaitExit(ctx, killWait) {
		err = errors.Join(err, fmt.Errorf("%s is still running after SIGKILL", r.record.Process))
	}
	return err
}

// awaitExit waits until dbt has exited, at most for limit, and reports whether it has.
func (r *Run) awaitExit(ctx context.Context, limit time.Duration) bool {
	deadline := r.cli.clk.Now().Add(limit)
	for r.alive() && r.cli.clk.Now().Before(deadline) {
		if r.cli.clk.Sleep(ctx, pollEvery) != nil {
			return !r.alive()
		}
	}
	return !r.alive()
}

func (r *Run) pump(last bool) error {
	var errs []error
	for _, t := range r.logs {
		errs = append(errs, t.pump(last))
	}
	return errors.Join(errs...)
}

// finishLogs completes the public logs, masks the artifacts, and then removes the private logs.
func (r *Run) finishLogs(target string) error {
	if err := errors.Join(r.pump(true), r.cli.maskArtifacts(target)); err != nil {
		return err
	}
	var errs []error
	for _, t := range r.logs {
		if err := os.Remove(t.raw); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// failure returns why the invocation failed, or nil if it succeeded.
func (e ending) failure() error {
	c := e.run.cli
	switch {
	case e.ctxErr != nil:
		return e.stopProblem()
	case e.refused() != nil:
		return c.mask(e.refused())
	case len(e.run.record.Expected.differs(e.results, e.succeeded())) > 0:
		return c.mask(ranAnother(e.run.record.Expected.differs(e.results, e.succeeded())))
	case e.succeeded():
		if e.ioErr != nil {
			return fmt.Errorf("dbt succeeded, but its log or artifacts can't be kept: %s: %w",
				c.secrets.String(e.ioErr.Error()), ErrUnhandled)
		}
		return nil
	case e.run.done == nil && !e.summary.Finished && !e.known:
		return c.unknown(e.run.dir, e.run.gist())
	default:
		return c.mask(e.explain())
	}
}

// succeeded reports whether dbt succeeded according to its results and its log and, if it was our child process, its
// exit status. A status of 0 alone is not enough: a wrapper can return any status.
func (e ending) succeeded() bool {
	for _, n := range e.nodes() {
		if n.Failed() {
			return false
		}
	}
	switch {
	case e.summary.Interrupted, e.run.record.Expected != nil && !e.known:
		return false
	case e.summary.Finished && !e.summary.Success:
		return false
	case e.run.done != nil:
		return e.run.exit == nil
	default:
		return e.summary.Finished || e.known
	}
}

func (e ending) stopProblem() error {
	done := 0
	for _, n := range e.nodes() {
		if n.Status == "success" && !n.IsHook() {
			done++
		}
	}
	p := &problem.Problem{
		What: "The dbt run was stopped",
		Why:  fmt.Sprintf("%s; %s done by then%s.", e.cause(), text.Count(int64(done), "model"), e.unfinished()),
		Next: "Apply again to run it.",
		Err:  errors.Join(ErrCancelled, e.ctxErr),
	}
	if e.ioErr != nil {
		p.Why += " " + e.ioErr.Error() + "."
	}
	var late interface{ Timeout() bool }
	if errors.As(e.ctxErr, &late) && late.Timeout() {
		p.What = "The dbt run did not end in time"
		p.Next = "Check the warehouse. Run fewer models, or use more threads."
		p.Err = errors.Join(p.Err, ErrTimeout)
	}
	return e.run.cli.mask(p)
}

// cause says why the run was stopped.
func (e ending) cause() string {
	if errors.Is(e.ctxErr, context.Canceled) {
		return "The apply was interrupted"
	}
	return e.ctxErr.Error()
}

// unfinished lists the models that had started and did not succeed, at most ten.
func (e ending) unfinished() string {
	const most = 10
	succeeded := map[string]bool{}
	for _, r := range e.results.Results {
		succeeded[r.UniqueID] = r.Status == "success"
	}
	var names []string
	for _, id := range e.summary.Started {
		if !succeeded[id] && len(names) < most {
			names = append(names, nameOf(id))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ", unfinished: " + strings.Join(names, ", ")
}

// status describes how our child process exited.
func (e ending) status() string {
	var exit *exec.ExitError
	if errors.As(e.run.exit, &exit) {
		return exit.String()
	}
	return "unknown"
}
