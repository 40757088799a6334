package elastic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	elasticsearch "github.com/elastic/go-elasticsearch/v8"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Measured is what a search cost and found.
type Measured struct {
	// TookMS is how long it took on the server, in milliseconds.
	TookMS int64
	// Hits is how many documents match.
	Hits int64
}

// Measure searches without fetching anything. body is the search's body as JSON; empty for all documents. A search that
// timed out, or that failed on some shards, is an error: its figures say nothing.
func (c *Cluster) Measure(ctx context.Context, index, body string) (Measured, error) {
	if err := CheckExpression(index, true); err != nil {
		return Measured{}, err
	}
	what := "Search " + index
	var answer struct {
		Took     int64  `json:"took"`
		TimedOut bool   `json:"timed_out"`
		Shards   shards `json:"_shards"`
		Hits     struct {
			Total struct {
				Value int64 `json:"value"`
			} `json:"total"`
		} `json:"hits"`
	}
	query := url.Values{"size": {"0"}, "track_total_hits": {"true"}, "request_cache": {"false"}}
	err := c.do(ctx, call{what: what, request: func(on *elasticsearch.BaseClient) performer {
		r := raw{on: on, method: http.MethodPost, path: "/" + index + "/_search", query: query}
		if body != "" {
			r.body = json.RawMessage(body)
		}
		return r
	}}, &answer)
	switch {
	case err != nil:
		return Measured{}, err
	case answer.TimedOut:
		return Measured{}, &problem.Problem{What: what + " timed out",
			Next: "The cluster is under load; look at its health.", Err: ErrTimeout}
	}
	return Measured{TookMS: answer.Took, Hits: answer.Hits.Total.Value}, answer.Shards.check(what)
}
