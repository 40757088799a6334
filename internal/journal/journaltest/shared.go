package journaltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

const (
	// workers is how many goroutines or handles write concurrently in the tests.
	workers = 8
	// rounds is how many executions each of them makes.
	rounds = 6
	// entriesPerRound is an intent, a dispatch, a progress entry and an outcome.
	entriesPerRound = 4
)

// Work makes that many executions of the subject one after the other, each with all its steps, and waits while the
// target is locked. Tests with several processes use it too.
func Work(ctx context.Context, s journal.Store, subject journal.Subject, executions int) error {
	for done := 0; done < executions; {
		r, err := s.Begin(ctx, subject, journal.KindIntent, Intent())
		var busy *journal.BusyError
		if errors.As(err, &busy) {
			continue
		}
		if err != nil {
			return err
		}
		_, dispatched := s.Append(ctx, r.Lease(), journal.KindDispatch,
			journal.Dispatch{RemoteID: fmt.Sprint("task-", r.ID)})
		_, progressed := s.Append(ctx, r.Lease(), journal.KindProgress, done)
		_, ended := s.Append(ctx, r.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess))
		if err := errors.Join(dispatched, progressed, ended); err != nil {
			return err
		}
		done++
	}
	return nil
}

// Sequential fails the test if two executions on one target overlap. It returns the number of executions per target.
func Sequential(t *testing.T, s journal.Store) map[string]int {
	t.Helper()
	executions, holder := map[string]int{}, map[string]int64{}
	for _, e := range Verify(t, s) {
		if e.Kind == journal.KindDryRun {
			continue
		}
		if e.Kind != journal.KindIntent && holder[e.Subject.Target] != e.Execution {
			t.Errorf("entry %d of %d while %d holds %s", e.Seq, e.Execution, holder[e.Subject.Target], e.Subject.Target)
		}
		switch e.Kind {
		case journal.KindIntent:
			var intent journal.Intent
			if err := json.Unmarshal(e.Body, &intent); err != nil {
				t.Fatal(err)
			}
			for _, name := range append(intent.Locks, e.Subject.Target) {
				if held, ok := holder[name]; ok {
					t.Errorf("execution %d begun while %d holds %s", e.Execution, held, name)
				}
				holder[name] = e.Execution
			}
			executions[e.Subject.Target]++
		case journal.KindOutcome:
			maps.DeleteFunc(holder, func(_ string, by int64) bool { return by == e.Execution })
		}
	}
	return executions
}

// Complete fails the test unless the journal contains exactly this many executions with all their steps, and no two on
// one target overlap.
func Complete(t *testing.T, s journal.Store, executions int) {
	t.Helper()
	entries := Verify(t, s)
	if len(entries) != executions*entriesPerRound {
		t.Errorf("%d entries of %d executions", len(entries), executions)
	}
	Sequential(t, s)
	records, err := s.Find(t.Context(), journal.Filter{})
	if err != nil || len(records) != executions {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if r.Status != journal.StatusSuccess || r.RemoteID != fmt.Sprint("task-", r.ID) || r.Progress == nil {
			t.Errorf("got %+v", r)
		}
	}
}

func goroutinesLoseNothing(t *testing.T, s journal.Store) {
	errs := each(t.Context(), func(ctx context.Context, i int) error { return Work(ctx, s, Subject(i), rounds) })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	Complete(t, s, workers*rounds)
}

func goroutinesShareTargets(t *testing.T, s journal.Store) {
	oneWins(t, func(int) journal.Store { return s })
	r, err := s.Find(t.Context(), journal.Filter{Open: true})
	if err != nil || len(r) != 1 {
		t.Fatalf("%d open, %v", len(r), err)
	}
}

// oneWins begins an execution on the same target from every worker at once. One succeeds, and the others learn which
// one.
func oneWins(t *testing.T, store func(i int) journal.Store) {
	t.Helper()
	records := make([]journal.Record, workers)
	errs := each(t.Context(), func(ctx context.Context, i int) (err error) {
		records[i], err = store(i).Begin(ctx, Subject(0), journal.KindIntent, Intent())
		return err
	})
	var winner int64
	for i, err := range errs {
		if err != nil {
			continue
		}
		if winner != 0 {
			t.Errorf("%d and %d were both begun", winner, records[i].ID)
		}
		winner = records[i].ID
	}
	for i, err := range errs {
		var busy *journal.BusyError
		if err != nil && (!errors.As(err, &busy) || busy.Record.ID != winner) {
			t.Errorf("worker %d: %v", i, err)
		}
	}
	if winner == 0 {
		t.Error("nothing was begun")
	}
}

func openAt(t *testing.T, open Opener) journal.Store {
	t.Helper()
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keptOverReopen(t *testing.T, open Opener) {
	s := openAt(t, open)
	all := populate(t, s)
	entries := Verify(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, open)
	same(t, entries, Verify(t, s))
	matches(t, s, all, journal.Filter{All: true})
	matches(t, s, all, journal.Filter{Open: true})
	// The leases are stored too, and the numbers continue.
	taken := expected(all, journal.Filter{Open: true})[0]
	_, err := s.Begin(t.Context(), taken.Subject, journal.KindIntent, Intent())
	var busy *journal.BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("got %v", err)
	}
	same(t, taken, busy.Record)
	add(t, s, taken.ID, journal.KindOutcome, outcome(journal.StatusUnknown))
	if r := begin(t, s, taken.Subject, journal.KindIntent); r.ID <= entries[len(entries)-1].Seq {
		t.Errorf("new record %d", r.ID)
	}
	if now := Verify(t, s); len(now) != len(entries)+2 {
		t.Errorf("%d entries", len(now))
	}
}

func handlesSeeEachOther(t *testing.T, open Opener) {
	a, b := openAt(t, open), openAt(t, open)
	r := stored(t, b, begin(t, a, Subject(1), journal.KindIntent))
	if _, err := b.Begin(t.Context(), Subject(1), journal.KindIntent, Intent()); err == nil {
		t.Error("begun twice")
	}
	stored(t, a, add(t, b, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"}))
	stored(t, b, add(t, a, r.ID, journal.KindOutcome, outcome(journal.StatusSuccess)))
	if _, err := b.Append(t.Context(), r.Lease(), journal.KindProgress, 1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("got %v", err)
	}
	// The resources of one handle must not end with another handle.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	begin(t, b, Subject(1), journal.KindIntent)
	if all := Verify(t, b); len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
}

func handlesOpenAtOnce(t *testing.T, open Opener) {
	stores := make([]journal.Store, workers)
	errs := each(t.Context(), func(ctx context.Context, i int) (err error) {
		if stores[i], err = open(); err != nil {
			return err
		}
		return Work(ctx, stores[i], Subject(i%2+1), rounds)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	Complete(t, stores[0], workers*rounds)
	oneWins(t, func(i int) journal.Store { return stores[i] })
}
