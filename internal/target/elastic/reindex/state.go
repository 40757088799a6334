package reindex

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Stage is the progress of a Run. Each stage is journaled before it begins.
type Stage string

// Stages, in order.
const (
	StageCreate  Stage = "create"
	StageCopy    Stage = "copy"
	StageCatchUp Stage = "catch_up"
	StageSwitch  Stage = "switch"
	StageFinish  Stage = "finish"
)

// Request says which index to reindex, and how.
type Request struct {
	// Name is what clients use: an alias of Old, or Old itself.
	Name string `json:"name"`
	// Old is the concrete index.
	Old string `json:"old"`
	// New is the name of the index to create.
	New string `json:"new"`
	// KeepOld keeps the old index, with its writes blocked. If Name is the old index itself, it is kept under another
	// name; see Kept.
	KeepOld bool `json:"keep_old"`
	// Slices and PerSecond are as in elastic.CopyRequest.
	Slices    int     `json:"slices"`
	PerSecond float64 `json:"requests_per_second"`
}

// concrete reports whether clients use the index by its own name.
func (r Request) concrete() bool { return r.Name == r.Old }

// Copy returns the request for the server's copy of the old index.
func (r Request) Copy(old elastic.Index) elastic.CopyRequest {
	return elastic.CopyRequest{From: r.Old, To: r.New, Slices: r.Slices, PerSecond: r.PerSecond, Window: old.Window()}
}

// keptSuffix is the suffix of the clone of an index whose own name becomes an alias.
const keptSuffix = "-before"

// Kept is the name under which the old index is kept, or empty.
func (r Request) Kept() string {
	switch {
	case !r.KeepOld:
		return ""
	case r.concrete():
		return r.New + keptSuffix
	default:
		return r.Old
	}
}

// madeSuffix matches the suffix that NewName adds, including the number for a name in use.
var madeSuffix = regexp.MustCompile(`-reindexed-\d+(-\d+)?$`)

// BaseName returns the common part of the names of all indices that were reindexed from each other.
func BaseName(name string) string {
	return madeSuffix.ReplaceAllString(strings.TrimSuffix(name, keptSuffix), "")
}

// NewName returns the name of the index with which an execution replaces old.
func NewName(old string, execution int64) string {
	return fmt.Sprintf("%s-reindexed-%d", madeSuffix.ReplaceAllString(old, ""), execution)
}

// State is what another process needs to continue a Run. It is journaled as JSON.
type State struct {
	Request
	Stage Stage `json:"stage"`
	// Task is the task of the server's copy.
	Task string `json:"task,omitempty"`
	// Checkpoints are the sequence numbers, per shard, up to which the new index is complete.
	Checkpoints []int64 `json:"checkpoints,omitempty"`
	// Ours are the sequence numbers, per shard, up to which only this package wrote to the new index. It is empty
	// before the switch.
	Ours []int64 `json:"ours,omitempty"`
	// Aliases are those of the old index when the new one was created. The switch moves all of them.
	Aliases []string `json:"aliases,omitempty"`
	// Late contains the settings that the new index gets at the end.
	Late map[string]any `json:"late,omitempty"`
	// Total and Done count the documents of the copy.
	Total int64 `json:"total"`
	Done  int64 `json:"done"`
	// Result is the result so far.
	Result Result `json:"result"`
}

// Result is the result of a Run.
type Result struct {
	// Documents is how many documents the new index had when clients could first write to it.
	Documents int64 `json:"documents"`
	// Copied counts documents of the server's copy. Written and Removed count those of the passes.
	Copied  int64 `json:"copied"`
	Written int64 `json:"written"`
	Removed int64 `json:"removed"`
	Passes  int   `json:"passes"`
	// CopyTime is how long the server's copy took. Pause is how long writers were delayed or refused.
	CopyTime time.Duration `json:"copy_time"`
	Pause    time.Duration `json:"pause"`
	// Refused reports that writers were refused instead of delayed.
	Refused bool `json:"refused"`
	// Late contains the steps of the switch that exceeded their bound, and that the switch did not wait for.
	Late []string `json:"late,omitempty"`
}

// Remark says what clients may notice after a step that exceeded its bound, or is empty.
func (r Result) Remark() string {
	if !slices.Contains(r.Late, stepLastWrites) {
		return ""
	}
	return fmt.Sprintf("Copying the last writes took longer than %s, so writers continued before it was complete: an "+
		"_update or a script at that moment may have read an older document, and what it wrote was not corrected",
		lastWritesTimeout)
}
