package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// VersionRule decides whether a written document replaces an existing one.
type VersionRule string

// Version rules.
const (
	// Newer replaces only if the version is higher.
	Newer VersionRule = "external"
	// NotOlder also replaces if the version is the same.
	NotOlder VersionRule = "external_gte"
)

// bulkWrite bypasses the default pipeline of the index, and its setting that makes writes wait for more copies. Each
// line of actions is safe to repeat.
func (c *Cluster) bulkWrite(ctx context.Context, index string, lines []byte) ([]bulkItem, error) {
	what := "Write to " + index
	var items []bulkItem
	err := c.client.Do(ctx, elasticsearch.Call{
		What: what, Request: esapi.BulkRequest{Index: escaped(index)[0], Pipeline: "_none", WaitForActiveShards: "1",
			Body: bytes.NewReader(lines)},
		Read: func(text []byte) error {
			var answer struct {
				Items []map[string]bulkItem `json:"items"`
			}
			if err := json.Unmarshal(text, &answer); err != nil {
				return err
			}
			items = items[:0]
			for _, i := range answer.Items {
				for _, item := range i {
					if item.Status == http.StatusTooManyRequests {
						return &problem.Problem{What: what + " failed", Why: item.Error.Reason + ".",
							Next: "The cluster is overloaded. Try again later.", Err: ErrBusy}
					}
					items = append(items, item)
				}
			}
			return nil
		},
	})
	return items, err
}

type bulkItem struct {
	ID     string `json:"_id"`
	Status int    `json:"status"`
	Error  struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

func (i bulkItem) problem(index string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The document %q can't be written to %s", i.ID, index), Why: i.Error.Type + ": " +
			i.Error.Reason + ".",
		Next: "The mapping of the new index is that of the old one: look at this document.", Err: ErrRequest,
	}
}

type bulkAction struct {
	ID          string      `json:"_id"`
	Routing     string      `json:"routing,omitempty"`
	Version     int64       `json:"version,omitempty"`
	VersionType VersionRule `json:"version_type,omitempty"`
}

// Put writes documents with their versions, and returns those that the rule rejected.
func (c *Cluster) Put(ctx context.Context, index string, documents []Document, rule VersionRule) ([]Document, error) {
	var lines bytes.Buffer
	for _, d := range documents {
		action, err := json.Marshal(map[string]bulkAction{"index": {ID: d.ID, Routing: d.Routing, Version: d.Version,
			VersionType: rule}})
		if err != nil {
			return nil, err
		}
		lines.Write(action)
		lines.WriteByte('\n')
		// A source keeps its original line breaks, but here each document must be on one line.
		if err := json.Compact(&lines, d.Source); err != nil {
			return nil, fmt.Errorf("document %q: %w", d.ID, err)
		}
		lines.WriteByte('\n')
	}
	items, err := c.bulkWrite(ctx, index, lines.Bytes())
	if err != nil {
		return nil, err
	}
	if len(items) != len(documents) {
		return nil, fmt.Errorf("write to %s: %d documents sent, %d answered", index, len(documents), len(items))
	}
	var kept []Document
	for i, item := range items {
		switch {
		case item.Status == http.StatusConflict:
			kept = append(kept, documents[i])
		case item.Status >= http.StatusBadRequest:
			return nil, item.problem(index)
		}
	}
	return kept, nil
}

// Remove removes documents. A document that does not exist is not an error.
func (c *Cluster) Remove(ctx context.Context, index string, documents []Document) error {
	var lines bytes.Buffer
	for _, d := range documents {
		action, err := json.Marshal(map[string]bulkAction{"delete": {ID: d.ID, Routing: d.Routing}})
		if err != nil {
			return err
		}
		lines.Write(action)
		lines.WriteByte('\n')
	}
	items, err := c.bulkWrite(ctx, index, lines.Bytes())
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.Status >= http.StatusBadRequest && item.Status != http.StatusNotFound {
			return item.problem(index)
		}
	}
	return nil
}
