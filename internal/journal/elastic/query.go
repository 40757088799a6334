package elastic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// Orders of a search.
var (
	newestFirst = []map[string]string{{"seq": "desc"}}
	oldestFirst = []map[string]string{{"seq": "asc"}}
)

// everywhere makes a request about all ranges, hidden ones and closed ones too: a range that can't be read must not look like one that is empty.
const everywhere = "expand_wildcards=all"

// Find implements journal.Store. All that it reads is bounded by the newest entry at its beginning, so that the answer is one moment of the journal.
func (s *Store) Find(ctx context.Context, filter journal.Filter) ([]journal.Record, error) {
	found, err := s.find(ctx, filter)
	return found, s.explain(ctx, err)
}

func (s *Store) find(ctx context.Context, filter journal.Filter) ([]journal.Record, error) {
	v, err := s.now(ctx)
	if err == nil {
		err = s.makeSearchable(ctx, v)
	}
	if err != nil {
		return nil, err
	}
	var all []journal.Record
	query := map[string]any{"query": every(conditions(filter, v)), "sort": newestFirst}
	for {
		size := page
		if filter.Limit > 0 {
			size = min(size, filter.Limit-len(all))
		}
		query["size"] = size
		first, err := s.search(ctx, query)
		if err != nil {
			return nil, err
		}
		records, err := s.complete(ctx, first, v.head.Seq)
		if err != nil {
			return nil, err
		}
		slices.Reverse(records)
		all = append(all, records...)
		if len(first) < size || len(all) == filter.Limit {
			slices.Reverse(all)
			return all, nil
		}
		query["search_after"] = []int64{first[len(first)-1].Seq}
	}
}

// Count implements journal.Store.
func (s *Store) Count(ctx context.Context, filter journal.Filter) (int, error) {
	count, err := s.count(ctx, filter)
	return count, s.explain(ctx, err)
}

func (s *Store) count(ctx context.Context, filter journal.Filter) (int, error) {
	v, err := s.now(ctx)
	if err == nil {
		err = s.makeSearchable(ctx, v)
	}
	if err != nil {
		return 0, err
	}
	body, err := encode(map[string]any{"query": every(conditions(filter, v))})
	if err != nil {
		return 0, err
	}
	type answer struct {
		Count  *int    `json:"count"`
		Shards *shards `json:"_shards"`
	}
	var out answer
	err = s.do(ctx, request{
		what: "Count entries", method: http.MethodPost, path: "/" + s.pattern() + "/_count?" + everywhere, body: body,
		read: decode(&out, func(a answer) error {
			if a.Count == nil {
				return errors.New("no count")
			}
			return s.whole("Count entries", a.Shards)
		}),
	})
	if err != nil {
		return 0, err
	}
	return *out.Count, nil
}

// conditions returns the filter as queries on first entries, of the journal as v has it.
func conditions(f journal.Filter, v *view) []any {
	out := []any{upTo(v.head.Seq)}
	for field, value := range map[string]string{"playbook": f.Playbook, "target": f.Target, "request": f.Request, "incident": f.Incident} {
		if value != "" {
			out = append(out, term(field, value))
		}
	}
	bounds := map[string]string{}
	if !f.Since.IsZero() {
		bounds["gte"] = timeText(f.Since)
	}
	if !f.Until.IsZero() {
		bounds["lt"] = timeText(f.Until)
	}
	if len(bounds) > 0 {
		out = append(out, map[string]any{"range": map[string]any{"at": bounds}})
	}
	switch {
	case f.All:
		out = append(out, terms("kind", []journal.Kind{journal.KindIntent, journal.KindDryRun}))
	case f.DryRuns:
		out = append(out, term("kind", string(journal.KindDryRun)))
	default:
		out = append(out, term("kind", string(journal.KindIntent)))
	}
	if f.Open {
		out = append(out, terms("seq", v.openIDs()))
	}
	return out
}

func term(field, value string) any { return map[string]any{"term": map[string]string{field: value}} }

func terms[T any](field string, values []T) any {
	return map[string]any{"terms": map[string][]T{field: append([]T{}, values...)}} // none is a list, too
}

func upTo(seq int64) any {
	return map[string]any{"range": map[string]any{"seq": map[string]int64{"lte": seq}}}
}

// every is the query for what meets all conditions.
func every(conditions []any) any { return map[string]any{"bool": map[string]any{"filter": conditions}} }

