package reindex

import (
	"context"
	"errors"
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
	// pageBytes is roughly how many bytes of documents are read at a time, and pageMost is the largest number of
	// documents.
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

// snapshot contains a view of every shard of the old index, and the sequence number up to which each view is certainly
// complete.
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

// pass copies changes until the new index has the present content of the old one. rule is elastic.Newer once clients
// can write to the new index, and elastic.NotOlder before. It compares the counts of both indices and returns the
// number of changes that no earlier pass has seen. If it fails because the views of the last pass were lost with their
// node, it tries again without them.
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
// has seen. It may copy documents that were copied before, because the checkpoint lags behind what a search finds: by
// seconds, if the index is written with asynchronous durability.
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
			err := r.put(ctx, documents, rule)
			if r.moved && ctx.Err() == nil {
				err = errors.Join(err, r.noteWritten(ctx, documents)) // it may have failed partway
			}
			return err
		})
	return fresh, err
}

// put writes documents with their versions. With rule Newer, a document that clients have not written is replaced also
// by its own version.
func (r *Run) put(ctx context.Context, documents []elastic.Document, rule elastic.VersionRule) error {
	kept, err := r.cluster.Put(ctx, r.state.New, documents, rule)
	if err == nil && len(kept) > 0 && rule == elastic.Newer {
		if kept, err = r.untouched(ctx, kept); err == nil && len(kept) > 0 {
			kept, err = r.cluster.Put(ctx, r.state.New, kept, elastic.NotOlder)
		}
	}
	if err != nil {
		return err
	}
	return r.recreate(ctx, kept)
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
