// Package cacheclear is the playbook clear_cache: it clears the selected caches of Elasticsearch indices (query,
// request, field data) and no others.
package cacheclear

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// ActionType is the playbook's name in the history.
const ActionType = "clear_cache"

// estimate is how long an execution takes, from the playbooks' specification. Executions cost nothing.
const estimate = 5 * time.Second

// Types of caches, as cache_types names them, in display order.
const (
	Query     = "query"
	Request   = "request"
	Fielddata = "fielddata"
)

// Types returns all types of caches.
func Types() []string { return []string{Query, Request, Fielddata} }

// Elastic is what the playbook needs from Elasticsearch.
type Elastic interface {
	// Name returns the name of the cluster.
	Name() string
	// Forget drops cached answers.
	Forget()
	// UUID identifies the cluster.
	UUID(ctx context.Context) (string, error)
	// Serverless reports whether the cluster is a serverless one.
	Serverless(ctx context.Context) (bool, error)
	// Resolve returns the concrete indices that a name matches.
	Resolve(ctx context.Context, expression string, allowAll bool) (elastic.Resolution, error)
	// Describe returns the mappings of indices. It may be half a minute old.
	Describe(ctx context.Context, indices []string) ([]elastic.Index, error)
	// IndexUUIDs returns the UUIDs of indices, in the order of their names.
	IndexUUIDs(ctx context.Context, indices []string) ([]string, error)
	// KnownCacheSizes returns the sizes of the caches per index. They may be half a minute old.
	KnownCacheSizes(ctx context.Context, indices []string) (map[string]elastic.CacheSizes, error)
	// CacheSizes returns the current sizes, summed over the indices.
	CacheSizes(ctx context.Context, indices []string) (elastic.CacheSizes, error)
	// ClearCaches clears only these caches.
	ClearCaches(ctx context.Context, indices []string, which elastic.Caches) error
}

// New returns the playbook.
func New(cluster Elastic, clk clock.Clock) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		return action{elastic: cluster, clock: clk, params: p}
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
		Summary:    "clears the requested types of caches of Elasticsearch indices",
		Use:        []string{"P95 latency over budget", "stale results", "memory pressure"},
		Approval:   "never needed",
		Duration:   fmt.Sprintf("%.0f s", estimate.Seconds()),
		Cost:       "USD 0",
		Undo:       "not applicable",
	}
}

// params are the playbook's inputs.
type params struct {
	// IndexName is an index, an alias, a pattern or a data stream.
	IndexName string `json:"index_name"`
	// CacheTypes are the caches to clear. Empty: all.
	CacheTypes []string `json:"cache_types,omitempty"`
	// Fields limits fielddata to fields.
	Fields []string `json:"fields,omitempty"`
	// AllowAll allows an IndexName that matches every index of the cluster.
	AllowAll bool `json:"allow_all"`
}

func (p params) validate() (params, error) {
	if err := elastic.CheckExpression(p.IndexName, p.AllowAll); err != nil {
		return params{}, problem.At(err, "index_name")
	}
	for _, t := range p.CacheTypes {
		if !slices.Contains(Types(), t) {
			return params{}, playbook.Invalid("Must be one of "+strings.Join(Types(), ", ")+".",
				fmt.Sprintf("There is no cache type %q.", t), "cache_types")
		}
	}
	if len(p.CacheTypes) == 0 {
		p.CacheTypes = Types()
	}
	// The order of a set has no meaning.
	p.CacheTypes = slices.DeleteFunc(Types(), func(t string) bool { return !slices.Contains(p.CacheTypes, t) })
	for i, f := range p.Fields {
		if check.OneLine(f) != "" || strings.ContainsAny(f, ",*") {
			return params{}, playbook.Invalid("Write the full name of each field as a separate element.",
				fmt.Sprintf("%q is not the name of a field.", f), "fields", strconv.Itoa(i))
		}
	}
	p.Fields = slices.Compact(slices.Sorted(slices.Values(p.Fields)))
	if len(p.Fields) > 0 && !slices.Contains(p.CacheTypes, Fielddata) {
		return params{}, playbook.Invalid("Add fielddata to cache_types, or leave fields out.",
			"Only the field data cache is kept per field, and cache_types does not include it.", "fields")
	}
	return p, nil
}

type action struct {
	elastic Elastic
	clock   clock.Clock
	params  params
}

func (a action) caches() elastic.Caches {
	has := func(t string) bool { return slices.Contains(a.params.CacheTypes, t) }
	return elastic.Caches{Query: has(Query), Request: has(Request), Fielddata: has(Fielddata), Fields: a.params.Fields}
}

// Facts are what must still be true at apply.
type Facts struct {
	// Indices are the concrete indices whose caches would be cleared. Those of a pattern or data stream are figures:
	// apply clears the caches of the indices that there are by then.
	Indices []string `json:"indices"`
	// CacheTypes are the caches that would be cleared.
	CacheTypes []string `json:"cache_types"`
}

// Target implements playbook.Logic.
func (a action) Target(context.Context) (string, error) {
	return elastic.Target(a.elastic.Name(), a.params.IndexName), nil
}

