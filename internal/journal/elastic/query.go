package elastic

import (
	"cmp"
	"context"
	"errors"
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
