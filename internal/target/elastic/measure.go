package elastic

import (
	"context"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Measured is the duration and the result of a search.
type Measured struct {
	// TookMS is how long the search took on the server, in milliseconds.
	TookMS int64
	// Hits is how many documents match.
	Hits int64
}

// Measure runs a search without fetching documents. body is the search's body as JSON, or empty for all documents. It
// returns an error if the search timed out or failed on some shards, because the figures are then meaningless.
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
	request := esapi.SearchRequest{
		Index: []string{index}, Size: new(int), TrackTotalHits: true, RequestCache: new(bool),
	}
	if body != "" {
		request.Body = strings.NewReader(body)
	}
	err := c.get(ctx, what, request, &answer)
	switch {
	case err != nil:
		return Measured{}, err
	case answer.TimedOut:
		return Measured{}, &problem.Problem{What: what + " timed out",
			Next: "The cluster is under load; look at its health.", Err: ErrTimeout}
	}
	return Measured{TookMS: answer.Took, Hits: answer.Hits.Total.Value}, answer.Shards.Check(what)
}
