package elastic

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	elasticsearch "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/typedapi/cluster/health"
	"github.com/elastic/go-elasticsearch/v8/typedapi/indices/close"
	"github.com/elastic/go-elasticsearch/v8/typedapi/indices/getalias"
	"github.com/elastic/go-elasticsearch/v8/typedapi/indices/open"
	"github.com/elastic/go-elasticsearch/v8/typedapi/indices/recovery"
	"github.com/elastic/go-elasticsearch/v8/typedapi/indices/resolveindex"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/expandwildcard"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/healthstatus"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Close closes an index. Closing a closed one changes nothing.
func (c *Cluster) Close(ctx context.Context, index string) error {
	defer c.Forget()
	return c.do(ctx, call{what: "Close " + index,
		request: func(on *elasticsearch.BaseClient) performer { return close.NewCloseFunc(on)(index) }}, nil)
}

// Open opens an index and waits until every primary shard can be searched. Opening an open one changes nothing.
func (c *Cluster) Open(ctx context.Context, index string) error {
	defer c.Forget()
	what := "Open " + index
	err := c.do(ctx, call{what: what, request: func(on *elasticsearch.BaseClient) performer {
		return open.NewOpenFunc(on)(index).WaitForActiveShards("1")
	}}, nil)
	if err != nil {
		return err
	}
	// An index without copies of its shards on all nodes is yellow, and is searched all the same.
	return c.WaitForHealth(ctx, index, "yellow", openPatience)
}

// openPatience is how long the primary shards of an opened index may take to recover.
const openPatience = time.Minute

// WaitForHealth waits until the index is at least yellow or green.
func (c *Cluster) WaitForHealth(ctx context.Context, index, status string, patience time.Duration) error {
	var answer struct {
		Status   string `json:"status"`
		TimedOut bool   `json:"timed_out"`
	}
	what := "Wait for " + index + " to be " + status
	err := c.do(ctx, call{what: what, patience: patience + requestPatience,
		request: func(on *elasticsearch.BaseClient) performer {
			return health.NewHealthFunc(on)().Index(index).WaitForStatus(healthstatus.HealthStatus{Name: status}).Timeout(seconds(patience))
		}}, &answer)
	if err == nil && answer.TimedOut {
		return &problem.Problem{
			What: what + " failed", Why: "It was still " + answer.Status + " after " + patience.String() + ".",
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
	err := c.do(ctx, call{what: "Read when " + index + " was opened",
		request: func(on *elasticsearch.BaseClient) performer {
			return recovery.NewRecoveryFunc(on)().Index(index)
		}}, &answer)
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
	err := c.do(ctx, call{what: "Look whether " + index + " is open",
		request: func(on *elasticsearch.BaseClient) performer {
			return resolveindex.NewResolveIndexFunc(on)(index).ExpandWildcards(expandwildcard.All)
		}}, &answer)
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
	err := c.do(ctx, call{what: "Look where the alias " + alias + " points",
		request: func(on *elasticsearch.BaseClient) performer {
			return getalias.NewGetAliasFunc(on)().Name(alias)
		}}, &answer)
	return slices.Sorted(maps.Keys(answer)), err
}
