package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

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

// bulkWrite performs actions and returns one item per action, in order. It bypasses the index's default pipeline, and
// its setting that makes writes wait for more shard copies. It sends actions that an overloaded cluster refused again,
// and no others. With an error, the items of the actions that were not answered are zero.
func (c *Cluster) bulkWrite(ctx context.Context, index string, actions [][]byte) (written, error) {
	out := written{items: make([]bulkItem, len(actions))}
	pending := make([]int, len(actions))
	for i := range pending {
		pending[i] = i
	}
	for attempt := 1; len(pending) > 0; attempt++ {
		items, sent, err := c.bulkOnce(ctx, index, actions, pending)
		out.repeated = out.repeated || sent > 1
		if err != nil {
			return out, err
		}
		var refused []int
		for n, item := range items {
			if i := pending[n]; item.Status == http.StatusTooManyRequests {
				refused = append(refused, i)
			} else {
				out.items[i] = item
			}
		}
		if pending = refused; len(pending) == 0 {
			break
		}
		if attempt == bulkAttempts {
			return out, &problem.Problem{
				What: "Write to " + index + " failed",
				Why:  firstRefusal(items) + ".",
				Next: "The cluster is overloaded. Try again later.", Err: ErrBusy,
			}
		}
		if err := c.clk.Sleep(ctx, bulkPause<<(attempt-1)); err != nil {
			return out, err
		}
	}
	return out, nil
}

const (
	// bulkAttempts is how often an action is sent that the cluster refuses because it is overloaded. bulkPause is the
	// pause before the second attempt. It doubles with each further one.
	bulkAttempts = 5
	bulkPause    = 200 * time.Millisecond
)

// written is the answer to a bulk request.
type written struct {
	items []bulkItem
	// repeated reports that actions were sent again after a lost answer. An action that conflicts may then have been
	// performed by the first request.
	repeated bool
}

// bulkOnce sends some of the actions in one request, and repeats the request if its answer is lost. sent is how often
// it was sent.
func (c *Cluster) bulkOnce(ctx context.Context, index string, actions [][]byte,
	some []int) (items []bulkItem, sent int, err error) {
	var lines bytes.Buffer
	for _, i := range some {
		lines.Write(actions[i])
	}
	var answer struct {
		Items []map[string]bulkItem `json:"items"`
	}
	err = c.client.Do(ctx, elasticsearch.Call{
		What: "Write to " + index, Request: esapi.BulkRequest{Index: escaped(index)[0], Pipeline: "_none",
			WaitForActiveShards: "1", Body: bytes.NewReader(lines.Bytes())},
		Retry: elasticsearch.Retry{Stop: func() error { sent++; return nil }}, Out: &answer,
	})
	for _, item := range answer.Items {
		for _, i := range item {
			items = append(items, i)
		}
	}
	if err == nil && len(items) != len(some) {
		err = fmt.Errorf("write to %s: %d documents sent, %d answered", index, len(some), len(items))
	}
	return items, sent, err
}