// records returns the records with the identifiers, oldest first, of the journal up to an entry.
func (s *Store) records(ctx context.Context, ids []int64, head int64) ([]journal.Record, error) {
	var all []journal.Record
	for some := range slices.Chunk(ids, page) {
		query := every([]any{terms("seq", some), terms("kind", []journal.Kind{journal.KindIntent, journal.KindDryRun}), upTo(head)})
		first, err := s.search(ctx, map[string]any{"size": page, "sort": oldestFirst, "query": query})
		if err != nil {
			return nil, err
		}
		records, err := s.complete(ctx, first, head)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// complete returns the records that begin with the given entries, oldest first. Progress that is not the newest, of which there may be any number, is
// not read.
func (s *Store) complete(ctx context.Context, first []document, head int64) ([]journal.Record, error) {
	var ids []int64
	for _, d := range first {
		if d.Kind == journal.KindIntent {
			ids = append(ids, d.Seq)
		}
	}
	documents := slices.Clone(first)
	if len(ids) > 0 {
		more, err := s.later(ctx, ids, head)
		if err != nil {
			return nil, err
		}
		documents = append(documents, more...)
	}
	slices.SortFunc(documents, func(a, b document) int { return cmp.Compare(a.Seq, b.Seq) })
	found := map[int64]journal.Record{}
	for _, d := range documents {
		e, err := d.entry()
		if err != nil {
			return nil, err
		}
		if found[e.Execution], err = found[e.Execution].With(e); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b journal.Record) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// later returns what followed the intents: all steps, and the newest progress of each.
func (s *Store) later(ctx context.Context, ids []int64, head int64) ([]document, error) {
	const size = 3 * page // a dispatch and an outcome each, and some takeovers
	others := []journal.Kind{journal.KindIntent, journal.KindDryRun, journal.KindProgress, kindRemoved}
	steps := map[string]any{
		"size": size, "sort": oldestFirst,
		"query": map[string]any{"bool": map[string]any{"filter": []any{terms("execution", ids), upTo(head)}, "must_not": terms("kind", others)}},
	}
	progress := map[string]any{
		"size": page, "sort": newestFirst, "collapse": map[string]string{"field": "execution"},
		"query": every([]any{terms("execution", ids), term("kind", string(journal.KindProgress)), upTo(head)}),
	}
	found, err := s.searches(ctx, progress, steps)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(found...)
	for part := found[1]; len(part) == size; {
		steps["search_after"] = []int64{part[len(part)-1].Seq}
		if part, err = s.search(ctx, steps); err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// shards is how a request fared on the shards that it went to.
type shards struct {
	Total    int `json:"total"`
	Failed   int `json:"failed"`
	Failures []struct {
		Index  string `json:"index"`
		Reason struct{ Type, Reason string }
	} `json:"failures"`
}

// whole refuses an answer that leaves out what some shards hold. A pattern passes over what the caller may not do there, so that an answer about no
// shards, where there are entries, is a refusal.
func (s *Store) whole(what string, on *shards) error {
	if on != nil && on.Total == 0 && s.entriesKnown() {
		return &statusError{what: what, status: http.StatusForbidden, kind: "security_exception", reason: "no index of the journal may be used so"}
	}
	return on.check()
}

func (s *Store) entriesKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen != nil && s.seen.head.Seq > 0
}

// check refuses an answer with failures.
func (s *shards) check() error {
	switch {
	case s == nil:
		return errors.New("nothing is said of the shards")
	case s.Failed == 0:
		return nil
	case len(s.Failures) == 0:
		return fmt.Errorf("it failed on %d shards", s.Failed)
	}
	return fmt.Errorf("it failed on %d shards, one of them of %s: %s", s.Failed, s.Failures[0].Index, s.Failures[0].Reason.Reason)
}

// search returns the documents that the query finds in all ranges.
func (s *Store) search(ctx context.Context, query map[string]any) ([]document, error) {
	found, err := s.searches(ctx, query)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// result is what one query found.
type result struct {
	TimedOut bool    `json:"timed_out"`
	Shards   *shards `json:"_shards"`
	Hits     *struct {
		Hits []struct {
			Source json.RawMessage `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
	Status int             `json:"status"`
	Error  json.RawMessage `json:"error"`
}

// allOf refuses a result that is not all there is.
func (s *Store) allOf(r result) error {
	const what = "Search entries"
	if r.Error != nil {
		refused, _ := s.refusal(what, r.Status, []byte(fmt.Sprintf(`{"error":%s}`, r.Error)))
		if passing(r.Status) {
			return errors.New(refused.Error())
		}
		return refused
	}
	if r.Hits == nil || r.TimedOut {
		return errors.New("it is not complete")
	}
	return s.whole(what, r.Shards)
}

// searches does several searches with one request.
func (s *Store) searches(ctx context.Context, queries ...map[string]any) ([][]document, error) {
	var lines bytes.Buffer
	for _, query := range queries {
		query["track_total_hits"] = false
		text, err := encode(query)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&lines, "{\"index\":%q,\"expand_wildcards\":\"all\",\"allow_partial_search_results\":false}\n%s\n", s.pattern(), text)
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

// makeSearchable makes sure that searches find all entries of v.
func (s *Store) makeSearchable(ctx context.Context, v *view) error {
	s.mu.Lock()
	known := s.searchable >= v.head.Seq
	s.mu.Unlock()
	if known {
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
		what: what, method: http.MethodPost, path: path, read: decode(&out, func(a answer) error { return s.whole(what, a.Shards) }),
	})
}

func encode(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a request: %w", err)
	}
	return text, nil
}
