package dbt

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const (
	// helperTimeout is how long the helper may take for one answer. A full parse of 10,000 models takes minutes.
	helperTimeout = 15 * time.Minute
	// helperIdle is how long the helper waits for another question. A new start takes about 3 s, and a waiting helper
	// uses about 200 MB.
	helperIdle = 10 * time.Second
	// maxAnswer is the longest answer that is read, in bytes. 10,000 models take about 20 MB.
	maxAnswer = 256 << 20
)

// helperFiles is a Python program that drives dbt through its programmatic interface.
//
//go:embed helper/*.py
var helperFiles embed.FS

// helperModules are the program's modules, in the order in which they are loaded.
var helperModules = [...]string{"content", "catalog", "project", "main"}

// program returns the source for `python -c`, and the line that this source first reads from standard input.
func program(request any) (boot string, line []byte, err error) {
	source, err := helperFiles.ReadFile("helper/boot.py")
	if err != nil {
		return "", nil, err
	}
	var modules [][2]string
	for _, name := range helperModules {
		text, err := helperFiles.ReadFile("helper/" + name + ".py")
		if err != nil {
			return "", nil, err
		}
		modules = append(modules, [2]string{name, string(text)})
	}
	line, err = json.Marshal(map[string]any{"modules": modules, "request": request})
	return string(source), append(line, '\n'), err
}

// helper is the process that answers questions about the project. It is started for the first question, ends after it
// was idle for a while, and dies with this process, because its standard input is closed then.
type helper struct {
	cli *CLI
	// turn has room for one token, which ask holds: dbt keeps its state in globals, so one question is answered at a
	// time.
	turn    chan struct{}
	mu      sync.Mutex // guards the rest
	process *helperProcess
	asked   int
}

type helperProcess struct {
	cmd     *exec.Cmd
	scratch string
	in      io.WriteCloser
	out     *bufio.Reader
	errors  *lastBytes
	done    chan struct{}
}

// question is one line of the helper's input.
type question struct {
	ID         int      `json:"id"`
	Op         string   `json:"op"`
	Argv       []string `json:"argv,omitempty"`
	State      string   `json:"state,omitempty"`
	TargetPath string   `json:"target_path,omitempty"`
	// Packages is the folder with the installed packages. Empty: the project's.
	Packages   string      `json:"packages,omitempty"`
	Selections []selecting `json:"selections,omitempty"`
	// The rest is for the operation "catalog". Either Path, of a DuckDB file, or Profile is set.
	Path       string            `json:"path,omitempty"`
	Profile    *warehouseProfile `json:"profile,omitempty"`
	Relations  [][2]string       `json:"relations,omitempty"`
	Generation int64             `json:"generation,omitempty"`
}

// helperError is the helper's answer if it can't answer the question.
type helperError struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func (e *helperError) Error() string { return e.Kind + ": " + e.Text }

// refused is the kind of a helperError whose text is dbt's own message.
const refused = "Failure"

// ask sends a question and decodes its answer. prepare returns the question right before it is sent; scratch is the
// process's folder.
func (h *helper) ask(ctx context.Context, prepare func(scratch string) (question, error), into any) error {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p, err := h.running(ctx)
	if err != nil {
		return err
	}
	q, err := prepare(p.scratch)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.asked++
	q.ID = h.asked
	h.mu.Unlock()
	began := h.cli.clk.Now()
	line, err := h.exchange(ctx, p, q)
	logging.Debug(ctx, logging.DBT, "helper answered", "op", q.Op, "id", q.ID, "pid", p.cmd.Process.Pid,
		"ms", h.cli.clk.Now().Sub(began).Milliseconds(), "bytes", len(line), "error", err != nil)
	if err != nil {
		h.end(p)
		return err
	}
	go h.endWhenIdle(context.WithoutCancel(ctx), p, q.ID)
	return decodeAnswer(line, q.ID, into)
}

func decodeAnswer(line []byte, id int, into any) error {
	var answer struct {
		ID     int             `json:"id"`
		Error  *helperError    `json:"error"`
		Answer json.RawMessage `json:"answer"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return fmt.Errorf("the helper's answer: %w", err)
	}
	if answer.ID != id {
		return fmt.Errorf("the helper answered question %d instead of %d", answer.ID, id)
	}
	if answer.Error != nil {
		return answer.Error
	}
	return json.Unmarshal(answer.Answer, into)
}

// exchange writes q and reads the line that answers it.
func (h *helper) exchange(ctx context.Context, p *helperProcess, q question) ([]byte, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, helperTimeout,
		fmt.Errorf("dbt did not answer within %s: %w", helperTimeout, ErrTimeout))
	defer cancel()
	type result struct {
		line []byte
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		if _, err := p.in.Write(append(text, '\n')); err != nil {
			answered <- result{err: err}
			return
		}
		line, err := readLine(p.out, maxAnswer)
		answered <- result{line, err}
	}()
	select {
	case r := <-answered:
		if r.err != nil {
			return nil, h.died(p, r.err)
		}
		return r.line, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readLine reads one line of at most limit bytes.
func readLine(from *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := from.ReadSlice('\n')
		if line = append(line, part...); len(line) > limit {
			return nil, fmt.Errorf("an answer of more than %d bytes", limit)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return line, err
	}
}

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

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	mu    sync.Mutex
	limit int
	kept  []byte
}

func (b *lastBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, p...)
	if over := len(b.kept) - b.limit; over > 0 {
		b.kept = append(b.kept[:0], b.kept[over:]...)
	}
	return len(p), nil
}

func (b *lastBytes) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.ToValidUTF8(string(b.kept), "")
}

// python returns the interpreter of dbt's own entry point. ErrNoInterface: the executable is something else.
func (c *CLI) python() (string, error) {
	exe, err := c.executable()
	if err != nil {
		return "", err
	}
	python, ok := interpreter(exe)
	if !ok {
		return "", fmt.Errorf("%s: %w", filepath.Base(exe), ErrNoInterface)
	}
	return python, nil
}