// Invalidate implements playbook.Invalidator.
func (a action) Invalidate() { a.elastic.Forget() }

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	found, err := a.elastic.Resolve(ctx, a.params.IndexName, a.params.AllowAll)
	if err != nil {
		return playbook.Preview{Locks: elastic.Targets(a.elastic.Name(), found.Closed...)}, Facts{},
			problem.At(err, "index_name")
	}
	if serverless, err := a.elastic.Serverless(ctx); err != nil || serverless {
		return playbook.Preview{}, Facts{}, errors.Join(err, refuseServerless(serverless))
	}
	facts := Facts{Indices: found.Indices, CacheTypes: a.params.CacheTypes}
	summary := fmt.Sprintf("Will clear the %s of %s", a.what(), elastic.Names(found.Indices))
	if found.Kind != elastic.KindIndex {
		summary += fmt.Sprintf(" (%s %q)", found.Kind, a.params.IndexName)
	}
	p := playbook.Preview{
		Summary: summary, Duration: estimate,
		Risk: playbook.RiskLow, EstimateOrigin: "default", Keeps: true,
		Affected: append([]string{"elasticsearch"}, found.Indices...),
		Changes:  []string{summary, "May cause a brief latency spike (1-2 s): caches rebuild on the next query"},
	}
	if others := slices.DeleteFunc(Types(),
		func(t string) bool { return slices.Contains(a.params.CacheTypes, t) }); len(others) > 0 {
		p.NotDone = append(p.NotDone, "The "+list(others)+" stay")
		if len(others) == 1 {
			p.NotDone = []string{"The " + list(others) + " stays"}
		}
	}
	if len(found.Closed) > 0 {
		p.NotDone = append(p.NotDone, "Closed indices have no caches: "+strings.Join(found.Closed, ", "))
	}
	of := found.Indices
	if changing(found.Kind) {
		of, p.Unbound = []string{a.params.IndexName}, []string{"indices"}
	}
	p.Commands = []string{a.caches().Command(of)}
	p.Locks = elastic.Targets(a.elastic.Name(), found.Indices...)
	a.warnIfOften(ctx, &p)
	if p.Identity, err = a.identity(ctx, found); err != nil {
		return p, facts, err
	}
	if err := a.checkFields(ctx, &p, found); err != nil {
		return p, facts, err
	}
	if sizes, err := a.elastic.KnownCacheSizes(ctx, found.Indices); err != nil {
		// Caches are also cleared without the privilege to read their sizes.
		p.Figures = append(p.Figures, "The cache sizes can't be read: "+problem.Of(err, "").Why)
	} else {
		p.Figures = append(p.Figures, cached(found, sizes))
	}
	return p, facts, nil
}

// ErrServerless is the cause if the cluster is a serverless one, which has no API to clear caches.
var ErrServerless = errors.New("the cluster is a serverless one")

func refuseServerless(serverless bool) error {
	if !serverless {
		return nil
	}
	return &problem.Problem{
		What: "The caches of a serverless cluster can't be cleared",
		Why:  "Serverless Elasticsearch has no API for it, and manages its caches by itself.",
		Next: "Remove the resource, and look at the queries instead.", Path: []string{"index_name"}, Err: ErrServerless,
	}
}

// often is how many executions within period suggest that queries are the problem and not caches. mostPast is how many
// of the newest executions are counted.
const (
	often    = 3
	period   = 24 * time.Hour
	mostPast = 20
)

// warnIfOften warns if the caches were cleared often. A journal that can't be read is reported elsewhere.
func (a action) warnIfOften(ctx context.Context, p *playbook.Preview) {
	past, err := playbook.PastOf(ctx, mostPast)
	if err != nil {
		return
	}
	recent := 0
	for _, execution := range past {
		if execution.FinishedAt.After(a.clock.Now().Add(-period)) {
			recent++
		}
	}
	if recent >= often {
		p.Warnings = append(p.Warnings, fmt.Sprintf("The caches of %s were cleared %d times in the last %.0f hours. "+
			"Look at the queries instead, for example in the slow log: clearing caches again only hides the cause for "+
			"a while.", a.params.IndexName, recent, period.Hours()))
	}
}

// cached says how much is cached at the moment.
func cached(found elastic.Resolution, sizes map[string]elastic.CacheSizes) string {
	var sum elastic.CacheSizes
	for _, i := range found.Indices {
		sum = sum.Add(sizes[i])
	}
	if sum == (elastic.CacheSizes{}) {
		return "Nothing is cached"
	}
	return fmt.Sprintf("Cached in %s: query %s, request %s, field data %s", elastic.Names(found.Indices),
		elastic.Bytes(sum.Query), elastic.Bytes(sum.Request), elastic.Bytes(sum.Fielddata))
}

// identity identifies the cluster and the indices by their UUIDs. It identifies a pattern or data stream by its name,
// because its indices change over time.
func (a action) identity(ctx context.Context, found elastic.Resolution) (any, error) {
	cluster, err := a.elastic.UUID(ctx)
	if err != nil {
		return nil, err
	}
	if cluster == "" {
		cluster = a.elastic.Name()
	}
	if changing(found.Kind) {
		return map[string]any{"cluster": cluster, "pattern": a.params.IndexName}, nil
	}
	uuids, err := a.elastic.IndexUUIDs(ctx, found.Indices)
	if err != nil {
		return nil, err
	}
	return map[string]any{"cluster": cluster, "indices": uuids}, nil
}

// changing reports whether a name of this kind is reviewed instead of its indices: a rollover between plan and apply
// must not refuse the apply.
func changing(kind elastic.Kind) bool {
	return kind == elastic.KindPattern || kind == elastic.KindDataStream
}

// what names the caches to clear.
func (a action) what() string {
	if len(a.params.Fields) == 0 {
		return list(a.params.CacheTypes)
	}
	return list(a.params.CacheTypes) + " (field data of " + strings.Join(a.params.Fields, ", ") + " only)"
}

// list formats types of caches for people.
func list(types []string) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = map[string]string{Query: "query", Request: "request", Fielddata: "field data"}[t]
	}
	switch last := len(names) - 1; last {
	case 0:
		return names[0] + " cache"
	case 1:
		return names[0] + " and " + names[1] + " caches"
	default:
		return strings.Join(names[:last], ", ") + ", and " + names[last] + " caches"
	}
}
