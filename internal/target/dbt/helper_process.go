package dbt

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// running returns the process. It starts one if none is running.
func (h *helper) running(ctx context.Context) (*helperProcess, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.process != nil {
		return h.process, nil
	}
	p, err := h.start(ctx)
	if err != nil {
		return nil, err
	}
	h.process = p
	logging.Debug(ctx, logging.DBT, "helper started", "pid", p.cmd.Process.Pid)
	return p, nil
}

func (h *helper) start(ctx context.Context) (*helperProcess, error) {
	c := h.cli
	project, err := c.project()
	if err != nil {
		return nil, err
	}
	scratch, err := c.scratch("helper-*")
	if err != nil {
		return nil, err
	}
	p := &helperProcess{scratch: scratch, errors: &lastBytes{limit: maxText}, done: make(chan struct{})}
	boot, first, err := program(map[string]string{"mode": "serve"})
	if err == nil {
		err = p.prepare(ctx, c, helperCommand{project: project, boot: boot})
	}
	if err == nil {
		err = startGroup(p.cmd)
	}
	if err != nil {
		return nil, errors.Join(cantStart(err), os.RemoveAll(scratch))
	}
	go func() {
		_ = p.cmd.Wait() // its standard error says why it ended
		close(p.done)
	}()
	if _, err := p.in.Write(first); err != nil {
		err = h.died(p, err)
		p.kill()
		return nil, err
	}
	return p, nil
}

// helperCommand is the command that starts a helper process.
type helperCommand struct {
	project project
	boot    string
}

func (p *helperProcess) prepare(ctx context.Context, c *CLI, with helperCommand) error {
	python, err := c.python()
	if err != nil {
		return err
	}
	own := c.variables(with.project.Dir, p.scratch)
	own["DBT_LOG_LEVEL"], own["DBT_WRITE_JSON"] = "none", "false"
	if own["DBT_PROFILES_DIR"], err = c.profilesDir(with.project); err != nil {
		return err
	}
	env, err := c.environment(withoutCredentials(os.Environ()), own)
	if err != nil {
		return err
	}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), python, "-c", with.boot)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = with.project.Dir, env, p.errors
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	p.out = bufio.NewReader(out)
	return err
}

func cantStart(err error) error {
	if p := new(problem.Problem); errors.As(err, &p) {
		return err
	}
	return &problem.Problem{
		What: "dbt can't be executed",
		Why:  err.Error(),
		Next: "Check that dbt.executable is the dbt command of a working Python environment.",
		Path: []string{"dbt", "executable"},
		Err:  errors.Join(ErrExecutable, err),
	}
}

// died explains why the helper gave no answer.
func (h *helper) died(p *helperProcess, err error) error {
	select {
	case <-p.done: // its output is complete now
	case <-time.After(killWait):
	}
	said := h.cli.secrets.String(p.errors.String())
	if said == "" {
		said = err.Error()
	}
	return &problem.Problem{
		What: "dbt's programmatic interface can't be used",
		Why:  "The Python process that was asked about the project ended: " + strings.TrimSpace(said),
		Next: "Check that `dbt parse` works in the project. dbt Core " + testedVersions + " are known to work.",
		Path: []string{"dbt", "executable"},
		Err:  errors.Join(ErrUnhandled, err),
	}
}

// end stops the process; the next question starts a new one.
func (h *helper) end(p *helperProcess) {
	h.mu.Lock()
	if h.process == p {
		h.process = nil
	}
	h.mu.Unlock()
	p.kill()
}

func (p *helperProcess) kill() {
	_ = p.in.Close()
	_ = killGroup(p.cmd.Process.Pid) // it may have exited
	<-p.done
	_ = os.RemoveAll(p.scratch)
}

// endWhenIdle ends the process if no question follows question id for a while.
func (h *helper) endWhenIdle(ctx context.Context, p *helperProcess, id int) {
	if h.cli.clk.Sleep(ctx, helperIdle) != nil {
		return
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	default:
		return // another question is being answered
	}
	h.mu.Lock()
	idle := h.process == p && h.asked == id
	h.mu.Unlock()
	if idle {
		h.end(p)
	}
}

// Close ends the process that answers questions about the project, and removes the copies with packages. The next
// question starts a new one.
func (c *CLI) Close() {
	defer c.copies.remove()
	c.helper.turn <- struct{}{}
	defer func() { <-c.helper.turn }()
	c.helper.mu.Lock()
	p := c.helper.process
	c.helper.mu.Unlock()
	if p != nil {
		c.helper.end(p)
	}
}
