package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// many is a list of strings that the server may encode as a single string.
type many []string

// UnmarshalJSON implements json.Unmarshaler.
func (m *many) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		var one string
		err := json.Unmarshal(text, &one)
		*m = many{one}
		return err
	}
	return json.Unmarshal(text, (*[]string)(m))
}

// CacheSizes is the memory use of an index's caches, in bytes, over all shards.
type CacheSizes struct {
	Query, Request, Fielddata int64
}

// Add returns the sum of s and o.
func (s CacheSizes) Add(o CacheSizes) CacheSizes {
	return CacheSizes{Query: s.Query + o.Query, Request: s.Request + o.Request, Fielddata: s.Fielddata + o.Fielddata}
}

// Caches selects which caches to clear.
type Caches struct {
	Query, Request, Fielddata bool
	// Fields limits Fielddata to these fields. Empty means all fields.
	Fields []string
}

// noField is a field that no index has. If only the request cache is to be cleared, Elasticsearch (8.16) also clears
// the field data and query caches, because none of the narrower flags is given. With a list of fields, it clears the
// field data of those fields instead and keeps the query cache. Naming one nonexistent field therefore limits the
// request to the request cache.
const noField = "remediation-no-such-field"

func (t Caches) flags() (query, request, fielddata bool, fields []string) {
	fields = t.Fields
	if t.Request && !t.Query && !t.Fielddata {
		fields = []string{noField}
	}
	return t.Query, t.Request, t.Fielddata, fields
}

// Command is the request that clears these caches of the indices, as a user would type it.
func (t Caches) Command(indices []string) string {
	var flags []string
	query, request, fielddata, fields := t.flags()
	for _, f := range []struct {
		name string
		on   bool
	}{{"query", query}, {"request", request}, {"fielddata", fielddata}} {
		if f.on {
			flags = append(flags, f.name+"=true")
		}
	}
	if len(fields) > 0 {
		flags = append(flags, "fields="+url.QueryEscape(strings.Join(fields, ",")))
	}
	return fmt.Sprintf("POST /%s/_cache/clear?%s", strings.Join(indices, ","), strings.Join(flags, "&"))
}

// ClearCaches clears only these caches of the indices. It returns an error if that failed on some shards.
func (c *Cluster) ClearCaches(ctx context.Context, indices []string, which Caches) error {
	query, request, fielddata, fields := which.flags()
	for _, some := range chunks(indices) {
		what := "Clear the caches of " + Names(some)
		var answer struct {
			Shards shards `json:"_shards"`
		}
		err := c.get(ctx, what, esapi.IndicesClearCacheRequest{
			Index: escaped(some...), Query: &query, Request: &request, Fielddata: &fielddata, Fields: fields,
		}, &answer)
		if err == nil {
			err = answer.Shards.Check(what)
		}
		if err != nil {
			return err
		}
	}
	if known, ok := c.sizes.last(); ok {
		known.clear(indices)
	}
	return nil
}

// sizeMetrics are the statistics that contain the sizes. sizePath selects the relevant parts of the answer.
func sizeMetrics() []string { return []string{"query_cache", "request_cache", "fielddata"} }

const sizePath = "indices.*.total.*.memory_size_in_bytes"

type sizesAnswer struct {
	Indices map[string]struct {
		Total map[string]struct {
			Bytes int64 `json:"memory_size_in_bytes"`
		} `json:"total"`
	} `json:"indices"`
}

func (a sizesAnswer) sizes() map[string]CacheSizes {
	out := make(map[string]CacheSizes, len(a.Indices))
	for name, i := range a.Indices {
		out[name] = CacheSizes{Query: i.Total["query_cache"].Bytes, Request: i.Total["request_cache"].Bytes,
			Fielddata: i.Total["fielddata"].Bytes}
	}
	return out
}

// KnownCacheSizes returns the sizes of the indices by their names. Callers share one request for the sizes of all
// indices for half a minute, so use the sizes for display only. What CacheSizes has read since then replaces them, and
// the sizes of an index whose caches were cleared are read again.
func (c *Cluster) KnownCacheSizes(ctx context.Context, indices []string) (map[string]CacheSizes, error) {
	known, err := c.sizes.get(ctx, c.clk, func(ctx context.Context) (*knownSizes, error) {
		sizes, err := c.readSizes(ctx, []string{"*"})
		if err != nil && elasticsearch.FateOf(err) == elasticsearch.Refused {
			return &knownSizes{sizes: map[string]CacheSizes{}, apart: true}, nil
		}
		return &knownSizes{sizes: sizes}, err
	})
	if err != nil {
		return nil, err
	}
	sizes, unknown := known.of(indices)
	for _, some := range chunks(unknown) {
		again, err := c.readSizes(ctx, some)
		if err != nil {
			return nil, err
		}
		known.set(again)
		maps.Copy(sizes, again)
	}
	return sizes, nil
}

// CacheSizes returns the present sizes, summed over the indices.
func (c *Cluster) CacheSizes(ctx context.Context, indices []string) (CacheSizes, error) {
	var sum CacheSizes
	for _, some := range chunks(indices) {
		sizes, err := c.readSizes(ctx, some)
		if err != nil {
			return CacheSizes{}, err
		}
		for _, s := range sizes {
			sum = sum.Add(s)
		}
		if known, ok := c.sizes.last(); ok {
			known.set(sizes)
		}
	}
	return sum, nil
}

func (c *Cluster) readSizes(ctx context.Context, indices []string) (map[string]CacheSizes, error) {
	var answer sizesAnswer
	err := c.get(ctx, "Read the sizes of the caches of "+Names(indices), esapi.IndicesStatsRequest{
		Index: escaped(indices...), Metric: sizeMetrics(), FilterPath: []string{sizePath},
	}, &answer)
	return answer.sizes(), err
}

// urlNames is the largest number of bytes of names in one URL. Elasticsearch accepts 4,096 bytes for a whole request
// line by default.
const urlNames = 3000

// chunks splits names so that each group fits into a URL.
func chunks(names []string) [][]string {
	var out [][]string
	length := 0
	for _, n := range names {
		if length += len(n) + 1; len(out) == 0 || length > urlNames {
			out, length = append(out, nil), len(n)+1
		}
		out[len(out)-1] = append(out[len(out)-1], n)
	}
	return out
}
