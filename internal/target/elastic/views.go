package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Checkpoints returns the global checkpoint of every shard: all operations up to that sequence number are on all copies
// of the shard, and a refresh makes them visible.
func (c *Cluster) Checkpoints(ctx context.Context, index string) ([]int64, error) {
	return c.seqNos(ctx, index, false)
}

// MaxSeqNos returns the sequence number of the newest operation on every shard. The checkpoint may be lower, in
// particular with asynchronous durability.
func (c *Cluster) MaxSeqNos(ctx context.Context, index string) ([]int64, error) {
	return c.seqNos(ctx, index, true)
}

func (c *Cluster) seqNos(ctx context.Context, index string, newest bool) ([]int64, error) {
	var answer struct {
		Indices map[string]struct {
			Shards map[string][]struct {
				Routing struct {
					Primary bool `json:"primary"`
				} `json:"routing"`
				SeqNo struct {
					Global int64 `json:"global_checkpoint"`
					Max    int64 `json:"max_seq_no"`
				} `json:"seq_no"`
			} `json:"shards"`
		} `json:"indices"`
	}
	what := "Read how far " + index + " was written"
	err := c.get(ctx, what,
		esapi.IndicesStatsRequest{Index: escaped(index), Level: "shards", Metric: []string{"docs"}}, &answer)
	if err != nil {
		return nil, err
	}
	shards := answer.Indices[index].Shards
	out := make([]int64, len(shards))
	for i := range out {
		found := false
		for _, copy := range shards[strconv.Itoa(i)] {
			if copy.Routing.Primary {
				out[i], found = copy.SeqNo.Global, true
				if newest {
					out[i] = copy.SeqNo.Max
				}
			}
		}
		if !found {
			return nil, &problem.Problem{What: what + " failed", Why: fmt.Sprintf("Shard %d has no active primary.", i),
				Next: "Look at the health of the cluster.", Err: elasticsearch.ErrShards}
		}
	}
	return out, nil
}

// View is a point-in-time view of one shard of an index. It is safe for use by several goroutines.
type View struct {
	cluster *Cluster
	index   string

	mu sync.Mutex
	// id can change with each answer.
	id string
}

func (v *View) name() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.id
}

func (v *View) rename(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.id = id
}

// OpenView opens a view of a shard. The view expires when it has not been used for keep.
func (c *Cluster) OpenView(ctx context.Context, index string, shard int, keep time.Duration) (*View, error) {
	var answer struct {
		ID     string `json:"id"`
		Shards shards `json:"_shards"`
	}
	what := "Open a view of " + index
	err := c.get(ctx, what, esapi.OpenPointInTimeRequest{
		Index: escaped(index), KeepAlive: seconds(keep), Preference: "_shards:" + strconv.Itoa(shard),
	}, &answer)
	if err == nil {
		err = answer.Shards.Check(what)
	}
	return &View{cluster: c, index: index, id: answer.ID}, err
}

// Close closes the view. If that fails, the view only occupies memory on the cluster until it expires, so the error is
// dropped.
func (v *View) Close(ctx context.Context) {
	_ = v.cluster.get(ctx, "Close a view of "+v.index,
		esapi.ClosePointInTimeRequest{Body: elasticsearch.Body(map[string]any{"id": v.name()})}, nil)
}

// Document is a document that was read from a view or an index.
type Document struct {
	ID      string          `json:"_id"`
	Routing string          `json:"_routing"`
	Version int64           `json:"_version"`
	SeqNo   int64           `json:"_seq_no"`
	Term    int64           `json:"_primary_term"`
	Source  json.RawMessage `json:"_source"`
	Sort    json.RawMessage `json:"sort"`
}

type viewAnswer struct {
	ID       string `json:"pit_id"`
	TimedOut bool   `json:"timed_out"`
	Shards   shards `json:"_shards"`
	Hits     struct {
		Total struct {
			Value int64 `json:"value"`
		} `json:"total"`
		Hits []Document `json:"hits"`
	} `json:"hits"`
	Aggregations struct {
		Ranges struct {
			Buckets []struct {
				Count int64 `json:"doc_count"`
			} `json:"buckets"`
		} `json:"ranges"`
	} `json:"aggregations"`
}

// viewKeep is how long a view stays open at least after a search.
const viewKeep = 5 * time.Minute

// needed selects the parts of an answer that are used, which saves time in writing and reading it.
const needed = "pit_id,_shards,hits.total,hits.hits._id,hits.hits._routing,hits.hits._version,hits.hits._seq_no," +
	"hits.hits._source,hits.hits.sort,aggregations.ranges.buckets.doc_count"

func (v *View) search(ctx context.Context, query map[string]any) (viewAnswer, error) {
	query["pit"] = map[string]any{"id": v.name(), "keep_alive": seconds(viewKeep)}
	var answer viewAnswer
	what := "Read " + v.index
	err := v.cluster.get(ctx, what, esapi.SearchRequest{
		AllowPartialSearchResults: new(bool), FilterPath: []string{needed}, Body: elasticsearch.Body(query),
	}, &answer)
	if err == nil {
		err = answer.Shards.Check(what)
	}
	if answer.ID != "" {
		v.rename(answer.ID)
	}
	return answer, err
}

