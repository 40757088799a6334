package journaltest

import (
	"errors"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// plain returns an intent that needed no approval and has none.
func plain() journal.Intent {
	intent := Intent()
	intent.ApprovedBy = ""
	return intent
}

// end makes an execution of the subject that ends with the status.
func end(t *testing.T, s journal.Store, subject journal.Subject, intent journal.Intent,
	status journal.Status) journal.Record {
	t.Helper()
	r, err := s.Begin(t.Context(), subject, journal.KindIntent, intent)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"})
	return add(t, s, r.ID, journal.KindOutcome, outcome(status))
}

// compactable makes a journal with an example of each reason to keep or remove a record. It returns what must be kept
// and how many entries may be removed.
func compactable(t *testing.T, s journal.Store) (stays []journal.Record, goes int64) {
	t.Helper()
	asked := plain()
	asked.Preview = []byte(`{"approval_reasons":["it is dangerous"]}`)
	const each = 3                                                               // entries of an execution
	stays = append(stays, end(t, s, Subject(1), plain(), journal.StatusSuccess)) // the journal's identity
	end(t, s, Subject(1), plain(), journal.StatusSuccess)
	stays = append(stays, end(t, s, Subject(1), Intent(), journal.StatusSuccess),
		end(t, s, Subject(1), asked, journal.StatusFailed),
		end(t, s, Subject(1), plain(), journal.StatusUnknown))
	end(t, s, Subject(1), plain(), journal.StatusCancelled)
	stays = append(stays, end(t, s, Subject(1), plain(), journal.StatusSuccess)) // the newest of its target
	for _, intent := range []journal.Intent{plain(), asked} {
		r, err := s.Begin(t.Context(), Subject(1), journal.KindDryRun, intent)
		if err != nil {
			t.Fatal(err)
		}
		if intent.Preview != nil && string(intent.Preview) == string(asked.Preview) {
			stays = append(stays, r)
		}
	}
	// Two concurrent executions, one of which is still open.
	open, err := s.Begin(t.Context(), Subject(2), journal.KindIntent, plain())
	if err != nil {
		t.Fatal(err)
	}
	end(t, s, Subject(3), plain(), journal.StatusFailed)
	stays = append(stays, open, end(t, s, Subject(3), plain(), journal.StatusFailed))
	return stays, 3*each + 1
}

func compactRemovesWhatNothingRestsOn(t *testing.T, s journal.Store) {
	stays, goes := compactable(t, s)
	all := len(Verify(t, s))
	// Nothing is old enough.
	if c, err := journal.Removable(t.Context(), s, time.Unix(0, 0)); err != nil || !c.Empty() {
		t.Errorf("got %+v, %v", c, err)
	}
	c, err := journal.Removable(t.Context(), s, time.Now().Add(time.Hour))
	if err != nil || c.Executions != 3 || c.DryRuns != 1 {
		t.Fatalf("got %+v, %v", c, err)
	}
	entry, err := s.Compact(t.Context(), c)
	if err != nil || entry.Kind != journal.KindCompaction || entry.Execution != 0 || entry.Seq != int64(all)+1 {
		t.Fatalf("got %+v, %v", entry, err)
	}
	chain, err := journal.Verify(t.Context(), s, journal.Head{Seq: entry.Seq, Hash: entry.Hash})
	if err != nil || !chain.Holds() || chain.Removed != goes || chain.Head.Seq != entry.Seq {
		t.Errorf("got %+v, %v; want %d removed", chain, err, goes)
	}
	found, err := s.Find(t.Context(), journal.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	same(t, stays, found)
	if n, err := s.Count(t.Context(), journal.Filter{All: true}); err != nil || n != len(stays) {
		t.Errorf("counted %d, %v", n, err)
	}
	if _, err := s.Get(t.Context(), entry.Seq); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the compaction as a record: %v", err)
	}
	// Later entries continue the sequence of numbers.
	end(t, s, Subject(1), plain(), journal.StatusSuccess)
	again, err := journal.Removable(t.Context(), s, time.Now().Add(time.Hour))
	if err != nil || again.Executions != 1 {
		t.Fatalf("got %+v, %v", again, err)
	}
	if _, err := s.Compact(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	const another = 3
	if chain, err = journal.Verify(t.Context(), s); err != nil || !chain.Holds() || chain.Removed != goes+another {
		t.Errorf("got %+v, %v", chain, err)
	}
}

func compactRefuses(t *testing.T, s journal.Store) {
	compactable(t, s)
	entries := Verify(t, s)
	good, err := journal.Removable(t.Context(), s, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	gap := func(from, to int) journal.Gap {
		return journal.Gap{
			From: entries[from-1].Seq, To: entries[to-1].Seq, Prev: entries[from-1].Prev, Hash: entries[to-1].Hash,
		}
	}
	wrongHash, wrongPrev, beyond := gap(1, 3), gap(4, 6), gap(1, 3)
	wrongHash.Hash, wrongPrev.Prev = entries[0].Hash, entries[0].Hash
	beyond.From, beyond.To = int64(len(entries))-1, int64(len(entries))+1
	for name, gaps := range map[string][]journal.Gap{
		"another hash":        {wrongHash},
		"another one before":  {wrongPrev},
		"beyond the end":      {beyond},
		"an open execution":   {gap(1, len(entries))},
		"one good, one wrong": {good.Gaps[0], wrongPrev},
	} {
		if e, err := s.Compact(t.Context(), journal.Compaction{Gaps: gaps}); !errors.Is(err, journal.ErrGaps) {
			t.Errorf("%s: got %+v, %v", name, e, err)
		}
	}
	same(t, entries, Verify(t, s))
	if _, err := s.Compact(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(t.Context(), good); !errors.Is(err, journal.ErrGaps) {
		t.Errorf("a second time: %v", err)
	}
	if chain, err := journal.Verify(t.Context(), s); err != nil || !chain.Holds() {
		t.Errorf("got %+v, %v", chain, err)
	}
}
