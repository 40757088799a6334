package engine

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

const (
	// logName is the name of the log file in an execution's folder.
	logName = "execution.log"
	// folderMode and logMode keep logs from other users: they contain the names of people and systems.
	folderMode, logMode = 0o700, 0o600
)

// folder is where the execution keeps its log and its artifacts.
func (e *Engine) folder(id int64) string {
	return filepath.Join(e.cfg.Dir, "executions", strconv.FormatInt(id, 10))
}

// openLog adds the execution's log file to the listeners of ctx. The log grows while the execution runs, and an adopted
// execution continues its log. If the log can't be written, the execution continues and path is empty.
func (e *Engine) openLog(ctx context.Context, rec journal.Record) (logged context.Context, path string, done func()) {
	path = filepath.Join(e.folder(rec.ID), logName)
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return ctx, "", func() {}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, logMode)
	if err != nil {
		return ctx, "", func() {}
	}
	logged = logging.With(ctx, logging.NewText(file, e.cfg.Redact))
	return logged, path, func() { _ = file.Close() } // each line was written when it was logged
}

// logsURL returns where readers find the log at url, or ownLog if url is empty: below LogsBaseURL if that is set and
// the log is in the engine's folder.
func (e *Engine) logsURL(url, ownLog string) string {
	if url == "" {
		url = playbook.FileURL(absolute(ownLog))
	}
	if e.cfg.LogsBaseURL == "" {
		return url
	}
	inside, ok := strings.CutPrefix(url, playbook.FileURL(absolute(e.cfg.Dir))+"/")
	if !ok {
		return url
	}
	return strings.TrimSuffix(e.cfg.LogsBaseURL, "/") + "/" + inside
}

func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return filepath.ToSlash(abs)
	}
	return path
}

// reached logs that the execution is at a point, and calls Config.Reached.
func (e *Engine) reached(ctx context.Context, p Point, rec journal.Record) {
	logging.Info(ctx, logging.Engine, p.describe(), "point", string(p), "execution", rec.ID,
		"playbook", rec.Subject.Playbook, "target", rec.Subject.Target)
	if e.cfg.Reached != nil {
		e.cfg.Reached(p)
	}
}