// Span is a range of sequence numbers from Low (included) to High (excluded). A High of 0 means no bound.
type Span struct{ Low, High int64 }

// in returns the query for documents whose last operation is in one of the spans.
func in(spans []Span) map[string]any {
	clauses := make([]any, 0, len(spans))
	for _, s := range spans {
		bounds := map[string]int64{"gte": s.Low}
		if s.High > 0 {
			bounds["lt"] = s.High
		}
		clauses = append(clauses, map[string]any{"range": map[string]any{"_seq_no": bounds}})
	}
	return map[string]any{"bool": map[string]any{"should": clauses, "minimum_should_match": 1}}
}

// Count returns how many documents the view has.
func (v *View) Count(ctx context.Context) (int64, error) {
	answer, err := v.search(ctx, map[string]any{"size": 0, "track_total_hits": true})
	return answer.Hits.Total.Value, err
}

// Counts returns how many documents each span has. The spans must be bounded and in order, and must not overlap.
func (v *View) Counts(ctx context.Context, spans []Span) ([]int64, error) {
	// The JSON of thousands of spans is written directly, because encoding a value per span costs more than the search.
	ranges := []byte{'['}
	for i, s := range spans {
		if i > 0 {
			ranges = append(ranges, ',')
		}
		ranges = append(ranges, `{"from":`...)
		ranges = strconv.AppendInt(ranges, s.Low, 10)
		ranges = append(ranges, `,"to":`...)
		ranges = strconv.AppendInt(ranges, s.High, 10)
		ranges = append(ranges, '}')
	}
	ranges = append(ranges, ']')
	answer, err := v.search(ctx, map[string]any{
		"size": 0, "track_total_hits": false, "query": in([]Span{{spans[0].Low, spans[len(spans)-1].High}}),
		"aggs": map[string]any{"ranges": map[string]any{"range": map[string]any{"field": "_seq_no",
			"ranges": json.RawMessage(ranges)}}},
	})
	out := make([]int64, 0, len(spans))
	for _, b := range answer.Aggregations.Ranges.Buckets {
		out = append(out, b.Count)
	}
	if err == nil && len(out) != len(spans) {
		err = fmt.Errorf("count the documents of %s: %d ranges asked, %d answered", v.index, len(spans), len(out))
	}
	return out, err
}

// Scan selects what to read from a view.
type Scan struct {
	// Spans are the ranges to read. At most 1,000, because a query may have no more clauses.
	Spans []Span
	// Page is how many documents are read at a time.
	Page int
	// Whole also reads the source and version, not only the names.
	Whole bool
}

// Each calls visit with pages of documents. If documents are too large for one answer, it reads fewer at a time.
func (v *View) Each(ctx context.Context, scan Scan, visit func([]Document) error) error {
	var after json.RawMessage
	var source any = false
	if scan.Whole {
		var err error
		if source, err = v.cluster.wholeSource(ctx, v.index); err != nil {
			return err
		}
	}
	for {
		query := map[string]any{
			"size": scan.Page, "track_total_hits": false, "query": in(scan.Spans), "sort": []any{"_shard_doc"},
			"_source": source, "version": scan.Whole, "seq_no_primary_term": scan.Whole,
		}
		if after != nil {
			query["search_after"] = after
		}
		answer, err := v.search(ctx, query)
		if errors.Is(err, elasticsearch.ErrTooLong) && scan.Page > 1 {
			scan.Page = max(1, scan.Page/2) //nolint:mnd // halves
			continue
		}
		if err != nil {
			return err
		}
		hits := answer.Hits.Hits
		if len(hits) == 0 {
			return nil
		}
		if err := visit(hits); err != nil {
			return err
		}
		if len(hits) < scan.Page {
			return nil
		}
		after = hits[len(hits)-1].Sort
	}
}

// Sample returns randomly selected documents, at most size.
func (v *View) Sample(ctx context.Context, size int) ([]Document, error) {
	source, err := v.cluster.wholeSource(ctx, v.index)
	if err != nil {
		return nil, err
	}
	answer, err := v.search(ctx, map[string]any{
		"size": size, "track_total_hits": false, "_source": source,
		"query": map[string]any{"function_score": map[string]any{"random_score": map[string]any{}}},
	})
	return answer.Hits.Hits, err
}

// Has returns which of the documents the view has with a sequence number below high, by Key. A high of 0 means no
// bound. At most Index.Window documents.
func (v *View) Has(ctx context.Context, documents []Document, high int64) (map[string]bool, error) {
	ids := make([]string, len(documents))
	for i, d := range documents {
		ids[i] = d.ID
	}
	answer, err := v.search(ctx, map[string]any{
		"size":             len(ids), // a name exists once per shard, whatever the routing
		"track_total_hits": false, "_source": false, "query": map[string]any{"bool": map[string]any{
			"filter": []any{map[string]any{"ids": map[string]any{"values": ids}}, in([]Span{{0, high}})},
		}},
	})
	out := make(map[string]bool, len(ids))
	for _, d := range answer.Hits.Hits {
		out[d.Key()] = true
	}
	return out, err
}

// Key identifies a document within an index. With custom routing, its name alone does not.
func (d Document) Key() string { return d.Routing + "\x00" + d.ID }
