package dbt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Reviewed is what an execution may run; nothing else may run.
type Reviewed struct {
	Selection Selection
	// Content and Identity are those of the reviewed Listing.
	Content  json.RawMessage
	Identity json.RawMessage
	// Programs are those of the Listing. Empty: they are not compared.
	Programs []proc.Program
	// Execution names the execution in the comment of each query, or in DBT_ENV_CUSTOM_ENV_REMEDIATION_EXECUTION if dbt
	// is not started through its interface. Optional.
	Execution string
}

// executionVariable is the variable that names the execution for dbt's metadata and for macros.
const executionVariable = "DBT_ENV_CUSTOM_ENV_REMEDIATION_EXECUTION"

// StartReviewed starts the command of RunCommand and runs exactly what was reviewed: dbt's own entry point is started
// by a program that compares what dbt has parsed and selected with r, and then runs that same object. If they differ,
// nothing runs, and Wait returns ErrNotReviewed. If the programs differ, nothing is started. With any other executable,
// only the files and the executable can be compared, right before it starts.
func (c *CLI) StartReviewed(ctx context.Context, r Reviewed, dir string) (*Run, error) {
	p, err := c.project()
	if err != nil {
		return nil, err
	}
	if err := c.comparePrograms(ctx, r); err != nil {
		return nil, err
	}
	switch _, err := c.python(); {
	case errors.Is(err, ErrNoInterface):
		if err := c.compareFiles(ctx, p, r); err != nil {
			return nil, err
		}
		return c.start(ctx, launch{argv: c.RunCommand(r.Selection), dir: dir, project: p, reviewed: &r, byFiles: true})
	case err != nil:
		return nil, err
	}
	return c.start(ctx, launch{argv: c.RunCommand(r.Selection), dir: dir, project: p, reviewed: &r})
}

// compareFiles refuses a project whose files differ from the reviewed ones.
func (c *CLI) compareFiles(ctx context.Context, p project, r Reviewed) error {
	now, _, err := c.fileContent(ctx, p, nil)
	if err != nil {
		return err
	}
	var before, after struct {
		Files      map[string]string `json:"files"`
		Profiles   string            `json:"profiles"`
		Executable string            `json:"executable"`
	}
	if err := errors.Join(json.Unmarshal(r.Content, &before), json.Unmarshal(now, &after)); err != nil {
		return fmt.Errorf("compare the files of the dbt project: %w", err)
	}
	differ := []string{}
	for path, sum := range after.Files {
		if before.Files[path] != sum {
			differ = append(differ, path)
		}
	}
	for path := range before.Files {
		if _, ok := after.Files[path]; !ok {
			differ = append(differ, path)
		}
	}
	if before.Profiles != after.Profiles {
		differ = append(differ, "profiles.yml")
	}
	if before.Executable != after.Executable {
		differ = append(differ, "the script that starts dbt")
	}
	if len(differ) == 0 {
		return nil
	}
	return notReviewed(differ)
}

// throughInterface makes cmd the Python process that runs exactly what was reviewed. The process gets all input through
// standard input, which is then closed: the process can outlive this one.
func (c *CLI) throughInterface(ctx context.Context, cmd *exec.Cmd, l launch) error {
	python, err := c.python()
	if err != nil {
		return err
	}
	boot, line, err := program(map[string]any{
		"mode": "run", "argv": l.argv[1:], "selection": l.reviewed.Selection.selecting(),
		"content": l.reviewed.Content, "identity": l.reviewed.Identity, "refused": filepath.Join(l.dir, refusalFile),
		"execution": l.reviewed.Execution,
	})
	if err != nil {
		return err
	}
	if cached, err := c.parsePath(l.reviewed.Selection); err == nil {
		if data, ok := c.readEntry(ctx, cached); ok {
			if err := writeAtomic(filepath.Join(l.dir, targetFolder, parseState), data); err != nil {
				return workDirProblem(l.dir, err)
			}
		}
	}
	cmd.Path, cmd.Args, cmd.Stdin = python, append([]string{python, "-c", boot}, l.argv...), bytes.NewReader(line)
	return nil
}

// expected is what run_results.json must contain after a run of what was reviewed.
type expected struct {
	Models      []string       `json:"models"`
	FullRefresh bool           `json:"full_refresh,omitempty"`
	Vars        map[string]any `json:"vars,omitempty"`
	Target      string         `json:"target,omitempty"`
}

// expected reads the models from the reviewed content.
func (r Reviewed) expected(target string) (*expected, error) {
	var content struct {
		Nodes  map[string]string `json:"nodes"`
		Models []string          `json:"models"`
	}
	if err := json.Unmarshal(r.Content, &content); err != nil {
		return nil, fmt.Errorf("the content that was reviewed: %w", err)
	}
	e := &expected{Models: content.Models, FullRefresh: r.Selection.FullRefresh, Vars: r.Selection.Vars, Target: target}
	for id := range content.Nodes {
		e.Models = append(e.Models, id)
	}
	slices.Sort(e.Models)
	return e, nil
}

// differs describes each difference between what ran and what was reviewed, in sentences. A missing node counts only if
// the run was complete: a run that failed or was stopped does not reach all nodes.
func (e *expected) differs(r runResults, complete bool) []string {
	if e == nil {
		return nil
	}
	var ran, extra, missing, whys []string
	for _, result := range r.Results {
		if strings.HasPrefix(result.UniqueID, "operation.") {
			continue
		}
		ran = append(ran, result.UniqueID)
		if !slices.Contains(e.Models, result.UniqueID) {
			extra = append(extra, result.UniqueID)
		}
	}
	for _, id := range e.Models {
		if complete && !slices.Contains(ran, id) {
			missing = append(missing, id)
		}
	}
	if len(extra) > 0 {
		whys = append(whys, "It also ran "+strings.Join(extra, ", ")+".")
	}
	if len(missing) > 0 {
		whys = append(whys, "It did not run "+strings.Join(missing, ", ")+".")
	}
	return append(whys, e.arguments(r.Args)...)
}

// arguments describes differences in the arguments that change what a model does.
func (e *expected) arguments(args map[string]any) []string {
	var whys []string
	say := func(name string, got, want any) {
		whys = append(whys, fmt.Sprintf("It ran with %s %v instead of %v.", name, got, want))
	}
	if which, ok := args["which"].(string); ok && which != "run" {
		say("the command", which, "run")
	}
	for name, want := range map[string]bool{"full_refresh": e.FullRefresh, "empty": false} {
		if got, _ := args[name].(bool); args != nil && got != want {
			say(name, got, want)
		}
	}
	if got, ok := args["target"].(string); ok && e.Target != "" && got != e.Target {
		say("target", got, e.Target)
	}
	return whys
}

// ranAnother returns the problem for a run that did something other than what was reviewed.
func ranAnother(whys []string) *problem.Problem {
	return &problem.Problem{
		What: "dbt did not run what was reviewed",
		Why:  strings.Join(whys, " "),
		Next: "Look at the log and at the models in the warehouse. A script in dbt.executable, or a variable that it " +
			"sets, can change what runs.",
		Err: ErrNotReviewed,
	}
}
