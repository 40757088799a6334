package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Head is an entry by its sequence number and its hash. A head that is kept elsewhere vouches for all entries up to it.
// It reveals entries that were cut off the end of the journal, which the chain alone can't.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Chain is the result of a verification.
type Chain struct {
	// Head is the last valid entry, zero if there is none.
	Head Head
	// Broken describes the first break of the chain in one sentence. It is empty if the chain is intact.
	Broken string
	// Removed is how many entries compactions have removed, according to valid entries of the chain.
	Removed int64
}

// Holds reports whether the chain is intact.
func (c Chain) Holds() bool { return c.Broken == "" }

// errBroken ends the verification.
var errBroken = errors.New("broken")

// Verify reads the journal from its first entry and finds the first entry that was edited, removed, added or moved. The
// journal must contain the known heads. An error means that the journal couldn't be read, not that it is broken. The
// error is ErrNewer for a kind of entry that this version doesn't know.
func Verify(ctx context.Context, store Store, known ...Head) (Chain, error) {
	return verify(ctx, store, 1, known)
}

// VerifyTail is Verify for approximately this many of the newest entries.
func VerifyTail(ctx context.Context, store Store, entries int64) (Chain, error) {
	newest, err := store.Find(ctx, Filter{All: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return Chain{}, err
	}
	return verify(ctx, store, max(1, newest[0].ID-entries), nil)
}

func verify(ctx context.Context, store Store, from int64, known []Head) (Chain, error) {
	var c Chain
	g := gaps{listed: map[int64]Gap{}}
	err := store.Entries(ctx, from, func(e Entry) error {
		if !e.Kind.known() {
			return fmt.Errorf("entry %d has the kind %q: %w", e.Seq, e.Kind, ErrNewer)
		}
		if from > 1 && c.Head.Seq == 0 {
			c.Head = Head{Seq: e.Seq - 1, Hash: e.Prev} // entries before the tail are not verified
		}
		if e.Seq > c.Head.Seq+1 {
			c.Head = g.jump(c.Head, e)
		}
		if c.Broken = c.next(e, known); c.Broken != "" {
			return errBroken
		}
		c.Head = Head{Seq: e.Seq, Hash: e.Hash}
		return g.read(e)
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

// next describes why e doesn't follow the head, or returns "".
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
			return fmt.Sprintf("entry %d is not the one that was there: the journal was rewritten", e.Seq)
		}
	}
	return ""
}

// Export writes the journal as one JSON object per line. The hash of an entry is the hash of the domain line and the
// exported line with its hash emptied. An export can therefore be verified without this package.
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
