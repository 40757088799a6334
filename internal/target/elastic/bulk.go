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

// VersionRule decides by version whether a written document replaces an existing one.
type VersionRule string

// Version rules.
const (
	// Newer replaces only if the version is higher.
	Newer VersionRule = "external"
	// NotOlder also replaces if the version is the same.
	NotOlder VersionRule = "external_gte"
)

// bulkWrite sends the lines of a bulk request. It bypasses the index's default pipeline, and its setting that makes
// writes wait for more shard copies. Every action must be safe to repeat, because a request whose answer was lost is
// sent again.
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
	ID      string `json:"_id"`
	Status  int    `json:"status"`
	Version int64  `json:"_version"`
	SeqNo   int64  `json:"_seq_no"`
	Term    int64  `json:"_primary_term"`
	Error   struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

func (i bulkItem) problem(index string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The document %q can't be written to %s", i.ID, index), Why: i.Error.Type + ": " +
			i.Error.Reason + ".",
		Next: "The new index has the mapping of the old one. Check this document.", Err: ErrRequest,
	}
}

type bulkAction struct {
	ID          string      `json:"_id"`
	Routing     string      `json:"routing,omitempty"`
	Version     int64       `json:"version,omitempty"`
	VersionType VersionRule `json:"version_type,omitempty"`
	IfSeqNo     *int64      `json:"if_seq_no,omitempty"`
	IfTerm      int64       `json:"if_primary_term,omitempty"`
}

// addAction appends an action, and the document's source if it has one, to the lines of a bulk request.
func addAction(lines *bytes.Buffer, kind string, action bulkAction, source json.RawMessage) error {
	text, err := json.Marshal(map[string]bulkAction{kind: action})
	if err != nil {
		return err
	}
	lines.Write(text)
	lines.WriteByte('\n')
	if source == nil {
		return nil
	}
	// A source keeps its original line breaks, but here each document must be on one line.
	if err := json.Compact(lines, source); err != nil {
		return fmt.Errorf("document %q: %w", action.ID, err)
	}
	lines.WriteByte('\n')
	return nil
}

// items is bulkWrite for a known number of actions. It returns an error unless each of them was answered.
func (c *Cluster) items(ctx context.Context, index string, lines []byte, actions int) ([]bulkItem, error) {
	items, err := c.bulkWrite(ctx, index, lines)
	if err == nil && len(items) != actions {
		err = fmt.Errorf("write to %s: %d documents sent, %d answered", index, actions, len(items))
	}
	return items, err
}

// Put writes documents with their versions, and returns those that the rule rejected.
func (c *Cluster) Put(ctx context.Context, index string, documents []Document, rule VersionRule) ([]Document, error) {
	var lines bytes.Buffer
	for _, d := range documents {
		action := bulkAction{ID: d.ID, Routing: d.Routing, Version: d.Version, VersionType: rule}
		if err := addAction(&lines, "index", action, d.Source); err != nil {
			return nil, err
		}
	}
	items, err := c.items(ctx, index, lines.Bytes(), len(documents))
	if err != nil {
		return nil, err
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

// MostVersions is the largest difference between two versions of a document that Replace makes up for.
const MostVersions = 16

// Replace overwrites documents that have not changed in the index since now was read, and creates those that did not
// exist then. Documents that somebody else has changed since are left as they are. Every write raises the version by
// one, so Replace writes a document again until its version is that of the argument, which may be MostVersions higher.
// It returns the sequence numbers of its writes, by Key.
func (c *Cluster) Replace(ctx context.Context, index string, documents, now []Document) (map[string]int64, error) {
	wrote := map[string]int64{}
	for round := 0; len(documents) > 0 && round <= MostVersions; round++ {
		var lines bytes.Buffer
		for i, d := range documents {
			kind, action := "create", bulkAction{ID: d.ID, Routing: d.Routing}
			if now[i].Version != 0 {
				kind, action.IfSeqNo, action.IfTerm = "index", &now[i].SeqNo, now[i].Term
			}
			if err := addAction(&lines, kind, action, d.Source); err != nil {
				return wrote, err
			}
		}
		items, err := c.items(ctx, index, lines.Bytes(), len(documents))
		if err != nil {
			return wrote, err
		}
		var again, left []Document
		for i, item := range items {
			d := documents[i]
			switch {
			case item.Status == http.StatusConflict:
				continue
			case item.Status >= http.StatusBadRequest:
				return wrote, item.problem(index)
			}
			wrote[d.Key()] = item.SeqNo
			if item.Version < d.Version {
				again, left = append(again, d), append(left, Document{Version: item.Version, SeqNo: item.SeqNo,
					Term: item.Term})
			}
		}
		documents, now = again, left
	}
	return wrote, nil
}

// Remove removes documents. A document that does not exist is not an error.
func (c *Cluster) Remove(ctx context.Context, index string, documents []Document) error {
	return c.remove(ctx, index, documents, nil)
}

// RemoveUnchanged removes documents that nobody has changed since now was read.
func (c *Cluster) RemoveUnchanged(ctx context.Context, index string, documents, now []Document) error {
	return c.remove(ctx, index, documents, now)
}

func (c *Cluster) remove(ctx context.Context, index string, documents, now []Document) error {
	if len(documents) == 0 {
		return nil
	}
	var lines bytes.Buffer
	for i, d := range documents {
		action := bulkAction{ID: d.ID, Routing: d.Routing}
		if now != nil {
			action.IfSeqNo, action.IfTerm = &now[i].SeqNo, now[i].Term
		}
		if err := addAction(&lines, "delete", action, nil); err != nil {
			return err
		}
	}
	items, err := c.bulkWrite(ctx, index, lines.Bytes())
	if err != nil {
		return err
	}
	for _, item := range items {
		changed := now != nil && item.Status == http.StatusConflict
		if item.Status >= http.StatusBadRequest && item.Status != http.StatusNotFound && !changed {
			return item.problem(index)
		}
	}
	return nil
}
