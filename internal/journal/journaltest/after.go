package journaltest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

func skipIsOneEntry(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindSkip)
	if r.Status != journal.StatusSkipped || r.DryRun || r.Open() {
		t.Errorf("got %+v", r)
	}
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome,
		outcome(journal.StatusSuccess)); !errors.Is(err, journal.ErrOrder) {
		t.Errorf("an outcome follows a skip: %v", err)
	}
	all, err := s.Find(t.Context(), journal.Filter{All: true})
	if err != nil || len(all) != 1 || all[0].Status != journal.StatusSkipped {
		t.Errorf("got %+v, %v", all, err)
	}
	executions, err := s.Find(t.Context(), journal.Filter{})
	if err != nil || len(executions) != 0 {
		t.Errorf("a skip is listed as an execution: %+v, %v", executions, err)
	}
	begin(t, s, Subject(1), journal.KindIntent) // a skip excludes nothing
}

func newerRecordMakesStale(t *testing.T, s journal.Store) {
	other := begin(t, s, Subject(2), journal.KindDryRun)
	r, err := s.BeginAfter(t.Context(), Subject(1), Intent(), 0)
	if err != nil || !r.DryRun || r.ID <= other.ID {
		t.Fatalf("got %+v, %v", r, err)
	}
	if _, err := s.BeginAfter(t.Context(), Subject(1), Intent(), 0); !errors.Is(err, journal.ErrStale) {
		t.Errorf("a dry run that is newer: %v", err)
	}
	x := begin(t, s, Subject(1), journal.KindIntent)
	if _, err := s.BeginAfter(t.Context(), Subject(1), Intent(), r.ID); !errors.Is(err, journal.ErrStale) {
		t.Errorf("an execution that is newer: %v", err)
	}
	if _, err := s.BeginAfter(t.Context(), Subject(1), Intent(), x.ID); err != nil {
		t.Errorf("nothing is newer: %v", err)
	}
	if all := Verify(t, s); len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
}

func oneOfTwoIsRecorded(t *testing.T, s journal.Store) {
	begin(t, s, Subject(2), journal.KindDryRun)
	var recorded, stale atomic.Int32
	var group sync.WaitGroup
	const plans = 8
	for range plans {
		group.Go(func() {
			_, err := s.BeginAfter(t.Context(), Subject(1), Intent(), 0)
			switch {
			case err == nil:
				recorded.Add(1)
			case errors.Is(err, journal.ErrStale):
				stale.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if recorded.Load() != 1 || stale.Load() != plans-1 {
		t.Errorf("%d recorded, %d stale", recorded.Load(), stale.Load())
	}
}
