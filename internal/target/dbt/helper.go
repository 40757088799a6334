package dbt

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
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
var helperModules = [...]string{"checksums", "template", "withhold", "content", "catalog", "project", "main"}

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
