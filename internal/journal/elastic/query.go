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

// Sort orders of a search.
var (
	newestFirst = []map[string]string{{"seq": "desc"}}
	oldestFirst = []map[string]string{{"seq": "asc"}}
)

// everywhere extends a request to all ranges, including hidden and closed ones. A range that can't be read must not
// look empty.
const everywhere = "expand_wildcards=all"

// Find implements journal.Store. The newest entry at its start bounds everything that it reads, so the answer shows the
// journal at one moment.
func (s *Store) Find(ctx context.Context, filter journal.Filter) ([]journal.Record, error) {
	found, err := s.find(ctx, filter)
	return found, s.explain(ctx, err)
}

func (s *Store) find(ctx context.Context, filter journal.Filter) ([]journal.Record, error) {
	if filter.Open {
		v, err := s.now(ctx)
		if err != nil {
			return nil, err
		}
		return v.find(filter), nil
	}
	part, v, err := s.newestPart(ctx, filter)
	if err != nil {
		return nil, err
	}
	var all []journal.Record
	for {
		all = append(all, part...)
		if len(part) < partSize(filter, len(all)-len(part)) || len(all) == filter.Limit {
			slices.Reverse(all)
			return all, nil
		}
		if part, err = s.part(ctx, filter, v, all); err != nil {
			return nil, err
		}
	}
}

// partSize returns how many records to read next after have records were read.
func partSize(filter journal.Filter, have int) int {
	if filter.Limit > 0 {
		return min(page, filter.Limit-have)
	}
	return page
}

// newestPart returns the newest records, newest first, and the view that they belong to. Usually nothing has been
// appended since this process last read the journal, so it searches while it checks for new entries. If there are any,
// it searches again.
func (s *Store) newestPart(ctx context.Context, filter journal.Filter) ([]journal.Record, *view, error) {
	before := s.latest()
	type result struct {
		part []journal.Record
		err  error
	}
	ahead := make(chan result, 1)
	guessing, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.isSearchable(before) {
		go func() {
			part, err := s.part(guessing, filter, before, nil)
			ahead <- result{part, err}
		}()
	} else {
		ahead <- result{err: errTaken}
	}
	v, err := s.now(ctx)
	if err != nil {
		return nil, nil, err
	}
	if v.head == before.head {
		if guess := <-ahead; guess.err == nil {
			return guess.part, v, nil
		}
	}
	if err := s.makeSearchable(ctx, v); err != nil {
		return nil, nil, err
	}
	part, err := s.part(ctx, filter, v, nil)
	return part, v, err
}

// part returns the next records, newest first, after those already read.
func (s *Store) part(ctx context.Context, filter journal.Filter, v *view,
	have []journal.Record) ([]journal.Record, error) {
	query := map[string]any{"query": every(conditions(filter, v)), "sort": newestFirst,
		"size": partSize(filter, len(have))}
	if len(have) > 0 {
		query["search_after"] = []int64{have[len(have)-1].ID}
	}
	records, err := s.page(ctx, query, narrow(filter), v.head.Seq)
	slices.Reverse(records)
	return records, err
}

// page returns the records that begin with the entries that the query finds, oldest first. If about says what the
// records are about, the same request asks for the later entries by subject, which all entries of an execution share.
// Usually no further request is needed.
func (s *Store) page(ctx context.Context, query map[string]any, about []any, head int64) ([]journal.Record, error) {
	queries := []map[string]any{query}
	if _, later := query["search_after"]; len(about) > 0 && !later {
		queries = append(queries, progress(about, head), steps(about, head))
	}
	found, err := s.searches(ctx, queries...)
	if err != nil {
		return nil, err
	}
	first := found[0]
	var ids []int64
	for _, d := range first {
		if d.Kind == journal.KindIntent {
			ids = append(ids, d.Seq)
		}
	}
	var more []document
	switch {
	case len(ids) == 0:
	case len(found) > 1 && reaches(found[1], page, ids) && reaches(found[2], stepsPage, ids):
		more = slices.Concat(found[1:]...)
	default:
		if more, err = s.later(ctx, ids, head); err != nil {
			return nil, err
		}
	}
	return fold(first, more)
}

