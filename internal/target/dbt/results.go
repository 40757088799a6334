package dbt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Result is what came of a run. After a failure or a cancellation it holds what is known.
type Result struct {
	// Nodes are the models that dbt tried, in the order in which they ended.
	Nodes []NodeResult
	// Hooks are the on-run-start and on-run-end statements that dbt tried.
	Hooks []NodeResult
	// LogPath is dbt's log as a person reads it, EventsPath the same as JSON lines, and TargetPath the folder of its
	// artifacts. All are kept.
	LogPath, EventsPath, TargetPath string
	// Seconds is how long the command took, by its own account.
	Seconds float64
}

// NodeResult is the outcome of one model or hook.
type NodeResult struct {
	UniqueID string
	// Name is the model's name, such as "orders" or "orders.v2"; with its package, "shop.orders", where the result holds
	// another one of that name.
	Name string
	// Status is dbt's word for it: success, error, skipped, partial success, no-op, reused, or whatever a later dbt
	// says.
	Status string
	// Message is the beginning of what the warehouse or dbt said, on one line, secrets masked. The log has the rest.
	Message string
	Seconds float64
	// Rows is how many rows the statement affected, as far as the warehouse says; nil where it does not.
	Rows *int64
	// Full is Message with all its lines, at most 16 KB.
	Full string
}

// Failed tells whether the model itself failed. One that was skipped because another failed has not.
func (n NodeResult) Failed() bool {
	switch n.Status {
	case "error", "fail", "runtime error", "partial success":
		return true
	default:
		return false
	}
}

// IsHook tells whether this is an on-run-start or on-run-end statement.
func (n NodeResult) IsHook() bool { return strings.HasPrefix(n.UniqueID, "operation.") }

// runResults is what this package reads of run_results.json (schema v6, and whatever later ones keep of it).
type runResults struct {
	Results []struct {
		UniqueID      string  `json:"unique_id"`
		Status        string  `json:"status"`
		Message       *string `json:"message"`
		ExecutionTime float64 `json:"execution_time"`
		Adapter       struct {
			Rows *int64 `json:"rows_affected"`
		} `json:"adapter_response"`
	} `json:"results"`
	Elapsed float64        `json:"elapsed_time"`
	Args    map[string]any `json:"args"`
}

// maxResults is the largest run_results.json that is read, in bytes. A model takes some 2 KB and its compiled SQL.
const maxResults = 256 << 20

// readResults reads the results that dbt writes once, at its end. A file that was not written to its end is an error.
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

func (c *CLI) nodes(r runResults) []NodeResult {
	nodes := make([]NodeResult, 0, len(r.Results))
	for _, result := range r.Results {
		n := NodeResult{UniqueID: result.UniqueID, Name: nameOf(result.UniqueID), Status: result.Status,
			Seconds: result.ExecutionTime, Rows: result.Adapter.Rows}
		if result.Message != nil {
			n.Full = clip(c.secrets.String(*result.Message))
			n.Message = gist(n.Full)
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

// nameOf is the name in a unique id such as model.shop.orders or model.shop.orders.v2.
func nameOf(id string) string {
	const kindPackageName = 3
	parts := strings.SplitN(id, ".", kindPackageName)
	return parts[len(parts)-1]
}

// split parts models from hooks.
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

// Bounds on the gist of a message.
const (
	gistLines = 4
	gistBytes = 400
)

// gist is the beginning of a message, on one line: what dbt adds about macros and compiled files stands in the log.
func gist(message string) string {
	var kept []string
	for _, line := range strings.Split(message, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "> in ") || strings.HasPrefix(line, "> called by ") ||
			strings.HasPrefix(line, "compiled code at ") || len(kept) == gistLines {
			break
		}
		if line != "" {
			kept = append(kept, line)
		}
	}
	short := strings.Join(kept, " ")
	if len(short) > gistBytes {
		short = strings.ToValidUTF8(short[:gistBytes], "") + " ..."
	}
	return short
}
