package reindex

import (
	"context"
	"maps"
	"sync"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// written contains the sequence numbers of a Run's own writes to the new index after the move, by document key. It has
// a mutex because shards are written concurrently.
type written struct {
	mu     sync.Mutex
	seqNos map[string]int64
}

func (w *written) add(seqNos map[string]int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seqNos == nil {
		w.seqNos = map[string]int64{}
	}
	maps.Copy(w.seqNos, seqNos)
}

func (w *written) is(d, now elastic.Document) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	seqNo, ok := w.seqNos[d.Key()]
	return ok && seqNo == now.SeqNo
}

// changedByClient reports whether a client has changed a document of a shard in the new index since the aliases moved.
// Clients can do that even during the switch: a write that itself sets wait_for_active_shards does not wait. Such a
// write is newer than anything in the old index. now is the document in the new index.
func (r *Run) changedByClient(shard int, d, now elastic.Document) bool {
	return r.moved && shard < len(r.state.Ours) && now.Version != 0 && now.SeqNo > r.state.Ours[shard] &&
		!r.written.is(d, now)
}

// writeAfterMove copies documents after the aliases have moved, except those that a client has changed in the new
// index. It returns the documents that remain to be written with their own versions. before is the view of the last
// pass: a document that was in it and that the new index lacks was deleted by a client.
func (r *Run) writeAfterMove(ctx context.Context, shard int, documents []elastic.Document,
	before *elastic.View) ([]elastic.Document, error) {
	now, err := r.cluster.Current(ctx, r.state.New, documents, false)
	if err != nil {
		return nil, err
	}
	deleted, err := r.missingNow(ctx, documents, now, before)
	if err != nil {
		return nil, err
	}
	var replaced, states, external []elastic.Document
	for i, d := range documents {
		switch {
		case deleted[d.Key()] || r.changedByClient(shard, d, now[i]):
		case d.Version-now[i].Version > elastic.MostVersions, now[i].Version >= d.Version:
			// Only clients that set versions themselves make such gaps, and a write with a version does not overwrite a
			// newer one. A document without a higher version was deleted and created again.
			external = append(external, d)
		default:
			replaced, states = append(replaced, d), append(states, now[i])
		}
	}
	wrote, err := r.cluster.Replace(ctx, r.state.New, replaced, states)
	r.written.add(wrote)
	return external, err
}

// noteWritten records the sequence numbers of the documents that were written with their own versions.
func (r *Run) noteWritten(ctx context.Context, documents []elastic.Document) error {
	now, err := r.cluster.Current(ctx, r.state.New, documents, false)
	if err != nil {
		return err
	}
	seqNos := map[string]int64{}
	for i, d := range documents {
		if now[i].Version == d.Version {
			seqNos[d.Key()] = now[i].SeqNo
		}
	}
	r.written.add(seqNos)
	return nil
}

// missingNow returns the documents that the new index lacks, although the last pass's view had them.
func (r *Run) missingNow(ctx context.Context, documents, now []elastic.Document,
	before *elastic.View) (map[string]bool, error) {
	var missing []elastic.Document
	for i, d := range documents {
		if now[i].Version == 0 {
			missing = append(missing, d)
		}
	}
	if before == nil || len(missing) == 0 {
		return nil, nil
	}
	had, err := before.Has(ctx, missing, 0)
	if elastic.IsMissing(err) {
		return nil, nil // the view has expired
	}
	return had, err
}

// removeFromShard removes documents of a shard from the new index, except those that a client has changed there.
func (r *Run) removeFromShard(ctx context.Context, shard int, documents []elastic.Document) error {
	for len(documents) > 0 {
		some := documents[:min(len(documents), pageNames)]
		documents = documents[len(some):]
		if !r.moved {
			if err := r.cluster.Remove(ctx, r.state.New, some); err != nil {
				return err
			}
			continue
		}
		now, err := r.cluster.Current(ctx, r.state.New, some, false)
		if err != nil {
			return err
		}
		var removed, states []elastic.Document
		for i, d := range some {
			if now[i].Version != 0 && !r.changedByClient(shard, d, now[i]) {
				removed, states = append(removed, d), append(states, now[i])
			}
		}
		if err := r.cluster.RemoveUnchanged(ctx, r.state.New, removed, states); err != nil {
			return err
		}
	}
	return nil
}
