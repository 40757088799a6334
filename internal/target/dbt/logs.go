package dbt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LogName is the name of dbt's log for people in the folder of an execution.
const LogName = "dbt.log"

// Names in the folder of an execution.
const (
	recordFile   = "process.json"
	targetFolder = "target"
	eventsFile   = "dbt.jsonl"
	logFile      = LogName // the same events, for people
	stderrFile   = "stderr.log"
	refusalFile  = "refused.json" // why nothing was run: dbt would have run something other than what was reviewed
	rawLog       = ".stdout.raw"  // as dbt writes it; removed at the end
	rawStderr    = ".stderr.raw"
)

const private = 0o600

// tail copies a growing private file to a public one, masked, line by line.
type tail struct {
	raw, public string
	secrets     masker
	// render returns what is written for a line. Nil: the line itself.
	render   func(string) string
	offset   int64
	held     []byte
	dropping bool
}

// pump copies what was added since the last call. If last is set, it also copies a final line without a line ending.
func (t *tail) pump(last bool) error {
	raw, err := os.Open(t.raw)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // finished earlier
	}
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }() // only read
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if t.offset == 0 {
		flags |= os.O_TRUNC
	}
	public, err := os.OpenFile(t.public, flags, private)
	if err != nil {
		return err
	}
	_, err = raw.Seek(t.offset, io.SeekStart)
	if err == nil {
		var n int64
		n, err = io.Copy(&lineWriter{tail: t, to: public}, raw)
		t.offset += n
	}
	if err == nil && last && len(t.held) > 0 {
		err = t.flush(public)
	}
	return errors.Join(err, public.Close())
}

// lineWriter splits what is written into lines.
type lineWriter struct {
	tail *tail
	to   io.Writer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			w.tail.hold(rest)
			break
		}
		w.tail.hold(rest[:end])
		if err := w.tail.flush(w.to); err != nil {
			return 0, err
		}
		rest = rest[end:]
	}
	return len(p), nil
}

// hold buffers an incomplete line, up to the maximum length of a line.
func (t *tail) hold(p []byte) {
	switch {
	case t.dropping:
	case len(t.held)+len(p) > maxLine:
		t.dropping = true
		t.held = fmt.Appendf(t.held[:0], "(a line of more than %d bytes was left out)\n", maxLine)
	default:
		t.held = append(t.held, p...)
	}
}

func (t *tail) flush(to io.Writer) error {
	line := string(t.held)
	if t.render != nil {
		line = t.render(line)
	}
	_, err := io.WriteString(to, t.secrets.String(line))
	t.held, t.dropping = t.held[:0], false
	return err
}

// readable formats an event from dbt's log for people: the time and the text. Events without a text and those about the
// use of resources are left out. Lines that are not events stay as they are.
func readable(line string) string {
	var e struct {
		Info struct {
			Name string    `json:"name"`
			Msg  string    `json:"msg"`
			Time time.Time `json:"ts"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(line), &e) != nil || e.Info.Name == "" {
		return line
	}
	if e.Info.Name == "ResourceReport" || strings.TrimSpace(e.Info.Msg) == "" {
		return ""
	}
	return e.Info.Time.UTC().Format("15:04:05") + "  " + strings.TrimRight(e.Info.Msg, "\n") + "\n"
}

// maxArtifact is the size in bytes of the largest artifact that is searched for secrets. Larger ones are removed if
// there are any secrets to search for.
const maxArtifact = 512 << 20

// maskArtifacts masks secrets in the files that dbt left below dir, which contain compiled SQL and variables. A saved
// parse that contains a secret is removed: it is binary, and dbt can do without it.
func (c *CLI) maskArtifacts(dir string) error {
	if !c.hasSecrets {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxArtifact {
			return root.Remove(path)
		}
		data, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		masked := c.secrets.String(string(data))
		if masked == string(data) {
			return nil
		}
		switch filepath.Ext(path) {
		case ".msgpack", ".gpickle", ".pickle":
			return root.Remove(path)
		default:
			return root.WriteFile(path, []byte(masked), info.Mode().Perm())
		}
	})
	return errors.Join(err, root.Close())
}

// excerpt returns the end of a file, at most maxText bytes.
func excerpt(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err == nil && info.Size() > maxText {
		if _, err := f.Seek(-maxText, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return ""
	}
	return string(bytes.ToValidUTF8(bytes.TrimSpace(data), nil))
}
