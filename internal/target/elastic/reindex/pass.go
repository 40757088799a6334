package reindex

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// pageNames is how many document names are read at a time.
	pageNames = 5_000
	// pageBytes is roughly how much text of documents is read at a time, and pageMost is the limit in documents.
	pageBytes = 8 << 20
	pageMost  = 1_000
	// keepView is how long a view stays open after its last use. It is longer than one pass.
	keepView = 10 * time.Minute
	// atOnce is how many shards a pass works on in parallel.
	atOnce = 4
	// recreateTries and recreateWait bound the retries for a document that was deleted and created again with a lower
	// version. The server forgets the version of the deleted document within a few hundred milliseconds.
	recreateTries = 20
	recreateWait  = 250 * time.Millisecond
	// probeTimeout is how long a view that may be lost has to answer.
	probeTimeout = 2 * time.Second
)

// snapshot is a view of every shard of the old index, with the sequence numbers that it certainly contains.
type snapshot struct {
	views       []*elastic.View
	checkpoints []int64
}

// view returns the view of a shard, or nil if there is none or it was lost.
func (s snapshot) view(shard int) *elastic.View {
	if shard >= len(s.views) {
		return nil
	}
	return s.views[shard]
}

// touch keeps the views open. If a view has expired anyway, the next pass handles it.
func (s snapshot) touch(ctx context.Context) {
	for _, v := range s.views {
		if v != nil {
			_, _ = v.Count(ctx)
		}
	}
}

func (s snapshot) close(ctx context.Context) {
	for _, v := range s.views {
		if v != nil {
			v.Close(ctx)
		}
	}
}

// snapshot opens views of the old index in its present state. It reads the checkpoints first, so the views contain
// everything up to them.
func (r *Run) snapshot(ctx context.Context) (snapshot, error) {
	checkpoints, err := r.cluster.Checkpoints(ctx, r.state.Old)
	if err != nil {
		return snapshot{}, err
	}
	if err := r.cluster.Refresh(ctx, r.state.Old); err != nil {
		return snapshot{}, err
	}
	if r.seen == nil {
		r.seen = slices.Clone(checkpoints)
	}
	s := snapshot{checkpoints: checkpoints}
	for shard := range checkpoints {
		v, err := r.cluster.OpenView(ctx, r.state.Old, shard, keepView)
		if err != nil {
			s.close(ctx)
			return snapshot{}, err
		}
		s.views = append(s.views, v)
	}
	return s, nil
}

// pass updates the new index to the present content of the old one. rule is elastic.Newer once clients can write to the
// new index, and elastic.NotOlder before. It compares the counts of both indices and returns the number of changes that
// no earlier pass has seen. If it fails because the views of the last pass were lost with their node, it tries again
// without them.
func (r *Run) pass(ctx context.Context, rule elastic.VersionRule) (changed int64, err error) {
	changed, err = r.tryPass(ctx, rule)
	if err != nil && ctx.Err() == nil && r.dropLostViews(ctx) {
		changed, err = r.tryPass(ctx, rule)
	}
	return changed, err
}

// dropLostViews drops the views of the last pass that can't be read, although a new view of the shard can. It reports
// whether there were any. Without a view, the counts reveal deletions.
func (r *Run) dropLostViews(ctx context.Context) bool {
	readable := func(v *elastic.View) bool {
		inner, done := context.WithTimeout(ctx, probeTimeout)
		defer done()
		_, err := v.Count(inner)
		return err == nil
	}
	lost := false
	for shard, v := range r.last.views {
		if v == nil || readable(v) {
			continue
		}
		fresh, err := r.cluster.OpenView(ctx, r.state.Old, shard, keepView)
		if err != nil {
			continue
		}
		if readable(fresh) {
			logging.Debug(ctx, logging.Elasticsearch, "view lost", "index", r.state.Old, "shard", shard)
			r.last.views[shard], lost = nil, true
		}
		fresh.Close(context.WithoutCancel(ctx))
	}
	return lost
}

