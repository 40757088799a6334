package dbt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Result is the result of a run. After a failure or a cancellation it contains what is known.
type Result struct {
	// Nodes are the models that dbt tried, in the order in which they ended.
	Nodes []NodeResult
	// Hooks are the on-run-start and on-run-end statements that dbt tried.
	Hooks []NodeResult
	// LogPath is dbt's log for people, EventsPath the same log as JSON lines, and TargetPath the folder of its
	// artifacts. All are kept.
	LogPath, EventsPath, TargetPath string
	// Warnings are the beginnings of dbt's warnings, with secrets masked.
	Warnings []string
	// Seconds is how long the command took, as dbt reports it.
	Seconds float64
}

// NodeResult is the outcome of one model or hook.
type NodeResult struct {
	UniqueID string
	// Name is the model's name, such as "orders" or "orders.v2". The package is added, as in "shop.orders", if another
	// node in the result has the same name.
	Name string
	// Status is dbt's: success, error, skipped, partial success, no-op, reused, or one that a later dbt adds.
	Status string
	// Message is the beginning of the message from the warehouse or dbt, on one line, with secrets masked. The log has
	// the rest.
	Message string
	Seconds float64
	// Rows is how many rows the statement affected; nil if the warehouse doesn't say.
	Rows *int64
	// Full is Message with all its lines, at most 16 KB.
	Full string
}

// Failed reports whether the model itself failed. A model that was skipped because another one failed did not fail.
func (n NodeResult) Failed() bool {
	switch n.Status {
	case "error", "fail", "runtime error", "partial success":
		return true
	default:
		return false
	}
}

// IsHook reports whether this is an on-run-start or on-run-end statement.
func (n NodeResult) IsHook() bool { return strings.HasPrefix(n.UniqueID, "operation.") }

// runResults contains the fields of run_results.json that this package reads (schema v6; later versions may lack some).
type runResults struct {
	Results []runResult    `json:"results"`
	Elapsed float64        `json:"elapsed_time"`
	Args    map[string]any `json:"args"`
}

type runResult struct {
	UniqueID      string  `json:"unique_id"`
	Status        string  `json:"status"`
	Message       *string `json:"message"`
	ExecutionTime float64 `json:"execution_time"`
	Adapter       struct {
		Rows *int64 `json:"rows_affected"`
	} `json:"adapter_response"`
}

// maxResults is the largest run_results.json that is read, in bytes. A model takes about 2 KB plus its compiled SQL.
const maxResults = 256 << 20

// readResults reads the results, which dbt writes once, at its end. An incomplete file is an error.
func readResults(target string) (runResults, error) {
	var r runResults
	path := filepath.Join(target, "run_results.json")
	info, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	if info.Size() > maxResults {
		return r, fmt.Errorf("%s: %d bytes, more than %d", path, info.Size(), maxResults)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// nodes returns the result of each node. causes are errors by unique id, for microbatch models: their results lack the
// errors from batches.
func (c *CLI) nodes(r runResults, causes map[string]string) []NodeResult {
	nodes := make([]NodeResult, 0, len(r.Results))
	for _, result := range r.Results {
		n := NodeResult{UniqueID: result.UniqueID, Name: nameOf(result.UniqueID), Status: result.Status,
			Seconds: result.ExecutionTime, Rows: result.Adapter.Rows}
		if result.Message != nil {
			n.Full = clip(c.secrets.String(*result.Message))
			n.Message = gist(n.Full)
		}
		if cause := c.secrets.String(causes[n.UniqueID]); cause != "" && batches.MatchString(n.Message) {
			n.Message, n.Full = strings.TrimPrefix(n.Message+": "+gist(cause), "ERROR: "), n.Full+": "+cause
		}
		nodes = append(nodes, n)
	}
	count := map[string]int{}
	for _, n := range nodes {
		count[n.Name]++
	}
	for i, n := range nodes {
		if count[n.Name] > 1 {
			_, nodes[i].Name, _ = strings.Cut(n.UniqueID, ".")
		}
	}
	return nodes
}

// nameOf returns the name in a unique id such as model.shop.orders or model.shop.orders.v2.
func nameOf(id string) string {
	const kindPackageName = 3
	parts := strings.SplitN(id, ".", kindPackageName)
	return parts[len(parts)-1]
}

// split separates models from hooks.
func split(nodes []NodeResult) (models, hooks []NodeResult) {
	for _, n := range nodes {
		if n.IsHook() {
			hooks = append(hooks, n)
		} else {
			models = append(models, n)
		}
	}
	return models, hooks
}

// Limits for the beginning of a message: lines, and bytes.
const (
	gistLines, gistBytes       = 3, 240
	openingLines, openingBytes = 8, 1000
)

var (
	// nodeHeader matches the first line of a node's message, which only repeats the node's name.
	nodeHeader = regexp.MustCompile(`^(Runtime|Database|Compilation) Error in (model|operation|hook) `)
	// batches matches the message of a microbatch model, which lacks the error of its batches.
	batches = regexp.MustCompile(`^(ERROR$|PARTIAL SUCCESS)`)
	// echo matches a line in which a warehouse repeats the statement, such as "LINE 3: select ...", and the mark below
	// it.
	echo = regexp.MustCompile(`^(LINE \d+:|\^)`)
)

// gist returns the beginning of a node's message, on one line. The log has the rest.
func gist(message string) string {
	lines := beginning(message, gistLines+1)
	if len(lines) > 1 && nodeHeader.MatchString(lines[0]) {
		lines = lines[1:]
	}
	return cut(strings.Join(lines[:min(gistLines, len(lines))], " "), gistBytes)
}

// opening returns the beginning of a message that stopped dbt, with its line breaks.
func opening(message string) string {
	return cut(strings.Join(beginning(message, openingLines), "\n"), openingBytes)
}

// beginning returns the first lines of a message, without empty ones and without the statement that a warehouse
// repeats. It ends where dbt lists macros and compiled files.
func beginning(message string, most int) []string {
	var kept []string
	for _, line := range strings.Split(message, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "> in ") || strings.HasPrefix(line, "> called by ") ||
			strings.HasPrefix(line, "compiled code at ") || len(kept) == most {
			break
		}
		if line != "" && !echo.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// cut shortens s to at most limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + " ..."
}
