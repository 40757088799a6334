package elastic

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Close closes an index. Closing a closed one changes nothing.
func (c *Cluster) Close(ctx context.Context, index string) error {
	defer c.Forget()
	return c.get(ctx, "Close "+index, esapi.IndicesCloseRequest{Index: escaped(index)}, nil)
}

// Open opens an index and waits until every primary shard can be searched. Opening an open one changes nothing.
func (c *Cluster) Open(ctx context.Context, index string) error {
	defer c.Forget()
	what := "Open " + index
	err := c.get(ctx, what, esapi.IndicesOpenRequest{Index: escaped(index), WaitForActiveShards: "1"}, nil)
	if err != nil {
		return err
	}
	// An index without copies of its shards on all nodes is yellow, and is searched all the same.
	return c.WaitForHealth(ctx, index, "yellow", openTimeout)
}

const (
	// openTimeout is how long the primary shards of an opened index may take to recover.
	openTimeout = time.Minute
	// answerTimeout is how much longer than the server waits its answer may take.
	answerTimeout = 2 * time.Minute
)

// WaitForHealth waits until the index is at least yellow or green.
func (c *Cluster) WaitForHealth(ctx context.Context, index, status string, timeout time.Duration) error {
	var answer struct {
		Status   string `json:"status"`
		TimedOut bool   `json:"timed_out"`
	}
	what := "Wait for " + index + " to be " + status
	err := c.client.Do(ctx, elasticsearch.Call{
		What: what, Timeout: timeout + answerTimeout, Out: &answer,
		Request: esapi.ClusterHealthRequest{Index: escaped(index), WaitForStatus: status, Timeout: timeout},
	})
	if err == nil && answer.TimedOut {
		return &problem.Problem{
			What: what + " failed", Why: "It was still " + answer.Status + " after " + timeout.String() + ".",
			Next: "Look at the allocation of its shards (GET /_cluster/allocation/explain).", Err: ErrTimeout,
		}
	}
	return err
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + "s" }

// Started returns when each primary shard of the index was last started on its node, in milliseconds since 1970, the
// latest of all. An index that was closed and opened has started anew.
func (c *Cluster) Started(ctx context.Context, index string) (int64, error) {
	answer := map[string]struct {
		Shards []struct {
			Primary bool  `json:"primary"`
			Start   int64 `json:"start_time_in_millis"`
		} `json:"shards"`
	}{}
	err := c.get(ctx, "Read when "+index+" was opened", esapi.IndicesRecoveryRequest{Index: escaped(index)}, &answer)
	var latest int64
	for _, s := range answer[index].Shards {
		if s.Primary {
			latest = max(latest, s.Start)
		}
	}
	return latest, err
}

// IsClosed tells whether the index is closed now. An index that does not exist is ErrNotFound.
func (c *Cluster) IsClosed(ctx context.Context, index string) (bool, error) {
	var answer struct {
		Indices []struct {
			Name       string   `json:"name"`
			Attributes []string `json:"attributes"`
		} `json:"indices"`
	}
	err := c.get(ctx, "Check whether "+index+" is open",
		esapi.IndicesResolveIndexRequest{Name: escaped(index), ExpandWildcards: "all"}, &answer)
	if err != nil {
		return false, err
	}
	for _, i := range answer.Indices {
		for _, a := range i.Attributes {
			if i.Name == index && a == "closed" {
				return true, nil
			}
		}
	}
	return false, nil
}

// IsGone tells whether there is no index of that name.
func (c *Cluster) IsGone(ctx context.Context, index string) (bool, error) {
	_, err := c.IsClosed(ctx, index)
	if IsMissing(err) {
		return true, nil
	}
	return false, err
}

// AliasTargets returns the indices that an alias stands for now. ErrNotFound says that there is no such alias.
func (c *Cluster) AliasTargets(ctx context.Context, alias string) ([]string, error) {
	answer := map[string]json.RawMessage{}
	err := c.get(ctx, "Read where the alias "+alias+" points",
		esapi.IndicesGetAliasRequest{Name: escaped(alias)}, &answer)
	return slices.Sorted(maps.Keys(answer)), err
}