// reaches reports whether the search found everything after the first of the executions. The search returns the newest
// first, and at most size.
func reaches(found []document, size int, ids []int64) bool {
	return len(found) < size || found[len(found)-1].Seq < slices.Min(ids)
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

// subject returns the filter's conditions on subjects. Either all entries of an execution match them or none.
func subject(f journal.Filter) []any {
	var out []any
	about := validSubject(journal.Subject{Playbook: f.Playbook, Target: f.Target, Request: f.Request,
		Incident: f.Incident, Digest: f.Digest, Identity: f.Identity})
	for field, value := range map[string]string{"playbook": about.Playbook, "target": about.Target,
		"request": about.Request, "incident": about.Incident, "digest": about.Digest, "identity": about.Identity} {
		if value != "" {
			out = append(out, term(field, value))
		}
	}
	return out
}

// narrow returns the conditions of subject if few records are expected to match the filter, otherwise nothing.
func narrow(f journal.Filter) []any {
	if f.Target == "" && f.Request == "" && f.Incident == "" && f.Digest == "" && f.Identity == "" {
		return nil
	}
	return subject(f)
}

// conditions returns the filter as queries on first entries, for the journal as of v.
func conditions(f journal.Filter, v *view) []any {
	out := append(subject(f), upTo(v.head.Seq))
	bounds := map[string]string{}
	if !f.Since.IsZero() {
		bounds["gte"] = timeText(f.Since)
	}
	if !f.Until.IsZero() {
		bounds["lt"] = timeText(f.Until)
	}
	if f.Before > 0 {
		out = append(out, map[string]any{"range": map[string]any{"seq": map[string]int64{"lt": f.Before}}})
	}
	if len(bounds) > 0 {
		out = append(out, map[string]any{"range": map[string]any{"at": bounds}})
	}
	switch {
	case f.All:
		out = append(out, terms("kind", firstKinds()))
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

// firstKinds lists the kinds of first entries.
func firstKinds() []journal.Kind {
	return []journal.Kind{journal.KindIntent, journal.KindDryRun, journal.KindSkip, journal.KindAdoption}
}

func term(field, value string) any { return map[string]any{"term": map[string]string{field: value}} }

func terms[T any](field string, values []T) any {
	return map[string]any{"terms": map[string][]T{field: append([]T{}, values...)}} // encode an empty list, not null
}

func upTo(seq int64) any {
	return map[string]any{"range": map[string]any{"seq": map[string]int64{"lte": seq}}}
}

// every returns the query that matches if all conditions do.
func every(conditions []any) any { return map[string]any{"bool": map[string]any{"filter": conditions}} }

// records returns the records with the identifiers, oldest first, from the journal up to the entry head.
func (s *Store) records(ctx context.Context, ids []int64, head int64) ([]journal.Record, error) {
	var all []journal.Record
	for some := range slices.Chunk(ids, page) {
		query := every([]any{terms("seq", some), terms("kind", firstKinds()),
			upTo(head)})
		records, err := s.page(ctx, map[string]any{"size": page, "sort": newestFirst, "query": query},
			[]any{terms("execution", some)}, head)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// fold returns the records that begin with the first entries, oldest first. more may contain entries of other records.
func fold(first, more []document) ([]journal.Record, error) {
	found := map[int64]journal.Record{}
	for _, d := range first {
		found[d.Seq] = journal.Record{}
	}
	more = slices.DeleteFunc(more, func(d document) bool {
		_, asked := found[d.Execution]
		return !asked
	})
	documents := slices.Concat(first, more)
	slices.SortFunc(documents, func(a, b document) int { return cmp.Compare(a.Seq, b.Seq) })
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

// stepsPage is how many steps are read at a time: a dispatch and an outcome per record, and some takeovers.
const stepsPage = 3 * page

// steps returns the query for the entries after the first ones, without progress, which is unbounded in number.
func steps(about []any, head int64) map[string]any {
	others := append(firstKinds(), journal.KindProgress, kindRemoved)
	return map[string]any{
		"size": stepsPage, "sort": newestFirst,
		"query": map[string]any{"bool": map[string]any{"filter": slices.Concat(about, []any{upTo(head)}),
			"must_not": terms("kind", others)}},
	}
}

// progress returns the query for the newest progress entry per execution.
func progress(about []any, head int64) map[string]any {
	return map[string]any{
		"size": page, "sort": newestFirst, "collapse": map[string]string{"field": "execution"},
		"query": every(slices.Concat(about, []any{term("kind", string(journal.KindProgress)), upTo(head)})),
	}
}

// later returns the entries that follow the intents with the identifiers.
func (s *Store) later(ctx context.Context, ids []int64, head int64) ([]document, error) {
	about := []any{terms("execution", ids)}
	query := steps(about, head)
	found, err := s.searches(ctx, progress(about, head), query)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(found...)
	for part := found[1]; len(part) == stepsPage; {
		query["search_after"] = []int64{part[len(part)-1].Seq}
		if part, err = s.search(ctx, query); err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}
