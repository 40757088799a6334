// Package journaltest is the test suite for journal.Store. Every implementation runs it.
package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// Run tests a store through one handle. Each call of open returns an empty store whose clock advances. open must have
// it closed when the test ends.
func Run(t *testing.T, open func(t *testing.T) journal.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, journal.Store){
		"begin returns the record":                  beginReturnsRecord,
		"a dry run is one entry":                    dryRunIsOneEntry,
		"one open execution per target":             oneOpenPerTarget,
		"what is held beside a target is excluded":  othersAreExcluded,
		"what only reads excludes nothing":          readersExcludeNothing,
		"begin refuses other kinds":                 beginRefuses,
		"a skip is one entry":                       skipIsOneEntry,
		"a newer record makes a dry run stale":      newerRecordMakesStale,
		"of two dry runs at once one is recorded":   oneOfTwoIsRecorded,
		"an execution goes through its steps":       lifecycle,
		"an outcome may follow the intent":          outcomeFollowsIntent,
		"append refuses and writes nothing":         appendRefuses,
		"append refuses after the outcome":          appendRefusesClosed,
		"what ended can be forgotten":               forgottenAfterOutcome,
		"a takeover fences the holder off":          takeoverFences,
		"a takeover has one winner":                 takeoverHasOneWinner,
		"a cancel is one entry":                     cancelIsOneEntry,
		"an adoption begins an epoch":               adoptionBeginsAnEpoch,
		"beats are counted for the holder":          beatsAreCounted,
		"beats refuse and write nothing":            beatRefuses,
		"compaction removes what nothing rests on":  compactRemovesWhatNothingRestsOn,
		"compaction refuses and removes nothing":    compactRefuses,
		"bodies are stored as hashed":               bodiesStoredAsHashed,
		"subjects of any text":                      subjectsOfAnyText,
		"get knows first entries only":              getKnowsFirstEntries,
		"find filters":                              findFilters,
		"find bounds times":                         findBoundsTimes,
		"find in an empty journal":                  findInEmpty,
		"entries come in order":                     entriesInOrder,
		"a visitor stops entries and may use store": visitorStops,
		"an ended context stops everything":         endedContext,
		"goroutines lose nothing":                   goroutinesLoseNothing,
		"goroutines share targets":                  goroutinesShareTargets,
		"nothing works after close":                 closedStore,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Opener opens the store at one place. It may be called several times, also concurrently. The caller of RunShared
// closes the stores that are still open when the test ends.
type Opener func() (journal.Store, error)

// RunShared tests several handles on one store, which stand for separate processes. Each call of place returns a new,
// empty place.
func RunShared(t *testing.T, place func(t *testing.T) Opener) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Opener){
		"what was returned is kept":    keptOverReopen,
		"handles see each other":       handlesSeeEachOther,
		"handles open a place at once": handlesOpenAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

// Intent returns an intent as an execution has it. It has no Locks, which would exclude other executions in the test.
func Intent() journal.Intent {
	return journal.Intent{
		Params:     json.RawMessage(`{"models":["inbox_emails"],"threads":4,"share":0.25,"big":9007199254740993}`),
		Triggers:   map[string]string{"incident": "INC-7"},
		Preview:    json.RawMessage(`{"command":"dbt run --select inbox_emails"}`),
		Digest:     "sha256:00",
		ApprovedBy: "ann@example.com",
		Holder:     proc.Identity{Host: "host", PID: 7, Started: 42, Boot: "boot"},
		Session:    "session",
		Deadline:   time.Date(2030, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	}
}

// Subject returns a subject with every field set except Digest and Identity. Subjects with different n have different
// targets and requests.
func Subject(n int) journal.Subject {
	return journal.Subject{
		Playbook: "rerun_dbt", Target: fmt.Sprintf("dbt:shop/%d", n), Request: fmt.Sprintf("request-%d",
			n), Incident: "INC-7",
	}
}

// Verify reads the whole journal and fails the test unless its numbers rise and its chain is intact. It returns the
// entries.
func Verify(t *testing.T, s journal.Store) []journal.Entry {
	t.Helper()
	var all []journal.Entry
	var seq int64
	prev := ""
	err := s.Entries(t.Context(), 0, func(e journal.Entry) error {
		sealed, err := journal.Seal(e, prev)
		if err != nil {
			return err
		}
		if e.Seq <= seq {
			return fmt.Errorf("entry %d after %d", e.Seq, seq)
		}
		if sealed.Hash != e.Hash || sealed.Prev != e.Prev {
			return fmt.Errorf("the chain is broken at %d: sealed again %s after %s, stored %s after %s", e.Seq,
				sealed.Hash, sealed.Prev,
				e.Hash, e.Prev)
		}
		compact, err := json.Marshal(e.Body)
		if err != nil {
			return err
		}
		if !bytes.Equal(compact, e.Body) {
			return fmt.Errorf("entry %d: its body is not what was hashed", e.Seq)
		}
		seq, prev, all = e.Seq, e.Hash, append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func outcome(status journal.Status) journal.Outcome {
	return journal.Outcome{
		Status: status,
		Result: journal.Result{
			Message: "2 models", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), FinishedAt: time.Date(2026, 1,
				2, 3, 4, 6, 7, time.UTC),
			ActualDuration: 1.25, LogsURL: "file:///log", Details: map[string]string{"inbox_emails": "success"},
		},
		Rollback: &journal.Undo{Type: "rerun_dbt", Params: json.RawMessage(`{"a":1}`)},
	}
}

func begin(t *testing.T, s journal.Store, subject journal.Subject, kind journal.Kind) journal.Record {
	t.Helper()
	r, err := s.Begin(t.Context(), subject, kind, Intent())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// first returns the lease of the process that began an execution.
func first(execution int64) journal.Lease { return journal.Lease{Execution: execution, Token: 1} }

func add(t *testing.T, s journal.Store, id int64, kind journal.Kind, body any) journal.Record {
	t.Helper()
	r, err := s.Append(t.Context(), first(id), kind, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stored fails the test unless Get returns the same record. It returns that record.
func stored(t *testing.T, s journal.Store, want journal.Record) journal.Record {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, got)
	return want
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

// follows fails the test unless got equals want, except that its newest entry is a newer one.
func follows(t *testing.T, want, got journal.Record) {
	t.Helper()
	if got.Newest.Seq <= want.Newest.Seq || got.Newest.Hash == "" || got.Newest.Hash == want.Newest.Hash {
		t.Fatalf("the newest entry is %+v, after %+v", got.Newest, want.Newest)
	}
	want.Newest = got.Newest
	same(t, want, got)
}

// each runs work(0) to work(workers-1) concurrently and returns their errors.
func each(ctx context.Context, work func(ctx context.Context, i int) error) []error {
	errs := make([]error, workers)
	done := make(chan struct{})
	for i := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			errs[i] = work(ctx, i)
		}()
	}
	for range workers {
		<-done
	}
	return errs
}
