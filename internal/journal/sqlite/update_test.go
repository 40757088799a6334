package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driversqlite "modernc.org/sqlite"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// together makes changes while another one has the turn, so that they wait for the same transaction.
func together(t *testing.T, s *Store, changes ...func() error) []error {
	t.Helper()
	s.turn <- struct{}{}
	results := make([]error, len(changes))
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(func() { results[i] = change() })
	}
	for queued := 0; queued < len(changes); time.Sleep(time.Millisecond) {
		s.queue.mu.Lock()
		queued = len(s.queue.all)
		s.queue.mu.Unlock()
	}
	<-s.turn
	all.Wait()
	return results
}

func TestChangesThatWaitShareATransaction(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	const many = 20
	transactions := map[*sql.Tx]int{} // a transaction runs one change at a time
	var changes []func() error
	for range many {
		changes = append(changes, func() error {
			return s.update(t.Context(), func(_ context.Context, tx transaction) error {
				transactions[tx.Tx]++
				return nil
			})
		})
	}
	if err := errors.Join(together(t, s, changes...)...); err != nil {
		t.Fatal(err)
	}
	if len(transactions) != 1 {
		t.Errorf("%d transactions for %d changes", len(transactions), many)
	}
}

// TestChangeThatFailsUndoesNoOther puts changes that are refused among others: one on a busy target, one that fails
// after it has written, and one whose caller stops waiting.
func TestChangeThatFailsUndoesNoOther(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	begin := func(ctx context.Context, n int) func() error {
		return func() error {
			_, err := s.Begin(ctx, journaltest.Subject(n), journal.KindIntent, journaltest.Intent())
			return err
		}
	}
	if err := begin(t.Context(), 0)(); err != nil {
		t.Fatal(err)
	}
	late := errors.New("after it has written")
	ctx, cancel := context.WithCancel(t.Context())
	results := together(t, s,
		begin(t.Context(), 1),
		begin(t.Context(), 0), // its target is busy
		begin(t.Context(), 2),
		func() error {
			return s.update(t.Context(), func(ctx context.Context, tx transaction) error {
				_, err := s.insert(ctx, tx, journal.Entry{Kind: journal.KindSkip, Body: []byte(`{}`)})
				return errors.Join(err, late)
			})
		},
		func() error {
			return s.update(ctx, func(context.Context, transaction) error { cancel(); return nil })
		},
		begin(t.Context(), 3))
	var busy *journal.BusyError
	if results[0] != nil || results[2] != nil || results[5] != nil || !errors.As(results[1], &busy) ||
		!errors.Is(results[3], late) || !errors.Is(results[4], context.Canceled) {
		t.Errorf("got %v", results)
	}
	targets := map[string]bool{}
	for _, e := range journaltest.Verify(t, s) {
		targets[e.Subject.Target] = true
	}
	const want = 4
	if len(targets) != want || len(journaltest.Verify(t, s)) != want {
		t.Errorf("entries on %v", targets)
	}
}

// TestCommitThatFailsIsNotRepeated lets a commit fail. Nobody knows whether such a commit is durable, so every caller
// gets the error and no change is made again.
func TestCommitThatFailsIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	conn, err := s.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var commits, changes atomic.Int32
	err = errors.Join(conn.Raw(func(driver any) error {
		driver.(driversqlite.HookRegisterer).RegisterCommitHook(func() int32 { //nolint:forcetypeassert // a test
			if commits.Add(1) == 1 {
				return 1 // SQLite rolls the transaction back
			}
			return 0
		})
		return nil
	}), conn.Close())
	if err != nil {
		t.Fatal(err)
	}
	write := func() error {
		return s.update(t.Context(), func(ctx context.Context, tx transaction) error {
			changes.Add(1)
			_, err := s.insert(ctx, tx, journal.Entry{Kind: journal.KindSkip, Body: []byte(`{}`)})
			return err
		})
	}
	results := together(t, s, write, write)
	if results[0] == nil || results[1] == nil || changes.Load() != 2 || commits.Load() != 1 {
		t.Errorf("%d commits of %d changes: %v", commits.Load(), changes.Load(), results)
	}
	if err := write(); err != nil {
		t.Errorf("the next change: %v", err)
	}
}

func TestCallerStopsWaitingForTheLock(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	s.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.update(ctx, func(context.Context, transaction) error { return errors.New("it ran") }); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
	<-s.turn
	if len(s.queue.all) != 0 {
		t.Errorf("%d changes are left", len(s.queue.all))
	}
}

// TestAnotherProcessChangesAnOpenExecution takes an execution over and ends it in another process. The one that began
// it must notice, although it remembers what it wrote.
func TestAnotherProcessChangesAnOpenExecution(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	mine := openTest(t, path)
	theirs, err := Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := theirs.Close(); err != nil {
			t.Error(err)
		}
	}()
	rec, err := mine.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	if err != nil {
		t.Fatal(err)
	}
	taken, err := theirs.Append(t.Context(), rec.Lease(), journal.KindTakeover, journal.Takeover{Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Append(t.Context(), rec.Lease(), journal.KindProgress, 1); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("appended after a takeover: %v", err)
	}
	open, err := mine.Find(t.Context(), journal.Filter{Open: true})
	if err != nil || len(open) != 1 || open[0].Token != taken.Token {
		t.Errorf("open are %+v, %v", open, err)
	}
	if _, err := theirs.Append(t.Context(), taken.Lease(), journal.KindOutcome,
		journal.Outcome{Status: journal.StatusSuccess}); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Append(t.Context(), taken.Lease(), journal.KindProgress, 1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("appended after the outcome: %v", err)
	}
	open, err = mine.Find(t.Context(), journal.Filter{Open: true})
	if err != nil || len(open) != 0 {
		t.Errorf("open are %+v, %v", open, err)
	}
	if _, err := mine.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent()); err != nil {
		t.Error(fmt.Errorf("the target is free: %w", err))
	}
}
