package dbt

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Limits for what is read from dbt's output. A listing of 10,000 models is 1 MB.
const (
	maxLine    = 4 << 20  // one event; longer ones are skipped
	maxPrinted = 64 << 20 // all that dbt ls prints
	maxText    = 16 << 10 // an error message

	maxWarnings = 500
)

// summary is what the log of one dbt invocation contains.
type summary struct {
	Version     string
	Printed     []string // what dbt ls prints
	Unmatched   []string // selection criteria that match nothing
	Failure     string   // the error that stopped dbt
	Interrupted bool
	Finished    bool // dbt logged its end
	Success     bool
	Seconds     float64 // by the wall clock
	// Warnings are the beginnings of dbt's warnings, without duplicates, at most maxWarnings.
	Warnings []string
	// Causes contains each node's first error in the log, by unique id. run_results.json lacks the errors from batches.
	Causes map[string]string
	// Started are the unique ids of the models that have started, in the order of their starts.
	Started []string
}

// event is a line of dbt's JSON log. This package depends on a few of its fields.
type event struct {
	Info struct {
		Name  string `json:"name"`
		Level string `json:"level"`
		Msg   string `json:"msg"`
	} `json:"info"`
	Data struct {
		Version  string `json:"version"`
		Msg      string `json:"msg"`
		SpecRaw  string `json:"spec_raw"`
		Exc      string `json:"exc"`
		UniqueID string `json:"unique_id"`
		NodeInfo struct {
			UniqueID string `json:"unique_id"`
		} `json:"node_info"`
		KeyboardInterrupt bool    `json:"keyboard_interrupt"`
		CommandSuccess    bool    `json:"command_success"`
		Seconds           float64 `json:"command_wall_clock_time"`
	} `json:"data"`
}

// summarize reads a log. Lines that are not events (output of macros and adapters) are skipped. A missing log is empty.
func summarize(path string) (summary, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return summary{}, nil
	}
	if err != nil {
		return summary{}, err
	}
	defer func() { _ = f.Close() }() // read only
	var s summary
	printed := 0
	err = eachLine(f, func(line []byte) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			return
		}
		if warning := gist(warningMark.ReplaceAllString(e.Info.Msg, "")); e.Info.Level == "warn" && warning != "" &&
			len(s.Warnings) < maxWarnings && !slices.Contains(s.Warnings, warning) {
			s.Warnings = append(s.Warnings, warning)
		}
		switch e.Info.Name {
		case "MainReportVersion":
			s.Version = strings.TrimPrefix(e.Data.Version, "=")
		case "PrintEvent", "ListCmdOut": // dbt before 1.9 prints a listing as the second one
			if printed += len(e.Data.Msg); printed <= maxPrinted {
				s.Printed = append(s.Printed, e.Data.Msg)
			}
		case "NoNodesForSelectionCriteria":
			s.Unmatched = append(s.Unmatched, e.Data.SpecRaw)
		case "MainEncounteredError":
			s.Failure = clip(e.Data.Exc)
		case "GenericExceptionOnRun", "CatchableExceptionOnRun", "InternalErrorOnRun":
			if s.Causes == nil {
				s.Causes = map[string]string{}
			}
			if s.Causes[e.Data.UniqueID] == "" {
				s.Causes[e.Data.UniqueID] = clip(strings.TrimPrefix(e.Data.Exc, "Exception on worker thread. "))
			}
		case "LogStartLine":
			s.Started = append(s.Started, e.Data.NodeInfo.UniqueID)
		case "EndOfRunSummary":
			s.Interrupted = e.Data.KeyboardInterrupt
		case "ResourceReport":
			s.Finished, s.Success, s.Seconds = true, e.Data.CommandSuccess, e.Data.Seconds
		}
	})
	return s, err
}

// Warnings returns the warnings from a command whose artifacts are in dir, as in Result. It reports false if dir
// contains no log.
func (c *CLI) Warnings(dir string) ([]string, bool) {
	path := filepath.Join(dir, eventsFile)
	s, err := summarize(path)
	return s.Warnings, err == nil && exists(path)
}

// warningMark matches the level in front of a warning's message.
var warningMark = regexp.MustCompile(`^\s*(\x1b\[\d+m)?\[WARNING\](\x1b\[0m)?(\[\w+\])*:?\s*`)

// eachLine calls f with every line of at most maxLine bytes, without its line ending; longer lines are skipped.
func eachLine(from io.Reader, f func(line []byte)) error {
	const buffer = 64 << 10
	r := bufio.NewReaderSize(from, buffer)
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > maxLine; !tooLong {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !tooLong && len(line) > 0 {
			f([]byte(strings.TrimRight(string(line), "\r\n")))
		}
		line, tooLong = line[:0], false
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// clip shortens a long text to its beginning and marks the cut.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + " ... (cut)"
}
