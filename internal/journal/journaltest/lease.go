package journaltest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// heir returns a takeover by another process.
func heir() journal.Takeover {
	return journal.Takeover{Holder: proc.Identity{Host: "other", PID: 8, Started: 43, Boot: "boot"},
		Reason: "it is gone"}
}

func takeoverFences(t *testing.T, s journal.Store) {
	old := begin(t, s, Subject(1), journal.KindIntent)
	if old.Token != 1 || old.Holder != Intent().Holder {
		t.Fatalf("got %+v", old)
	}
	old = add(t, s, old.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"})
	old = add(t, s, old.ID, journal.KindProgress, 1)
	now, err := s.Append(t.Context(), old.Lease(), journal.KindTakeover, heir())
	if err != nil {
		t.Fatal(err)
	}
	want := old
	want.Holder, want.Token = heir().Holder, old.Token+1
	follows(t, want, stored(t, s, now))
	before := len(Verify(t, s))
	for kind, body := range map[journal.Kind]any{
		journal.KindDispatch: journal.Dispatch{}, journal.KindProgress: 2, journal.KindTakeover: heir(),
		journal.KindOutcome: outcome(journal.StatusSuccess),
	} {
		for _, token := range []int64{old.Token, 0, -1, now.Token + 1} {
			hold := journal.Lease{Execution: old.ID, Token: token}
			if r, err := s.Append(t.Context(), hold, kind, body); !errors.Is(err, journal.ErrFenced) {
				t.Errorf("%s with token %d: got %+v, %v", kind, token, r, err)
			}
		}
	}
	if err := s.Beat(t.Context(), old.Lease()); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("beat: %v", err)
	}
	if after := len(Verify(t, s)); after != before {
		t.Errorf("%d entries, want %d", after, before)
	}
	// The target is still locked, now by the new holder, which continues the execution.
	_, err = s.Begin(t.Context(), old.Subject, journal.KindIntent, Intent())
	var busy *journal.BusyError
	if !errors.As(err, &busy) {
		t.Fatalf("got %v", err)
	}
	same(t, now, busy.Record)
	end, err := s.Append(t.Context(), now.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess))
	if err != nil || end.Open() || end.RemoteID != "task" || end.Token != now.Token {
		t.Errorf("got %+v, %v", end, err)
	}
	stored(t, s, end)
	if _, err := s.Append(t.Context(), old.Lease(), journal.KindOutcome, outcome(journal.StatusFailed)); !errors.Is(err,
		journal.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func takeoverHasOneWinner(t *testing.T, s journal.Store) {
	left := begin(t, s, Subject(1), journal.KindIntent)
	errs := each(t.Context(), func(ctx context.Context, _ int) error {
		_, err := s.Append(ctx, left.Lease(), journal.KindTakeover, heir())
		return err
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, journal.ErrFenced) {
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d took it over", won)
	}
	if all := Verify(t, s); len(all) != 2 {
		t.Errorf("%d entries", len(all))
	}
}

func beatsAreCounted(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	other := begin(t, s, Subject(2), journal.KindIntent)
	beats := func(id, want int64) journal.Pulse {
		t.Helper()
		p, err := s.Pulse(t.Context(), id)
		if err != nil || p.Beats != want || (want == 0) != p.At.IsZero() {
			t.Errorf("execution %d: got %+v, %v, want %d beats", id, p, err, want)
		}
		return p
	}
	beat := func(hold journal.Lease) {
		t.Helper()
		if err := s.Beat(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
	}
	beats(r.ID, 0)
	beat(r.Lease())
	one := beats(r.ID, 1)
	beat(r.Lease())
	if two := beats(r.ID, 2); !two.At.After(one.At) || one.At.Before(r.CreatedAt) {
		t.Errorf("begun %v, beats at %v and %v", r.CreatedAt, one.At, two.At)
	}
	beats(other.ID, 0)
	// A heartbeat changes no record and is not an entry.
	stored(t, s, r)
	now, err := s.Append(t.Context(), r.Lease(), journal.KindTakeover, heir())
	if err != nil {
		t.Fatal(err)
	}
	beats(r.ID, 0) // the new holder has not sent a heartbeat yet
	beat(now.Lease())
	beats(r.ID, 1)
	if _, err := s.Append(t.Context(), now.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess)); err != nil {
		t.Fatal(err)
	}
	beats(r.ID, 0)
	if all := Verify(t, s); len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
}

func beatRefuses(t *testing.T, s journal.Store) {
	dry := begin(t, s, Subject(1), journal.KindDryRun)
	open := begin(t, s, Subject(1), journal.KindIntent)
	ended := begin(t, s, Subject(2), journal.KindIntent)
	add(t, s, ended.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
	for name, c := range map[string]struct {
		hold journal.Lease
		want error
	}{
		"nothing":         {first(1 << 40), journal.ErrNotFound},
		"zero":            {journal.Lease{}, journal.ErrNotFound},
		"a dry run":       {first(dry.ID), journal.ErrNotFound},
		"an ended one":    {ended.Lease(), journal.ErrClosed},
		"an older token":  {journal.Lease{Execution: open.ID}, journal.ErrFenced},
		"a token to come": {journal.Lease{Execution: open.ID, Token: 2}, journal.ErrFenced},
	} {
		if err := s.Beat(t.Context(), c.hold); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if p, err := s.Pulse(t.Context(), c.hold.Execution); err != nil || p != (journal.Pulse{}) {
			t.Errorf("%s: pulse %+v, %v", name, p, err)
		}
	}
	if _, err := s.Append(t.Context(), open.Lease(), journal.KindTakeover, json.RawMessage(`{}`)); !errors.Is(err,
		journal.ErrBody) {
		t.Errorf("a takeover of any value: %v", err)
	}
	if all := Verify(t, s); len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
}

// cancelIsOneEntry checks that a stop can be requested once, while the execution is open, and that the lease stays with
// its holder.
func cancelIsOneEntry(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	asked := journal.Cancel{By: "ann@example.com", Because: "errors", Process: heir().Holder}
	got, err := s.Append(t.Context(), r.Lease(), journal.KindCancel, asked)
	if err != nil || got.Cancel == nil || *got.Cancel != asked || got.Token != r.Token || !got.Open() {
		t.Fatalf("got %+v, %v", got, err)
	}
	stored(t, s, got)
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindCancel, asked); !errors.Is(err, journal.ErrOrder) {
		t.Errorf("a second cancel: %v", err)
	}
	if err := s.Beat(t.Context(), r.Lease()); err != nil {
		t.Errorf("a heartbeat after the cancel: %v", err)
	}
	add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"})
	now, err := s.Append(t.Context(), r.Lease(), journal.KindTakeover, heir())
	if err != nil || now.Cancel == nil {
		t.Errorf("the cancel is lost in a takeover: %+v, %v", now, err)
	}
	if _, err := s.Append(t.Context(), now.Lease(), journal.KindOutcome, outcome(journal.StatusCancelled)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), now.Lease(), journal.KindCancel, asked); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("a cancel after the end: %v", err)
	}
	if all := Verify(t, s); len(all) != 5 {
		t.Errorf("%d entries", len(all))
	}
}

