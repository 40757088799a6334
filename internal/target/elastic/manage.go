package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// CreateIndex creates an index from a definition with settings and mappings. It does not wait for its shards.
func (c *Cluster) CreateIndex(ctx context.Context, name string, definition any) error {
	defer c.Forget()
	return c.once(ctx, "Create the index "+name,
		esapi.IndicesCreateRequest{Index: escaped(name)[0], Body: elasticsearch.Body(definition),
			WaitForActiveShards: "0"}, nil)
}

// DeleteIndex deletes an index. An index that does not exist is not an error.
func (c *Cluster) DeleteIndex(ctx context.Context, name string) error {
	defer c.Forget()
	err := c.get(ctx, "Remove the index "+name, esapi.IndicesDeleteRequest{Index: escaped(name)}, nil)
	if IsMissing(err) {
		return nil
	}
	return err
}

// PutSettings changes settings of an open index. A nil value resets a setting to its default.
func (c *Cluster) PutSettings(ctx context.Context, index string, settings map[string]any) error {
	defer c.Forget()
	return c.get(ctx, "Change settings of "+index,
		esapi.IndicesPutSettingsRequest{Index: escaped(index), Body: elasticsearch.Body(settings)}, nil)
}

// BlockWrites blocks writes to an index, and returns when the writes in progress have ended.
func (c *Cluster) BlockWrites(ctx context.Context, index string) error {
	defer c.Forget()
	return c.get(ctx, "Block writes to "+index,
		esapi.IndicesAddBlockRequest{Index: escaped(index), Block: "write"}, nil)
}

// AllowWrites removes the block that BlockWrites adds.
func (c *Cluster) AllowWrites(ctx context.Context, index string) error {
	return c.PutSettings(ctx, index, map[string]any{"index.blocks.write": nil})
}

// CloneIndex clones an index, sharing its segments. Writes to the source must be blocked. The clone keeps the block.
func (c *Cluster) CloneIndex(ctx context.Context, from, to string) error {
	defer c.Forget()
	return c.once(ctx, fmt.Sprintf("Clone %s as %s", from, to), esapi.IndicesCloneRequest{
		Index: escaped(from)[0], Target: escaped(to)[0], WaitForActiveShards: "1",
		Body: elasticsearch.Body(map[string]any{"settings": map[string]any{"index.blocks.write": true}}),
	}, nil)
}

// MoveAliases moves all aliases of an index to another index in one atomic call. If replaced is not empty, it must be
// the name of the first index: the same call deletes that index and makes its name an alias, too. ErrNotFound means
// that an alias no longer points to the first index. If the answer is lost, it looks where the aliases are; an error
// that wraps ErrUncertain means that they may have moved.
func (c *Cluster) MoveAliases(ctx context.Context, from, to, replaced string) error {
	old, err := c.DescribeNow(ctx, from)
	if err != nil {
		return err
	}
	actions := []map[string]any{}
	if replaced != "" {
		actions = append(actions, map[string]any{"remove_index": map[string]any{"index": replaced}},
			map[string]any{"add": map[string]any{"index": to, "alias": replaced}})
	}
	for _, alias := range old.AliasNames() {
		properties := map[string]any{}
		if err := json.Unmarshal(old.Aliases[alias], &properties); err != nil {
			return fmt.Errorf("alias %s of %s: %w", alias, from, err)
		}
		properties["index"], properties["alias"] = to, alias
		if replaced == "" {
			actions = append(actions, map[string]any{"remove": map[string]any{"index": from, "alias": alias,
				"must_exist": true}})
		}
		actions = append(actions, map[string]any{"add": properties})
	}
	defer c.Forget()
	var answer struct {
		Acknowledged bool `json:"acknowledged"`
	}
	what := fmt.Sprintf("Switch the aliases of %s to %s", from, to)
	err = c.once(ctx, what,
		esapi.IndicesUpdateAliasesRequest{Body: elasticsearch.Body(map[string]any{"actions": actions})}, &answer)
	if err == nil && !answer.Acknowledged {
		err = &problem.Problem{
			What: what + " is not complete", Why: "The master node applied the change, but some nodes did not " +
				"acknowledge it in time.",
			Next: "Look at the health of the cluster.", Err: ErrTimeout,
		}
	}
	if err == nil || elasticsearch.FateOf(err) != elasticsearch.Lost {
		return err
	}
	moved := old.AliasNames()
	if replaced != "" {
		moved = append(moved, replaced)
	}
	there, lookErr := c.haveMoved(ctx, from, to, moved)
	switch {
	case lookErr != nil:
		p := *problem.Of(err, what+" failed")
		p.Why += " " + problem.Of(lookErr, "").Error()
		p.Next = fmt.Sprintf("It is not known which index has the aliases: look at GET /%s,%s/_alias.", from, to)
		p.Err = errors.Join(ErrUncertain, err, lookErr)
		return &p
	case there:
		return nil
	default:
		return err
	}
}

