package reindex

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Stage is how far a Run has come. Each is journaled before it begins.
type Stage string

// Stages, in order.
const (
	StageCreate  Stage = "create"
	StageCopy    Stage = "copy"
	StageCatchUp Stage = "catch_up"
	StageSwitch  Stage = "switch"
	StageSettle  Stage = "settle"
)

// Request asks for a reindex.
type Request struct {
	// Name is what clients use: an alias of Old, or Old itself.
	Name string `json:"name"`
	// Old is the concrete index.
	Old string `json:"old"`
	// New is the name of the index to make.
	New string `json:"new"`
	// KeepOld keeps the old index, with its writes blocked. Where Name is the old index itself it is kept under another
	// name; see Kept.
	KeepOld bool `json:"keep_old"`
	// Slices and PerSecond are as in elastic.CopyRequest.
	Slices    int     `json:"slices"`
	PerSecond float64 `json:"requests_per_second"`
}

// concrete tells whether clients use the index by its own name.
func (r Request) concrete() bool { return r.Name == r.Old }

// copy is the request to the server.
func (r Request) copy() elastic.CopyRequest {
	return elastic.CopyRequest{From: r.Old, To: r.New, Slices: r.Slices, PerSecond: r.PerSecond}
}

// keptSuffix names the clone of an index whose own name becomes an alias.
const keptSuffix = "-before"

// Kept is the name under which the old index stays, or empty.
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

// made is the part of a name that NewName adds, with the number that a taken name gets.
var made = regexp.MustCompile(`-reindexed-\d+(-\d+)?$`)

// BaseName is the name that all indices that reindexes made from each other have in common.
func BaseName(name string) string {
	return made.ReplaceAllString(strings.TrimSuffix(name, keptSuffix), "")
}

// NewName is the name of the index that an execution makes in place of old.
func NewName(old string, execution int64) string {
	return fmt.Sprintf("%s-reindexed-%d", made.ReplaceAllString(old, ""), execution)
}

// State is what another process needs to go on with a Run. It is journaled as JSON.
type State struct {
	Request
	Stage Stage `json:"stage"`
	// Task is the server's copy.
	Task string `json:"task,omitempty"`
	// Checkpoints are the sequence numbers, by shard, up to which the new index is complete.
	Checkpoints []int64 `json:"checkpoints,omitempty"`
	// Ours are the sequence numbers, by shard, up to which only this package wrote to the new index. None before the
	// switch.
	Ours []int64 `json:"ours,omitempty"`
	// Aliases are those of the old index when the new one was made. The switch moves all of them.
	Aliases []string `json:"aliases,omitempty"`
	// Late are the settings that the new index gets at the end.
	Late map[string]any `json:"late,omitempty"`
	// Total and Done count the documents of the copy.
	Total int64 `json:"total"`
	Done  int64 `json:"done"`
	// Result is what has been done so far.
	Result Result `json:"result"`
}

// Result is what came of a Run.
type Result struct {
	// Documents is how many the new index had when clients were let in.
	Documents int64 `json:"documents"`
	// Copied by the server, then Written and Removed by the passes.
	Copied  int64 `json:"copied"`
	Written int64 `json:"written"`
	Removed int64 `json:"removed"`
	Passes  int   `json:"passes"`
	// CopyTime is how long the server's copy took, Pause how long writers waited or were refused.
	CopyTime time.Duration `json:"copy_time"`
	Pause    time.Duration `json:"pause"`
	// Refused tells that writers were refused, rather than made to wait.
	Refused bool `json:"refused"`
}
