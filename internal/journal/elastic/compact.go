package elastic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// kindRemoved marks a removed entry, of which only the number remains. If the document did not exist at all, a process
// that has not read the journal since before that entry could create it again.
const kindRemoved journal.Kind = "removed"

// stub is the document that replaces a removed entry.
type stub struct {
	Seq  int64        `json:"seq"`
	Kind journal.Kind `json:"kind"`
}

// gaps lists what compactions removed, in order and without hashes. Adjacent gaps are merged.
type gaps []journal.Gap

// join returns the gaps in order and merges gaps that two compactions both list.
func join(all []journal.Gap) gaps {
	slices.SortFunc(all, func(a, b journal.Gap) int { return cmp.Compare(a.From, b.From) })
	var out gaps
	for _, gap := range all {
		if last := len(out) - 1; last >= 0 && gap.From <= out[last].To+1 {
			out[last].To = max(out[last].To, gap.To)
			continue
		}
		out = append(out, journal.Gap{From: gap.From, To: gap.To})
	}
	return out
}

// after returns seq, or if seq is in a gap, the number after that gap.
func (g gaps) after(seq int64) int64 {
	i, found := slices.BinarySearchFunc(g, seq, func(gap journal.Gap, seq int64) int {
		switch {
		case gap.To < seq:
			return -1
		case gap.From > seq:
			return 1
		}
		return 0
	})
	if found {
		return g[i].To + 1
	}
	return seq
}

// removed returns what the compactions up to v list as removed. Their lists decide, not the remaining documents: a
// process can die between its compaction entry and the last removal.
func (s *Store) removed(ctx context.Context, v *view) (gaps, error) {
	if err := s.makeSearchable(ctx, v); err != nil {
		return nil, err
	}
	const size = 10 // each may have a megabyte
	query := map[string]any{"size": size, "sort": oldestFirst,
		"query": every([]any{term("kind", string(journal.KindCompaction)), upTo(v.head.Seq)})}
	var all []journal.Gap
	for {
		found, err := s.search(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			var c journal.Compaction
			if err := json.Unmarshal([]byte(d.Body), &c); err != nil {
				return nil, fmt.Errorf("%w: entry %d: %w", journal.ErrDamaged, d.Seq, err)
			}
			all = append(all, c.Gaps...)
		}
		if len(found) < size {
			return join(all), nil
		}
		query["search_after"] = []int64{found[len(found)-1].Seq}
	}
}

// Compact implements journal.Store.
func (s *Store) Compact(ctx context.Context, c journal.Compaction) (journal.Entry, error) {
	entry, err := s.compact(ctx, c)
	return entry, s.explain(ctx, err)
}

func (s *Store) compact(ctx context.Context, c journal.Compaction) (journal.Entry, error) {
	body, err := journal.Encode(journal.KindCompaction, c)
	if err != nil {
		return journal.Entry{}, err
	}
	for _, gap := range c.Gaps[:min(len(c.Gaps), 1)] {
		if err := s.mayReplace(ctx, gap.From); err != nil {
			return journal.Entry{}, err
		}
	}
	entry, _, err := s.append(ctx, func(v *view) (journal.Entry, error) {
		for _, gap := range c.Gaps {
			if err := s.checkGap(ctx, v, gap); err != nil {
				return journal.Entry{}, err
			}
		}
		return journal.Entry{Kind: journal.KindCompaction, Body: validBody(body)}, nil
	})
	if err != nil {
		return journal.Entry{}, err
	}
	for _, gap := range c.Gaps {
		if err := s.replace(ctx, gap); err != nil {
			return entry, err
		}
	}
	return entry, nil
}

// checkGap refuses a gap if entries are missing, differ from those that the caller examined, or belong to an open
// execution.
func (s *Store) checkGap(ctx context.Context, v *view, gap journal.Gap) error {
	refused := fmt.Errorf("entries %d to %d: %w", gap.From, gap.To, journal.ErrGaps)
	if gap.From < 1 || gap.To > v.head.Seq {
		return refused
	}
	prev := gap.Prev
	for from := gap.From; from <= gap.To; from += page {
		to := min(from+page-1, gap.To)
		found, err := s.documents(ctx, from, to)
		switch {
		case err != nil:
			return err
		case int64(len(found)) != to-from+1:
			return refused
		}
		for _, d := range found {
			_, isOpen := v.open[d.Execution]
			if d.Kind == kindRemoved || d.Prev != prev || isOpen {
				return refused
			}
			prev = d.Hash
		}
	}
	if prev != gap.Hash {
		return refused
	}
	return nil
}

// mayReplace fails if the caller lacks the privilege to replace documents. It tries a replacement with a condition that
// is never met. Without this check, the journal could list a removal that then fails.
func (s *Store) mayReplace(ctx context.Context, seq int64) error {
	body, err := encode(stub{Seq: seq, Kind: kindRemoved})
	if err != nil {
		return err
	}
	err = s.do(ctx, request{
		what: "Remove entries", method: http.MethodPut, body: body,
		path: fmt.Sprintf("/%s/_doc/%s?if_seq_no=%d&if_primary_term=1", s.rangeOf(seq), documentID(seq), math.MaxInt32),
	})
	if elasticsearch.HasStatus(err, http.StatusConflict) || elasticsearch.HasType(err, missingIndex) {
		return nil
	}
	return err
}

// replace replaces entries with stubs, the first entries first: an execution without its intent is not found, but one
// without its outcome would look open.
func (s *Store) replace(ctx context.Context, gap journal.Gap) error {
	for from := gap.From; from <= gap.To; {
		to := min(from+page-1, gap.To, s.lastOfRange(from))
		var lines bytes.Buffer
		for seq := from; seq <= to; seq++ {
			line, err := encode(stub{Seq: seq, Kind: kindRemoved})
			if err != nil {
				return err
			}
			fmt.Fprintf(&lines, "{\"index\":{\"_id\":%q}}\n%s\n", documentID(seq), line)
		}
		type answer struct {
			Errors *bool             `json:"errors"`
			Items  []json.RawMessage `json:"items"`
		}
		var out answer
		err := s.do(ctx, request{
			what: fmt.Sprintf("Remove entries %d to %d", from, to), method: http.MethodPost, body: lines.Bytes(),
			path: "/" + s.rangeOf(from) + "/_bulk?timeout=" + serverTimeout,
			read: decode(&out, func(a answer) error {
				if a.Errors == nil || *a.Errors || int64(len(a.Items)) != to-from+1 {
					return errors.New("not all were removed")
				}
				return nil
			}),
		})
		if err != nil {
			return err
		}
		from = to + 1
	}
	return nil
}
