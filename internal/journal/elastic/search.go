package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

type shards = elasticsearch.Shards

// denied returns the error for a refusal inside an answer.
func (s *Store) denied(what, reason string) error {
	return s.client.Refusal(what, elasticsearch.ResponseError{Status: http.StatusForbidden, Type: "security_exception",
		Reason: reason})
}

// whole refuses an answer that leaves out some shards. A pattern skips what the caller may not access, so an answer
// about no shards is a refusal if there are entries.
func (s *Store) whole(what string, on *shards) error {
	if on != nil && on.Total == 0 && s.entriesKnown() {
		return s.denied(what, "none of the journal's indices allows this request")
	}
	if on == nil {
		return errors.New("the answer has no information about shards")
	}
	if on.Failed > 0 {
		return errors.New(on.Failure())
	}
	return nil
}

func (s *Store) entriesKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen != nil && s.seen.head.Seq > 0
}

// search returns the documents that the query finds in all ranges.
func (s *Store) search(ctx context.Context, query map[string]any) ([]document, error) {
	found, err := s.searches(ctx, query)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// result is the result of one query.
type result struct {
	TimedOut bool    `json:"timed_out"`
	Shards   *shards `json:"_shards"`
	Hits     *struct {
		Hits []struct {
			Source json.RawMessage `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
	Status int `json:"status"`
	Error  *struct{ Type, Reason string }
}

// allOf refuses an incomplete result.
func (s *Store) allOf(r result) error {
	const what = "Search entries"
	if r.Error != nil {
		said := elasticsearch.ResponseError{Status: r.Status, Type: r.Error.Type, Reason: r.Error.Reason}
		err := s.client.Refusal(what, said)
		if elasticsearch.Passing(err) {
			return errors.New(said.Reason) // a retry may succeed
		}
		return err
	}
	if r.Hits == nil || r.TimedOut {
		return errors.New("it is not complete")
	}
	return s.whole(what, r.Shards)
}

// searches runs several searches in one request.
func (s *Store) searches(ctx context.Context, queries ...map[string]any) ([][]document, error) {
	var lines bytes.Buffer
	for _, query := range queries {
		query["track_total_hits"] = false
		text, err := encode(query)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&lines, "{\"index\":%q,\"expand_wildcards\":\"all\",\"allow_partial_search_results\":false}\n%s\n",
			s.pattern(), text)
	}
	type answer struct {
		Responses []result `json:"responses"`
	}
	var out answer
	err := s.do(ctx, request{
		what: "Search entries", method: http.MethodPost, body: lines.Bytes(), path: "/" + s.pattern() + "/_msearch",
		read: decode(&out, func(a answer) error {
			if len(a.Responses) != len(queries) {
				return fmt.Errorf("%d results of %d", len(a.Responses), len(queries))
			}
			for _, r := range a.Responses {
				if err := s.allOf(r); err != nil {
					return err
				}
			}
			return nil
		}),
	})
	if err != nil {
		return nil, err
	}
	found := make([][]document, len(queries))
	for i, r := range out.Responses {
		for _, hit := range r.Hits.Hits {
			d, err := parse(hit.Source)
			if err != nil {
				return nil, err
			}
			found[i] = append(found[i], d)
		}
	}
	return found, nil
}

// newest returns the largest sequence number that searches find. It asks for a maximum, which the server reads from the
// ends of its indexes. Sorting would read every entry.
func (s *Store) newest(ctx context.Context) (int64, error) {
	const what = "Look for the newest entry"
	body, err := encode(map[string]any{
		"size": 0, "track_total_hits": false,
		"aggs": map[string]any{"newest": map[string]any{"max": map[string]string{"field": "seq"}}},
	})
	if err != nil {
		return 0, err
	}
	type answer struct {
		result
		Aggregations *struct {
			Newest struct {
				Value *float64 `json:"value"`
			} `json:"newest"`
		} `json:"aggregations"`
	}
	var out answer
	err = s.do(ctx, request{
		what: what, method: http.MethodPost, body: body, path: "/" + s.pattern() +
			"/_search?allow_partial_search_results=false&" + everywhere,
		read: decode(&out, func(a answer) error {
			// Without an index there is no aggregation.
			if a.Aggregations == nil && a.Shards != nil && a.Shards.Total > 0 {
				return errors.New("it is not complete")
			}
			return s.allOf(a.result)
		}),
	})
	if err != nil || out.Aggregations == nil || out.Aggregations.Newest.Value == nil {
		return 0, err
	}
	return int64(*out.Aggregations.Newest.Value), nil
}

// makeSearchable ensures that searches find all entries of v.
func (s *Store) makeSearchable(ctx context.Context, v *view) error {
	if s.isSearchable(v) {
		return nil
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	s.searchable = max(s.searchable, v.head.Seq)
	s.mu.Unlock()
	return nil
}

func (s *Store) isSearchable(v *view) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.searchable >= v.head.Seq
}

func (s *Store) refresh(ctx context.Context) error {
	return s.allShards(ctx, "Refresh the journal", "/"+s.pattern()+"/_refresh?"+everywhere)
}

// flush returns when the entry is on the disk.
func (s *Store) flush(ctx context.Context, seq int64) error {
	return s.allShards(ctx, fmt.Sprintf("Flush entry %d", seq), "/"+s.rangeOf(seq)+"/_flush")
}

func (s *Store) allShards(ctx context.Context, what, path string) error {
	type answer struct {
		Shards *shards `json:"_shards"`
	}
	var out answer
	return s.do(ctx, request{
		what: what, method: http.MethodPost, path: path, read: decode(&out,
			func(a answer) error { return s.whole(what, a.Shards) }),
	})
}

func encode(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a request: %w", err)
	}
	return text, nil
}
