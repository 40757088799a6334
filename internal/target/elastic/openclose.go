package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Close closes an index. Closing a closed index changes nothing.
func (c *Cluster) Close(ctx context.Context, index string) error {
	defer c.Forget()
	return c.get(ctx, "Close "+index, esapi.IndicesCloseRequest{Index: escaped(index)}, nil)
}

// Open opens an index and waits until every primary shard can be searched. Opening an open index changes nothing.
func (c *Cluster) Open(ctx context.Context, index string) error {
	defer c.Forget()
	what := "Open " + index
	err := c.get(ctx, what, esapi.IndicesOpenRequest{Index: escaped(index), WaitForActiveShards: "1"}, nil)
	if err != nil {
		return err
	}
	// An index is yellow if replicas are unassigned, but it can be searched.
	return c.WaitForHealth(ctx, index, "yellow", openTimeout)
}

const (
	// openTimeout is how long the primary shards of an opened index may take to recover.
	openTimeout = time.Minute
	// answerTimeout is how much longer than the server's own timeout the answer may take.
	answerTimeout = 2 * time.Minute
)

// WaitForHealth waits until the index has at least the status "yellow" or "green".
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
	if errors.Is(err, ErrTimeout) || err == nil && answer.TimedOut {
		p := &problem.Problem{
			What: what + " failed", Why: "It was not after " + timeout.String() + ".",
			Next: "Check the allocation of its shards (GET /_cluster/allocation/explain).", Err: ErrTimeout,
		}
		if why := c.unassigned(ctx, index); why != "" {
			p.Why += " " + why
		}
		return p
	}
	return err
}

// unassigned returns the server's explanation why the index's first primary shard has no node, or an empty string if
// there is none.
func (c *Cluster) unassigned(ctx context.Context, index string) string {
	var answer struct {
		Explanation string `json:"allocate_explanation"`
		Nodes       []struct {
			Name     string `json:"node_name"`
			Deciders []struct {
				Decider     string `json:"decider"`
				Explanation string `json:"explanation"`
			} `json:"deciders"`
		} `json:"node_allocation_decisions"`
	}
	body := elasticsearch.Body(map[string]any{"index": index, "shard": 0, "primary": true})
	request := esapi.ClusterAllocationExplainRequest{Body: body}
	if c.get(ctx, "Explain the allocation of "+index, request, &answer) != nil {
		return ""
	}
	why := answer.Explanation
	for _, n := range answer.Nodes {
		for _, d := range n.Deciders {
			why += fmt.Sprintf("; %s: %s", d.Decider, d.Explanation)
		}
	}
	return why
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + "s" }

// Started returns the latest time at which a primary shard of the index was started on its node, in milliseconds since
// 1970. Closing and opening an index starts its shards again.
func (c *Cluster) Started(ctx context.Context, index string) (int64, error) {
	answer := map[string]struct {
		Shards []struct {
			Primary bool  `json:"primary"`
			Start   int64 `json:"start_time_in_millis"`
		} `json:"shards"`
	}{}
	err := c.get(ctx, "Read the time at which "+index+" was opened",
		esapi.IndicesRecoveryRequest{Index: escaped(index)}, &answer)
	var latest int64
	for _, s := range answer[index].Shards {
		if s.Primary {
			latest = max(latest, s.Start)
		}
	}
	return latest, err
}

// IsClosed reports whether the index is closed now. It returns ErrNotFound if the index does not exist.
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

// IsGone reports whether no index of that name exists.
func (c *Cluster) IsGone(ctx context.Context, index string) (bool, error) {
	_, err := c.IsClosed(ctx, index)
	if IsMissing(err) {
		return true, nil
	}
	return false, err
}

// AliasTargets returns the indices that an alias points to now, or ErrNotFound if there is no such alias.
func (c *Cluster) AliasTargets(ctx context.Context, alias string) ([]string, error) {
	answer := map[string]json.RawMessage{}
	err := c.get(ctx, "Read where the alias "+alias+" points",
		esapi.IndicesGetAliasRequest{Index: escaped(alias), Name: escaped(alias)}, &answer)
	return slices.Sorted(maps.Keys(answer)), err
}

// Aliases returns the names of the aliases of each index, sorted. An index that does not exist has none. It reads only
// these indices, so a metadata block on another index does not matter.
func (c *Cluster) Aliases(ctx context.Context, indices ...string) (map[string][]string, error) {
	answer := map[string]struct {
		Aliases map[string]json.RawMessage `json:"aliases"`
	}{}
	err := c.get(ctx, "Read the aliases of "+Names(indices),
		esapi.IndicesGetAliasRequest{Index: escaped(indices...), IgnoreUnavailable: yes()}, &answer)
	out := make(map[string][]string, len(answer))
	for name, index := range answer {
		out[name] = slices.Sorted(maps.Keys(index.Aliases))
	}
	return out, err
}
