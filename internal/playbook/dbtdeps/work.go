package dbtdeps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// stages are the folders of an execution in which its commands keep their artifacts, in the order of DepsCommands.
var stages = []string{"deps", "compile"}

const (
	// searched is how many executions are searched for the previous one whose warnings are known.
	searched = 20
	// shownWarnings is how many warnings the details contain at most. The rest is in the logs.
	shownWarnings = 20
)

// progress is journaled before each stage except the first.
type progress struct {
	Stage int `json:"stage"`
}

// Dispatch implements playbook.Logic. The packages are saved before the first command starts.
func (a action) Dispatch(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	if err := a.dbt.SavePackages(ctx, saved(job)); err != nil {
		return nil, err
	}
	w := &work{action: a, job: job, reviewed: facts.Versions}
	return w, w.start(ctx)
}

// Adopt implements playbook.Logic.
func (a action) Adopt(ctx context.Context, job playbook.Job, facts Facts) (playbook.Work, error) {
	var p progress
	if job.Progress != nil {
		if err := json.Unmarshal(job.Progress, &p); err != nil {
			return nil, fmt.Errorf("progress of execution %d: %w", job.ID, err)
		}
	}
	w := &work{action: a, job: job, stage: p.Stage, reviewed: facts.Versions}
	id := job.RemoteID
	if w.stage > 0 {
		id = "" // the journal has the first command's name only; the folder has that of each command
	}
	var err error
	w.run, err = a.dbt.Attach(ctx, w.dir(), id)
	switch {
	case errors.Is(err, dbt.ErrNeverStarted) && w.stage == 0:
		return nil, playbook.NeverBegan(err, dbt.ErrNeverStarted)
	case errors.Is(err, dbt.ErrNeverStarted):
		w.run = nil // the process died between two commands: Wait continues with the next one
	case err != nil:
		// The state of the packages is unknown too if the state of the command is: restoring the old packages makes the
		// outcome known.
		w.lost = err
	}
	if w.first = job.RemoteID; w.first == "" && w.run != nil {
		w.first = w.run.ID()
	}
	return w, nil
}

func saved(job playbook.Job) string { return filepath.Join(job.Dir, "packages") }

type work struct {
	action
	job   playbook.Job
	stage int
	// reviewed are the versions that were reviewed, by package.
	reviewed map[string]string
	// run is the stage's command. Nil: it has not been started.
	run *dbt.Run
	// first is the name of the first command's process.
	first string
	// lost is why an adopted command could not be found.
	lost error
}

func (w *work) dir() string { return filepath.Join(w.job.Dir, stages[w.stage]) }

func (w *work) start(ctx context.Context) error {
	var err error
	w.run, err = w.dbt.Start(ctx, w.dbt.DepsCommands(w.params.deps())[w.stage], w.dir())
	if err == nil && w.stage == 0 {
		w.first = w.run.ID()
	}
	return err
}

// RemoteID implements playbook.Work.
func (w *work) RemoteID() string { return w.first }

// Wait implements playbook.Work.
func (w *work) Wait(ctx context.Context) (playbook.Report, error) {
	out, warnings, err := w.wait(ctx)
	out.Details = w.logs()
	named, noun := w.named(ctx, warnings)
	if len(named) > 0 {
		out.Details["warnings"] = strings.Join(named[:min(len(named), shownWarnings)], "\n")
	}
	if err == nil {
		out.Message = "Packages are installed and the project compiles"
		if len(named) > 0 {
			out.Message += ", with " + text.Count(int64(len(named)), noun) + ": " + named[0]
		}
		return out, nil
	}
	// Also after an interrupt: partially installed packages are removed.
	if restoreErr := w.dbt.RestorePackages(context.WithoutCancel(ctx), saved(w.job)); restoreErr != nil {
		return out, errors.Join(playbook.ErrUncertain, err, restoreErr)
	}
	out.Details["packages"] = "restored"
	p := *problem.Of(err, "dbt failed")
	if environmental(err) {
		p.Why = strings.TrimSuffix(p.Why, ".") + ". The packages are not the reason."
	}
	p.Next += " The previous packages were restored."
	p.Err = err
	return out, &p
}

// named returns the warnings that are not in the logs of the previous execution, and the noun for them. If there is no
// such execution, or its logs are not on this machine, it returns all warnings.
func (w *work) named(ctx context.Context, warnings []string) (named []string, noun string) {
	known, ok := w.previous(ctx)
	if !ok {
		return warnings, "warning"
	}
	return slices.DeleteFunc(slices.Clone(warnings), func(warning string) bool {
		return slices.Contains(known, warning)
	}), "new warning"
}

// previous returns the warnings of the previous execution that got as far as compiling.
func (w *work) previous(ctx context.Context) (warnings []string, ok bool) {
	past, err := playbook.PastOf(ctx, searched)
	if err != nil {
		return nil, false // all warnings are named
	}
	for _, p := range past {
		if p.Details[logDetail(stages[len(stages)-1])] == "" {
			continue
		}
		for _, stage := range stages {
			at, err := url.Parse(p.Details[logDetail(stage)])
			if err != nil {
				return nil, false
			}
			found, ok := w.dbt.Warnings(filepath.Dir(at.Path))
			if !ok {
				return nil, false
			}
			warnings = append(warnings, found...)
		}
		return warnings, true
	}
	return nil, false
}

// logDetail returns the name of the detail that contains the address of a stage's log.
func logDetail(stage string) string { return stage + "_log" }

// environmental reports whether a command failed because of the database and not because of the packages.
func environmental(err error) bool {
	return slices.ContainsFunc([]error{dbt.ErrLocked, dbt.ErrConnection, dbt.ErrTimeout, dbt.ErrPermission},
		func(reason error) bool { return errors.Is(err, reason) })
}

// logs returns details with the addresses of the logs of all commands so far.
func (w *work) logs() map[string]string {
	found := map[string]string{}
	for _, stage := range stages[:w.stage+1] {
		found[logDetail(stage)] = playbook.FileURL(filepath.Join(w.job.Dir, stage, dbt.LogName))
	}
	return found
}

// wait runs the commands, and returns their warnings.
func (w *work) wait(ctx context.Context) (out playbook.Report, warnings []string, err error) {
	if w.lost != nil {
		return out, nil, w.lost
	}
	for {
		if w.run == nil {
			if err := w.start(ctx); err != nil {
				return out, warnings, err
			}
		}
		result, err := w.run.Wait(ctx)
		out.LogsURL = playbook.FileURL(result.LogPath)
		warnings = append(warnings, result.Warnings...)
		if err == nil && w.stage == 0 {
			err = w.dbt.CheckInstalled(ctx, w.reviewed)
		}
		if err != nil || w.stage == len(stages)-1 {
			return out, warnings, err
		}
		if err := w.job.Checkpoint(ctx, progress{Stage: w.stage + 1}); err != nil {
			return out, warnings, err
		}
		w.stage++
		w.run = nil
	}
}
