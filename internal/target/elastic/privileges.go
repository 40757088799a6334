package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// Privileges are those that a caller needs: Cluster on the cluster, and Index on the indices called Names.
type Privileges struct {
	Cluster []string
	Index   []string
	Names   []string
}

// MissingPrivileges returns which of the privileges the caller lacks, as phrases such as "manage on the cluster". On a
// cluster without security, none are missing.
func (c *Cluster) MissingPrivileges(ctx context.Context, needed Privileges) ([]string, error) {
	var answer struct {
		Cluster map[string]bool            `json:"cluster"`
		Index   map[string]map[string]bool `json:"index"`
	}
	body := elasticsearch.Body(map[string]any{
		"cluster": needed.Cluster, "index": []any{map[string]any{"names": needed.Names, "privileges": needed.Index}},
	})
	err := c.get(ctx, "Read the privileges of these credentials",
		esapi.SecurityHasPrivilegesRequest{Body: body}, &answer)
	var said *elasticsearch.ResponseError
	if errors.As(err, &said) && (said.Status == http.StatusBadRequest || said.Status == http.StatusMethodNotAllowed ||
		said.Status == http.StatusNotFound) {
		return nil, nil // the API does not exist without security
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(answer.Cluster)) {
		if !answer.Cluster[name] {
			out = append(out, name+" on the cluster")
		}
	}
	for _, index := range slices.Sorted(maps.Keys(answer.Index)) {
		for _, name := range slices.Sorted(maps.Keys(answer.Index[index])) {
			if !answer.Index[index][name] {
				out = append(out, fmt.Sprintf("%s on %s", name, index))
			}
		}
	}
	return out, nil
}
