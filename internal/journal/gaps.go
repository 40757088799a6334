package journal

import (
	"encoding/json"
	"fmt"
)

// gaps are the positions where entries are missing, and what later compaction entries say about them.
type gaps struct {
	found   []missing
	listed  map[int64]Gap
	removed int64
}

// missing is a gap between before and the next entry. The Prev of that entry is the hash of the last missing entry.
type missing struct {
	before Head
	next   Entry
}

// jump notes that entries are missing before e. It returns the head that e follows if a compaction removed them.
func (g *gaps) jump(before Head, e Entry) Head {
	g.found = append(g.found, missing{before, Entry{Seq: e.Seq, Prev: e.Prev}})
	return Head{Seq: e.Seq - 1, Hash: e.Prev}
}

// read notes the gaps of a compaction entry.
func (g *gaps) read(e Entry) error {
	if e.Kind != KindCompaction {
		return nil
	}
	var c Compaction
	if err := json.Unmarshal(e.Body, &c); err != nil {
		return fmt.Errorf("%w: entry %d: %w", ErrDamaged, e.Seq, err)
	}
	for _, gap := range c.Gaps {
		g.listed[gap.From] = gap
	}
	return nil
}

// unexplained returns the first gap that no compaction explains, and a sentence that describes it.
func (g *gaps) unexplained() (Head, string) {
	for _, m := range g.found {
		at := m.before
		for at.Seq < m.next.Seq-1 {
			gap, ok := g.listed[at.Seq+1]
			if !ok || gap.Prev != at.Hash || gap.To < gap.From || gap.To >= m.next.Seq {
				return m.before, fmt.Sprintf("after entry %d comes entry %d: entries were removed or moved",
					m.before.Seq, m.next.Seq)
			}
			at = Head{Seq: gap.To, Hash: gap.Hash}
		}
		if at.Hash != m.next.Prev {
			return m.before, fmt.Sprintf("entry %d does not follow from the one before it: one of them was replaced",
				m.next.Seq)
		}
		g.removed += at.Seq - m.before.Seq
	}
	return Head{}, ""
}
