package elastic

import (
	"context"
	"fmt"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// IndexUUIDs returns the UUIDs of indices, in the order of their names. An index that is deleted and created again gets
// another one. Callers share one request for half a minute. Errors: ErrNotFound if an index is missing.
func (c *Cluster) IndexUUIDs(ctx context.Context, names []string) ([]string, error) {
	all, err := c.uuids.get(ctx, c.clk, c.readUUIDs)
	if err == nil && all != nil && slices.ContainsFunc(names, func(name string) bool { return all[name] == "" }) {
		c.uuids.forget() // the index may be newer
		all, err = c.uuids.get(ctx, c.clk, c.readUUIDs)
	}
	if err == nil && all == nil {
		all, err = c.uuidsOf(ctx, names)
	}
	if err != nil {
		return nil, err
	}
	out := make([]string, len(names))
	for i, name := range names {
		if out[i] = all[name]; out[i] == "" {
			return nil, &problem.Problem{
				What: fmt.Sprintf("The index %q can't be identified", name),
				Why:  "The cluster returned no UUID for it. The index was probably deleted a moment ago.",
				Next: "Plan again.", Err: ErrNotFound,
			}
		}
	}
	return out, nil
}

// readUUIDs returns the UUIDs of all indices, or nil if one of them is blocked, so that they have to be read apart.
func (c *Cluster) readUUIDs(ctx context.Context) (map[string]string, error) {
	all, err := c.uuidsOf(ctx, []string{"*"})
	if err != nil && elasticsearch.FateOf(err) == elasticsearch.Refused {
		return nil, nil //nolint:nilnil // see above
	}
	return all, err
}

func (c *Cluster) uuidsOf(ctx context.Context, names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, some := range chunks(names) {
		var answer map[string]struct {
			Settings struct {
				Index struct {
					UUID string `json:"uuid"`
				} `json:"index"`
			} `json:"settings"`
		}
		err := c.get(ctx, "Read the UUIDs of the indices", esapi.IndicesGetSettingsRequest{Index: escaped(some...),
			Name: []string{"index.uuid"}, ExpandWildcards: "all",
			FilterPath: []string{"*.settings.index.uuid"}}, &answer)
		if err != nil {
			return nil, err
		}
		for name, index := range answer {
			out[name] = index.Settings.Index.UUID
		}
	}
	return out, nil
}