// lookTimeout bounds a look at the cluster after an answer was lost.
const lookTimeout = 30 * time.Second

// haveMoved reports whether the second index has all of the aliases and the first one none, once the master has
// completed every change that it has received. It does so even if ctx has ended.
func (c *Cluster) haveMoved(ctx context.Context, from, to string, aliases []string) (bool, error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer done()
	pending := c.get(ctx, "Wait for pending changes of the cluster",
		esapi.ClusterHealthRequest{WaitForEvents: "languid", Timeout: lookTimeout}, nil)
	now, err := c.Aliases(ctx, from, to)
	if err != nil {
		return false, err
	}
	for _, alias := range aliases {
		if slices.Contains(now[from], alias) || !slices.Contains(now[to], alias) {
			return false, pending // without an answer, the change may still be pending
		}
	}
	return true, nil
}

// Refresh makes everything written until now visible to searches.
func (c *Cluster) Refresh(ctx context.Context, index string) error {
	what := "Refresh " + index
	var answer struct {
		Shards shards `json:"_shards"`
	}
	err := c.get(ctx, what, esapi.IndicesRefreshRequest{Index: escaped(index)}, &answer)
	if err == nil {
		err = answer.Shards.Check(what)
	}
	return err
}

// Flush writes everything to disk.
func (c *Cluster) Flush(ctx context.Context, index string) error {
	what := "Flush " + index
	var answer struct {
		Shards shards `json:"_shards"`
	}
	err := c.get(ctx, what, esapi.IndicesFlushRequest{Index: escaped(index)}, &answer)
	if err == nil {
		err = answer.Shards.Check(what)
	}
	return err
}

// Count returns how many documents of the index a search can find.
func (c *Cluster) Count(ctx context.Context, index string) (int64, error) {
	var answer struct {
		Count  int64  `json:"count"`
		Shards shards `json:"_shards"`
	}
	what := "Count the documents of " + index
	err := c.get(ctx, what, esapi.CountRequest{Index: escaped(index)}, &answer)
	if err == nil {
		err = answer.Shards.Check(what)
	}
	return answer.Count, err
}

// Health reports whether an index is green, and how many active copies the shard with the fewest has.
type Health struct {
	Green     bool
	MinActive int
}

// Health returns the index's present health.
func (c *Cluster) Health(ctx context.Context, index string) (Health, error) {
	var answer struct {
		Status  string `json:"status"`
		Indices map[string]struct {
			Shards map[string]struct {
				Active int `json:"active_shards"`
			} `json:"shards"`
		} `json:"indices"`
	}
	err := c.get(ctx, "Read the health of "+index,
		esapi.ClusterHealthRequest{Index: escaped(index), Level: "shards"}, &answer)
	h := Health{Green: answer.Status == "green"}
	first := true
	for _, s := range answer.Indices[index].Shards {
		if first || s.Active < h.MinActive {
			h.MinActive, first = s.Active, false
		}
	}
	return h, err
}

// Size is the size of an index and its indexing rate.
type Size struct {
	// Documents and Bytes are those of the primary shards. TotalBytes is that of all copies.
	Documents, Bytes, TotalBytes int64
	// PerSecond is the rate at which one thread has indexed documents so far, from the index's statistics. It is zero
	// if there were fewer than minimumSample.
	PerSecond float64
}

// minimumSample is how many indexed documents are needed to derive a rate from them.
const minimumSample = 1000

// Size measures an index.
func (c *Cluster) Size(ctx context.Context, index string) (Size, error) {
	type part struct {
		Docs struct {
			Count int64 `json:"count"`
		} `json:"docs"`
		Store struct {
			Bytes int64 `json:"size_in_bytes"`
		} `json:"store"`
		Indexing struct {
			Total  int64 `json:"index_total"`
			Millis int64 `json:"index_time_in_millis"`
		} `json:"indexing"`
	}
	var answer struct {
		All struct {
			Primaries part `json:"primaries"`
			Total     part `json:"total"`
		} `json:"_all"`
	}
	err := c.get(ctx, "Measure "+index,
		esapi.IndicesStatsRequest{Index: escaped(index), Metric: []string{"docs", "store", "indexing"}}, &answer)
	p := answer.All.Primaries
	s := Size{Documents: p.Docs.Count, Bytes: p.Store.Bytes, TotalBytes: answer.All.Total.Store.Bytes}
	if p.Indexing.Total >= minimumSample && p.Indexing.Millis > 0 {
		const millis = 1000
		s.PerSecond = float64(p.Indexing.Total) * millis / float64(p.Indexing.Millis)
	}
	return s, err
}