// adoptionBeginsAnEpoch checks that records after an adoption have another identity, and that states from the earlier
// epoch are accepted.
func adoptionBeginsAnEpoch(t *testing.T, s journal.Store) {
	s = journal.Identified(s)
	before := begin(t, s, Subject(1), journal.KindDryRun)
	was, err := journal.Newest(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	same(t, was, before.Mark())
	a := journal.Adoption{By: "ann@example.com", Because: "restored", Replaces: []string{"0badc0de"}}
	adopted, err := journal.Adopt(t.Context(), s, a, heir().Holder)
	if err != nil || adopted.Status != journal.StatusAdopted || adopted.Open() {
		t.Fatalf("got %+v, %v", adopted, err)
	}
	after := begin(t, s, Subject(1), journal.KindIntent)
	if before.Journal == after.Journal || adopted.Journal != after.Journal || was.Journal != before.Journal {
		t.Errorf("identities %q, %q, %q", before.Journal, adopted.Journal, after.Journal)
	}
	epoch, err := journal.EpochOf(t.Context(), s)
	if err != nil || epoch.From != adopted.ID || epoch.ID != after.Journal || epoch.Adoption == nil {
		t.Errorf("got %+v, %v", epoch, err)
	}
	if again, err := s.Get(t.Context(), before.ID); err != nil || again.Journal != before.Journal {
		t.Errorf("the identity of an earlier record changed: %+v, %v", again, err)
	}
	lost := journal.Mark{Journal: was.Journal, Head: journal.Head{Seq: 40, Hash: "x"}}
	for m, want := range map[journal.Mark]journal.Standing{
		was: journal.StandingHolds, lost: journal.StandingHolds, {Journal: "0badc0de"}: journal.StandingHolds,
		{Journal: "deadbeef"}: journal.StandingForeign,
		{Journal: after.Journal, Head: journal.Head{Seq: 40, Hash: "x"}}: journal.StandingRolledBack,
	} {
		if got, err := journal.Compare(t.Context(), s, m); err != nil || got != want {
			t.Errorf("%+v: %q, %v, want %q", m, got, err, want)
		}
	}
	executions, err := s.Find(t.Context(), journal.Filter{})
	if err != nil || len(executions) != 1 {
		t.Errorf("an adoption is listed as an execution: %+v, %v", executions, err)
	}
	c, err := journal.Removable(t.Context(), s, after.CreatedAt.Add(time.Hour))
	if err != nil || !c.Empty() && c.Gaps[0].To >= adopted.ID {
		t.Errorf("a compaction removes the adoption: %+v, %v", c, err)
	}
	Verify(t, s)
}