// firstRefusal returns the reason of the first action that an overloaded cluster refused.
func firstRefusal(items []bulkItem) string {
	i := slices.IndexFunc(items, func(i bulkItem) bool { return i.Status == http.StatusTooManyRequests })
	return items[i].Error.Reason
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

// encode returns the lines of an action, with the document's source if it has one.
func (a bulkAction) encode(kind string, source json.RawMessage) ([]byte, error) {
	text, err := json.Marshal(map[string]bulkAction{kind: a})
	if err != nil {
		return nil, err
	}
	lines := bytes.NewBuffer(append(text, '\n'))
	if source == nil {
		return lines.Bytes(), nil
	}
	// A source keeps its original line breaks, but here each document must be on one line.
	if err := json.Compact(lines, source); err != nil {
		return nil, fmt.Errorf("document %q: %w", a.ID, err)
	}
	lines.WriteByte('\n')
	return lines.Bytes(), nil
}

// Put writes documents with their versions, and returns those that the rule rejected.
func (c *Cluster) Put(ctx context.Context, index string, documents []Document, rule VersionRule) ([]Document, error) {
	actions := make([][]byte, len(documents))
	for i, d := range documents {
		var err error
		action := bulkAction{ID: d.ID, Routing: d.Routing, Version: d.Version, VersionType: rule}
		if actions[i], err = action.encode("index", d.Source); err != nil {
			return nil, err
		}
	}
	answer, err := c.bulkWrite(ctx, index, actions)
	if err != nil {
		return nil, err
	}
	var kept []Document
	for i, item := range answer.items {
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
// It returns the sequence numbers of its writes, by Key, also with an error.
func (c *Cluster) Replace(ctx context.Context, index string, documents, now []Document) (map[string]int64, error) {
	wrote := map[string]int64{}
	for round := 0; len(documents) > 0 && round <= MostVersions; round++ {
		states, err := c.replaceOnce(ctx, index, documents, now)
		var again, left []Document
		for i, d := range documents {
			if states[i].Version == 0 {
				continue
			}
			wrote[d.Key()] = states[i].SeqNo
			if states[i].Version < d.Version {
				again, left = append(again, d), append(left, states[i])
			}
		}
		if err != nil {
			return wrote, err
		}
		documents, now = again, left
	}
	return wrote, nil
}

// replaceOnce writes each document once. It returns the states that its writes led to, in order; the version 0 means
// that a document was not written.
func (c *Cluster) replaceOnce(ctx context.Context, index string, documents, now []Document) ([]Document, error) {
	states, actions := make([]Document, len(documents)), make([][]byte, len(documents))
	for i, d := range documents {
		kind, action := "create", bulkAction{ID: d.ID, Routing: d.Routing}
		if now[i].Version != 0 {
			kind, action.IfSeqNo, action.IfTerm = "index", &now[i].SeqNo, now[i].Term
		}
		var err error
		if actions[i], err = action.encode(kind, d.Source); err != nil {
			return states, err
		}
	}
	answer, err := c.bulkWrite(ctx, index, actions)
	var conflicts []int
	for i, item := range answer.items {
		switch {
		case item.Status == 0:
		case item.Status == http.StatusConflict:
			conflicts = append(conflicts, i)
		case item.Status >= http.StatusBadRequest:
			err = errors.Join(err, item.problem(index))
		default:
			states[i] = Document{Version: item.Version, SeqNo: item.SeqNo, Term: item.Term}
		}
	}
	if err != nil || !answer.repeated || len(conflicts) == 0 {
		return states, err
	}
	own, err := c.ownWrites(ctx, index, chosen(documents, conflicts), chosen(now, conflicts))
	for n, i := range conflicts {
		states[i] = own[n]
	}
	return states, err
}

// ownWrites returns the states of the documents that a request with a lost answer has written, in order; the version 0
// means that it did not write a document. before are the documents before the request.
func (c *Cluster) ownWrites(ctx context.Context, index string, documents, before []Document) ([]Document, error) {
	own := make([]Document, len(documents))
	now, err := c.Current(ctx, index, documents, true)
	if err != nil {
		return own, err
	}
	for i, d := range now {
		next := before[i].Version == 0 || d.Version == before[i].Version+1
		if d.Version == 0 || !next {
			continue
		}
		same, err := c.SameSource(ctx, index, d.Source, documents[i].Source)
		if err != nil {
			return own, err
		}
		if same {
			own[i] = Document{Version: d.Version, SeqNo: d.SeqNo, Term: d.Term}
		}
	}
	return own, nil
}

func chosen(documents []Document, indices []int) []Document {
	out := make([]Document, len(indices))
	for n, i := range indices {
		out[n] = documents[i]
	}
	return out
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
	actions := make([][]byte, len(documents))
	for i, d := range documents {
		action := bulkAction{ID: d.ID, Routing: d.Routing}
		if now != nil {
			action.IfSeqNo, action.IfTerm = &now[i].SeqNo, now[i].Term
		}
		var err error
		if actions[i], err = action.encode("delete", nil); err != nil {
			return err
		}
	}
	answer, err := c.bulkWrite(ctx, index, actions)
	if err != nil {
		return err
	}
	for _, item := range answer.items {
		changed := now != nil && item.Status == http.StatusConflict
		if item.Status >= http.StatusBadRequest && item.Status != http.StatusNotFound && !changed {
			return item.problem(index)
		}
	}
	return nil
}
