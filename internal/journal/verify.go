package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Head is an entry by its place and its hash. Kept elsewhere, it vouches for all entries up to it: what is cut off the
// end of a journal leaves a chain that holds.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Chain is what came of a verification.
type Chain struct {
	// Head is the last entry that holds, zero where there is none.
	Head Head
	// Broken says where and how the chain breaks first, in one sentence. Empty where it holds.
	Broken string
	// Removed is how many entries are missing that compactions have removed, by entries that are part of the chain.
	Removed int64
}

// Holds tells whether the chain holds.
func (c Chain) Holds() bool { return c.Broken == "" }

// errBroken ends the verification.
var errBroken = errors.New("broken")

// Verify reads the journal from its first entry on and finds the first one that was edited, removed, added or moved.
// Heads that are known from before must be in it. An error means that the journal couldn't be read, not that it is
// broken. A kind of entry that this version doesn't know is ErrNewer.
func Verify(ctx context.Context, store Store, known ...Head) (Chain, error) {
	return verify(ctx, store, 1, known)
}

// VerifyTail is Verify for about as many of the newest entries.
func VerifyTail(ctx context.Context, store Store, entries int64) (Chain, error) {
	newest, err := store.Find(ctx, Filter{All: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return Chain{}, err
	}
	return verify(ctx, store, max(1, newest[0].ID-entries), nil)
}

func verify(ctx context.Context, store Store, from int64, known []Head) (Chain, error) {
	var c Chain
	g := gaps{told: map[int64]Gap{}}
	err := store.Entries(ctx, from, func(e Entry) error {
		if !e.Kind.known() {
			return fmt.Errorf("entry %d has the kind %q: %w", e.Seq, e.Kind, ErrNewer)
		}
		if from > 1 && c.Head.Seq == 0 {
			c.Head = Head{Seq: e.Seq - 1, Hash: e.Prev} // what is before the tail is not verified
		}
		if e.Seq > c.Head.Seq+1 {
			c.Head = g.jump(c.Head, e)
		}
		if c.Broken = c.next(e, known); c.Broken != "" {
			return errBroken
		}
		c.Head = Head{Seq: e.Seq, Hash: e.Hash}
		return g.tell(e)
	})
	if err != nil && !errors.Is(err, errBroken) {
		return c, fmt.Errorf("verify the journal: %w", err)
	}
	if before, broken := g.unexplained(); broken != "" {
		return Chain{Head: before, Broken: broken}, nil
	}
	c.Removed = g.removed
	for _, h := range known {
		if c.Broken == "" && h.Seq > c.Head.Seq {
			c.Broken = fmt.Sprintf("entry %d no longer exists: the journal ends with entry %d", h.Seq, c.Head.Seq)
		}
	}
	return c, nil
}

// next says how e doesn't follow from the head, or "".
func (c Chain) next(e Entry, known []Head) string {
	sealed, err := Seal(e, e.Prev)
	switch {
	case e.Seq != c.Head.Seq+1:
		return fmt.Sprintf("after entry %d comes entry %d: entries were removed or moved", c.Head.Seq, e.Seq)
	case e.Prev != c.Head.Hash:
		return fmt.Sprintf("entry %d does not follow from the one before it: one of them was replaced", e.Seq)
	case err != nil || sealed.Hash != e.Hash:
		return fmt.Sprintf("entry %d (%s of %s, %s) is not as it was written", e.Seq, e.Kind, e.Subject.Playbook,
			e.Subject.Target)
	}
	for _, h := range known {
		if h.Seq == e.Seq && h.Hash != e.Hash {
			return fmt.Sprintf("entry %d is not the one that was there: the journal was written anew", e.Seq)
		}
	}
	return ""
}

// Export writes the journal as one JSON object per line. A line with its hash emptied is the text that is hashed, after
// the domain line, so an export can be verified without this package.
func Export(ctx context.Context, store Store, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := store.Entries(ctx, 1, func(e Entry) error {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = out.Write(append(line, '\n'))
		return err
	})
	if err = errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("export the journal: %w", err)
	}
	return nil
}
