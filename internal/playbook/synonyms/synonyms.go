// Package synonyms is the playbook refresh_synonyms: it makes an index use the current synonyms of its filter's set or
// file, in one of three ways:
//
//   - reload: the filter is updateable, so search analyzers are reloaded while the index stays open;
//   - close_open: the filter can't be reloaded, so the index is closed and opened again, which takes a second or two;
//   - reindex: only if it is requested, for documents that were analyzed with the filter: they are copied into a new
//     index without downtime (see package reindex).
package synonyms

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// ActionType is the playbook's name in the history.
const ActionType = "refresh_synonyms"

// Estimates, from the playbooks' specification. The cost is in US dollars.
const (
	estimate        = 30 * time.Second
	reindexEstimate = 6 * time.Hour
	reindexCost     = 10
)

// undoing says how a refresh without a reindex is undone.
const undoing = "revert the synonyms and run again"

// Elastic is what the playbook needs from Elasticsearch.
type Elastic interface {
	// Name returns the name of the cluster.
	Name() string
	// Forget drops cached answers.
	Forget()
	// Serverless reports whether the cluster is a serverless one.
	Serverless(ctx context.Context) (bool, error)
	// Resolve returns the concrete indices that a name matches.
	Resolve(ctx context.Context, expression string, allowAll bool) (elastic.Resolution, error)
	// Describe returns settings, mappings, and aliases, possibly cached; DescribeNow reads them again.
	Describe(ctx context.Context, names []string) ([]elastic.Index, error)
	DescribeNow(ctx context.Context, name string) (elastic.Index, error)
	// SynonymsSet returns the rules of a set.
	SynonymsSet(ctx context.Context, set string) ([]string, error)
	// PreviewReload returns what ReloadAnalyzers would reload.
	PreviewReload(ctx context.Context, indices []string, set string) (elastic.Reloaded, error)
	ReloadAnalyzers(ctx context.Context, indices []string, set string) (elastic.Reloaded, error)
	// Tokens analyzes with the loaded synonyms, FreshTokens with newly loaded ones.
	Tokens(ctx context.Context, index, analyzer, text string) ([]elastic.Token, error)
	FreshTokens(ctx context.Context, index elastic.Index, probe elastic.Probe) ([]elastic.Token, error)
	// ClearCaches clears caches.
	ClearCaches(ctx context.Context, indices []string, which elastic.Caches) error
	// Close and Open close and open an index. Started returns when it was last opened, IsClosed whether it is closed,
	// and IsGone whether it does not exist.
	Close(ctx context.Context, index string) error
	Open(ctx context.Context, index string) error
	Started(ctx context.Context, index string) (int64, error)
	IsClosed(ctx context.Context, index string) (bool, error)
	IsGone(ctx context.Context, index string) (bool, error)
	// UUID identifies the cluster; IndicesLike returns the names of the matching indices.
	UUID(ctx context.Context) (string, error)
	IndicesLike(ctx context.Context, match func(name string) bool) ([]string, error)
	// MissingPrivileges returns the privileges that the caller lacks.
	MissingPrivileges(ctx context.Context, needed elastic.Privileges) ([]string, error)
	// Count returns the number of documents of an index, Size its size, FreeBytes the free space on the disks, and
	// FreeShards how many more shards the cluster accepts. Templates returns what index templates would apply to a new
	// index.
	Count(ctx context.Context, index string) (int64, error)
	Size(ctx context.Context, index string) (elastic.Size, error)
	FreeBytes(ctx context.Context) (int64, error)
	FreeShards(ctx context.Context) (int64, error)
	Templates(ctx context.Context, name string) (elastic.Templates, error)
	// AllowWrites removes the write block that a reindex leaves on the old index. AliasTargets and MoveAliases point
	// clients back to it.
	AllowWrites(ctx context.Context, index string) error
	AliasTargets(ctx context.Context, alias string) ([]string, error)
	MoveAliases(ctx context.Context, from, to, replaced string) error
}

// Reindexer starts and adopts reindexes.
type Reindexer interface {
	// Start returns a reindex that has sent nothing yet.
	Start(req reindex.Request) *reindex.Run
	// Adopt returns a reindex that another process began.
	Adopt(ctx context.Context, state reindex.State) (*reindex.Run, error)
}

// New returns the playbook.
func New(cluster Elastic, reindexer Reindexer, clk clock.Clock) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		a := action{elastic: cluster, reindex: reindexer, clk: clk, params: p}
		if p.RestoreIndex != "" {
			return restore{a}
		}
		return a
	})
}

// Describe returns the playbook without its target.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Validate: params.validate}
}

// page is the playbook's page in the catalogue.
func page() playbook.Metadata {
	return playbook.Metadata{
		ActionType: ActionType,
		Summary: "makes an index use the synonyms that its set or file contains now: by a reload, by closing and " +
			"opening it, or by a reindex without downtime",
		Use:      []string{"synonyms changed", "search quality dropped"},
		Approval: "needed for a reindex",
		Duration: fmt.Sprintf("%.0f s; %.0f h with a reindex", estimate.Seconds(), reindexEstimate.Hours()),
		Cost:     fmt.Sprintf("USD 0; USD %d with a reindex", reindexCost),
		Undo:     undoing + "; after a reindex, point the alias back while the old index exists",
		CanUndo:  true,
	}
}

type action struct {
	elastic Elastic
	reindex Reindexer
	clk     clock.Clock
	params  params
}

// Target implements playbook.Logic.
func (a action) Target(context.Context) (string, error) {
	return elastic.Target(a.elastic.Name(), a.params.IndexName), nil
}

// Invalidate implements playbook.Invalidator.
func (a action) Invalidate() { a.elastic.Forget() }

// Way is how the synonyms are refreshed.
type Way string

// Ways, the least disruptive first. WayRestore undoes a reindex.
const (
	WayReload    Way = "reload"
	WayCloseOpen Way = "close_open"
	WayReindex   Way = "reindex"
	WayRestore   Way = "restore"
)

// Facts are what must still be true at apply.
type Facts struct {
	// Way is how the synonyms are refreshed, WayReason the reason.
	Way       Way    `json:"way"`
	WayReason string `json:"way_reason"`
	// Indices are the concrete indices to refresh.
	Indices []string `json:"indices"`
	// Source is where the synonyms are stored, such as "set products" or "file analysis/synonyms.txt".
	Source string `json:"synonyms_source"`
	// Analyzers are the analyzers that load new synonyms, per index.
	Analyzers []Analyzers `json:"analyzers"`
	// Probes are the probe_texts with their tokens at the time of the preview, and those expected after the refresh.
	Probes []Probe `json:"probes"`
}

// Analyzers are the analyzers of an index.
type Analyzers struct {
	Index string   `json:"index"`
	Names []string `json:"names"`
}

// Probe is a text as an analyzer tokenizes it.
type Probe struct {
	Text     string `json:"text"`
	Analyzer string `json:"analyzer"`
	// Tokens are all tokens, in order; FromSynonyms those that a synonym filter added.
	Tokens       []string `json:"tokens"`
	FromSynonyms []string `json:"from_synonyms"`
	// Expected are the tokens after the synonyms have been loaded. Nil: unknown until then.
	Expected []string `json:"expected"`
}
