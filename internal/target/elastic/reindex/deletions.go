package reindex

import (
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// rangesPer is the number of spans of sequence numbers into which a shard is split at a time, per lost document.
	// rangesMost is the limit: Elasticsearch allows 65,536 buckets in one answer.
	rangesPer, rangesMost = 16, 8_192
	// fewIn is the average number of documents per span below which spans are listed and not split again. fewAll is the
	// same for a whole shard.
	fewIn, fewAll = 16, 4_000
	// clauses is how many spans are listed at a time.
	clauses = 500
)

// deletedSince returns the documents of a shard that are in the view before and not in the view now. Up to the
// checkpoint, a span of sequence numbers can only lose documents, so a span that lost none is unchanged. Above it, all
// documents are compared.
func (r *Run) deletedSince(ctx context.Context, before, now *elastic.View,
	checkpoint int64) ([]elastic.Document, error) {
	var spans []elastic.Span
	if checkpoint >= 0 {
		spans = []elastic.Span{{Low: 0, High: checkpoint + 1}}
	}
	spans, lost, all, err := shrunk(ctx, before, now, spans)
	for err == nil && all > max(fewAll, fewIn*int64(len(spans))) {
		parts := split(spans, min(rangesMost, rangesPer*int(min(lost, rangesMost))))
		if len(parts) == len(spans) {
			break
		}
		spans, lost, all, err = shrunk(ctx, before, now, parts)
	}
	if err != nil {
		return nil, err
	}
	suspects, err := r.list(ctx, before, append(spans, elastic.Span{Low: checkpoint + 1}))
	if err != nil {
		return nil, err
	}
	return r.absent(ctx, suspects, []*elastic.View{now})
}

// shrunk returns the spans that lost documents, how many they lost, and how many they had.
func shrunk(ctx context.Context, before, now *elastic.View,
	spans []elastic.Span) (out []elastic.Span, lost, all int64, err error) {
	if len(spans) == 0 {
		return nil, 0, 0, nil
	}
	had, err := before.Counts(ctx, spans)
	if err != nil {
		return nil, 0, 0, err
	}
	has, err := now.Counts(ctx, spans)
	if err != nil {
		return nil, 0, 0, err
	}
	for i, s := range spans {
		if had[i] != has[i] {
			out, lost, all = append(out, s), lost+had[i]-has[i], all+had[i]
		}
	}
	return out, lost, all, nil
}

// split splits spans evenly into approximately this total number.
func split(spans []elastic.Span, into int) []elastic.Span {
	each := int64(max(1, into/len(spans)))
	var out []elastic.Span
	for _, s := range spans {
		width := max(1, (s.High-s.Low+each-1)/each)
		for low := s.Low; low < s.High; low += width {
			out = append(out, elastic.Span{Low: low, High: min(s.High, low+width)})
		}
	}
	return out
}

func (r *Run) list(ctx context.Context, v *elastic.View, spans []elastic.Span) ([]elastic.Document, error) {
	var out []elastic.Document
	for some := range slices.Chunk(spans, clauses) {
		err := v.Each(ctx, elastic.Scan{Spans: some, Page: r.names}, func(documents []elastic.Document) error {
			out = append(out, documents...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// absent returns the documents that no view contains.
func (r *Run) absent(ctx context.Context, documents []elastic.Document,
	views []*elastic.View) ([]elastic.Document, error) {
	var out []elastic.Document
	for len(documents) > 0 {
		some := documents[:min(len(documents), r.names)]
		documents = documents[len(some):]
		for _, v := range views {
			if len(some) == 0 {
				break
			}
			has, err := v.Has(ctx, some, 0)
			if err != nil {
				return nil, err
			}
			var left []elastic.Document
			for _, d := range some {
				if !has[d.Key()] {
					left = append(left, d)
				}
			}
			some = left
		}
		out = append(out, some...)
	}
	return out, nil
}

// compare checks that the new index has exactly as many documents as the views of the old one, and that a sample of
// them is equal. If the counts differ, it first removes the documents that are not in the views, and returns how many
// these were. Once clients may write to the new index, there is nothing to compare.
func (r *Run) compare(ctx context.Context, now snapshot) (swept int64, err error) {
	want, have, err := r.counts(ctx, now)
	if err != nil || r.open {
		return 0, err
	}
	if want == have {
		return 0, r.compareSample(ctx, now)
	}
	if swept, err = r.sweep(ctx, now); err != nil {
		return swept, err
	}
	if want, have, err = r.counts(ctx, now); err != nil {
		return swept, err
	}
	if want != have && !r.moved { // after the move, clients that don't wait add and remove documents
		return swept, r.miscounted(want, have)
	}
	return swept, r.compareSample(ctx, now)
}

func (r *Run) counts(ctx context.Context, now snapshot) (want, have int64, err error) {
	for _, v := range now.views {
		n, err := v.Count(ctx)
		if err != nil {
			return 0, 0, err
		}
		want += n
	}
	if err := r.cluster.Refresh(ctx, r.state.New); err != nil {
		return 0, 0, err
	}
	if have, err = r.cluster.Count(ctx, r.state.New); !r.open {
		r.state.Result.Documents = have
	}
	return want, have, err
}

// sweep compares all identifiers, and removes documents from the new index that are not in the views of the old one.
// Once the switch has begun, it only considers documents that nobody has written since then.
func (r *Run) sweep(ctx context.Context, now snapshot) (int64, error) {
	var removed atomic.Int64
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for shard := range now.views {
		group.Go(func() error {
			span := elastic.Span{}
			if r.state.Ours != nil {
				span.High = r.state.Ours[shard] + 1
			}
			view, err := r.cluster.OpenView(inner, r.state.New, shard, keepView)
			if err != nil {
				return err
			}
			defer view.Close(context.WithoutCancel(ctx))
			return view.Each(inner, elastic.Scan{Spans: []elastic.Span{span}, Page: r.names},
				func(documents []elastic.Document) error {
					extra, err := r.absent(inner, documents, now.views)
					if err != nil {
						return err
					}
					removed.Add(int64(len(extra)))
					return r.removeFromShard(inner, shard, extra)
				})
		})
	}
	err := group.Wait()
	return removed.Load(), err
}
