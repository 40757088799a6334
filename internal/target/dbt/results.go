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
	// Nodes are the models that dbt tried, in the order in which it ended with them.
	Nodes []NodeResult
	// LogPath is dbt's JSON log and TargetPath the folder of its artifacts, both kept.
	LogPath, TargetPath string
	// Seconds is how long the command took, by its own account.
	Seconds float64
}

// NodeResult is the outcome of one model.
type NodeResult struct {
	UniqueID string
	Name     string
	// Status is dbt's word for it: success, error, skipped, partial success, no-op, reused, or whatever a later dbt
	// says.
	Status string
	// Message is what the warehouse said, or an error, secrets masked.
	Message string
	Seconds float64
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

// runResults is what this package reads of run_results.json (schema v6, and whatever later ones keep of it).
type runResults struct {
	Results []struct {
		UniqueID      string  `json:"unique_id"`
		Status        string  `json:"status"`
		Message       *string `json:"message"`
		ExecutionTime float64 `json:"execution_time"`
	} `json:"results"`
	Elapsed float64 `json:"elapsed_time"`
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
			Seconds: result.ExecutionTime}
		if result.Message != nil {
			n.Message = clip(c.secrets.String(*result.Message))
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// nameOf is the name in a unique id such as model.shop.orders or model.shop.orders.v2.
func nameOf(id string) string {
	const kindPackageName = 3
	parts := strings.SplitN(id, ".", kindPackageName)
	return parts[len(parts)-1]
}