func (r *Run) tryPass(ctx context.Context, rule elastic.VersionRule) (changed int64, err error) {
	now, err := r.snapshot(ctx)
	if err != nil {
		return 0, err
	}
	var written, removed atomic.Int64
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for shard, view := range now.views {
		group.Go(func() error {
			if before := r.last.view(shard); before != nil {
				deleted, err := r.deletedSince(inner, before, view, r.last.checkpoints[shard])
				if err != nil && !elastic.IsMissing(err) { // if a view has expired, the counts reveal deletions
					return err
				}
				if err := r.removeFromShard(inner, shard, deleted); err != nil {
					return err
				}
				removed.Add(int64(len(deleted)))
			}
			n, err := r.write(inner, view, shard, rule)
			written.Add(n)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		now.close(context.WithoutCancel(ctx)) // the next pass compares with the earlier views again
		return 0, err
	}
	r.last.close(ctx)
	r.last = now
	r.state.Checkpoints = now.checkpoints
	swept, err := r.compare(ctx, now)
	r.state.Result.Passes++
	r.state.Result.Written += written.Load()
	r.state.Result.Removed += removed.Load() + swept
	return written.Load() + removed.Load() + swept, err
}

// write copies the documents with a sequence number above the checkpoint. It returns how many of them no earlier pass
// has seen. The checkpoint may lag behind what a search finds, by seconds if the index is written with asynchronous
// durability.
func (r *Run) write(ctx context.Context, view *elastic.View, shard int, rule elastic.VersionRule) (int64, error) {
	var fresh int64
	span, seen := elastic.Span{Low: r.state.Checkpoints[shard] + 1}, r.seen[shard]
	err := view.Each(ctx, elastic.Scan{Spans: []elastic.Span{span}, Page: r.page, Whole: true},
		func(documents []elastic.Document) error {
			for _, d := range documents {
				if d.SeqNo > seen {
					fresh++
				}
				r.seen[shard] = max(r.seen[shard], d.SeqNo)
			}
			if r.moved {
				var err error
				if documents, err = r.writeAfterMove(ctx, shard, documents, r.last.view(shard)); err != nil ||
					len(documents) == 0 {
					return err
				}
			}
			kept, err := r.cluster.Put(ctx, r.state.New, documents, rule)
			if err == nil && len(kept) > 0 && rule == elastic.Newer {
				if kept, err = r.untouched(ctx, kept); err == nil && len(kept) > 0 {
					kept, err = r.cluster.Put(ctx, r.state.New, kept, elastic.NotOlder)
				}
			}
			if err != nil {
				return err
			}
			if err := r.recreate(ctx, kept); err != nil || !r.moved {
				return err
			}
			return r.noteWritten(ctx, documents)
		})
	return fresh, err
}

// untouched returns those of the documents that no client has written to the new index. A client's version is newer and
// stays.
func (r *Run) untouched(ctx context.Context, documents []elastic.Document) ([]elastic.Document, error) {
	if err := r.cluster.Refresh(ctx, r.state.New); err != nil {
		return nil, err
	}
	var ours []elastic.Document
	for shard, last := range r.state.Ours {
		view, err := r.cluster.OpenView(ctx, r.state.New, shard, keepView)
		if err != nil {
			return nil, err
		}
		has, err := view.Has(ctx, documents, last+1)
		view.Close(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			if has[d.Key()] {
				ours = append(ours, d)
			}
		}
	}
	return ours, nil
}

// recreate writes documents whose version is lower than the one in the new index, because they were deleted and
// created again in the old one.
func (r *Run) recreate(ctx context.Context, documents []elastic.Document) error {
	for try := 0; len(documents) > 0; try++ {
		if err := r.cluster.Remove(ctx, r.state.New, documents); err != nil {
			return err
		}
		if err := r.clk.Sleep(ctx, recreateWait); err != nil {
			return err
		}
		kept, err := r.cluster.Put(ctx, r.state.New, documents, elastic.NotOlder)
		if err != nil {
			return err
		}
		if documents = kept; try == recreateTries && len(kept) > 0 {
			return r.failed("Documents that were deleted and created again can't be copied",
				"The new index keeps a higher version of "+kept[0].ID+".", nil)
		}
	}
	return nil
}

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

// deletedSince returns the documents of a shard that before had and now does not have. Up to the checkpoint, a span of
// sequence numbers can only lose documents, so a span that lost none is unchanged. Above it, all documents are
// compared.
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
	suspects, err := list(ctx, before, append(spans, elastic.Span{Low: checkpoint + 1}))
	if err != nil {
		return nil, err
	}
	return absent(ctx, suspects, []*elastic.View{now})
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

func list(ctx context.Context, v *elastic.View, spans []elastic.Span) ([]elastic.Document, error) {
	var out []elastic.Document
	for some := range slices.Chunk(spans, clauses) {
		err := v.Each(ctx, elastic.Scan{Spans: some, Page: pageNames}, func(documents []elastic.Document) error {
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
func absent(ctx context.Context, documents []elastic.Document, views []*elastic.View) ([]elastic.Document, error) {
	var out []elastic.Document
	for len(documents) > 0 {
		some := documents[:min(len(documents), pageNames)]
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

// compare checks that the new index has exactly as many documents as the view of the old one. If not, it removes the
// documents that are not in the view. Once clients may write to the new index, there is nothing to compare.
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

// sweep compares all names, and removes documents from the new index that are not in the views of the old one. After
// the switch it only considers documents that this package wrote and no client has changed since.
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
			return view.Each(inner, elastic.Scan{Spans: []elastic.Span{span}, Page: pageNames},
				func(documents []elastic.Document) error {
					extra, err := absent(inner, documents, now.views)
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
