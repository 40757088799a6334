package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// population is the number of records in the tests of Find.
const population = 48

// populate journals records that differ in every field that a filter has, and returns their final versions.
func populate(t *testing.T, s journal.Store) []journal.Record {
	t.Helper()
	var all []journal.Record
	for i := range population {
		subject := journal.Subject{
			Playbook: fmt.Sprintf("playbook-%d", i%2), Target: fmt.Sprintf("target-%d", i%5),
			Request: fmt.Sprintf("request-%d", i%7), Incident: []string{"", "INC-1", "INC-2"}[i%3],
			Digest: []string{"", "sha256:1", "sha256:2"}[i%3], Identity: []string{"", "thing-1"}[i%2],
		}
		kind := journal.KindIntent
		if i%4 == 0 {
			kind = journal.KindDryRun
		}
		// The last intents stay open, each on its own target.
		if kind == journal.KindIntent && i+20 >= population {
			subject.Target = fmt.Sprintf("open-%d", i)
		}
		r := begin(t, s, subject, kind)
		if i%3 == 0 && kind == journal.KindIntent {
			add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: fmt.Sprint("task-", i)})
			add(t, s, r.ID, journal.KindProgress, i)
			r = add(t, s, r.ID, journal.KindProgress, i+1)
		}
		if kind == journal.KindIntent && i+20 < population {
			r = add(t, s, r.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
		}
		all = append(all, r)
	}
	return all
}

// expected returns the records that a filter matches, apart from its limit.
func expected(all []journal.Record, f journal.Filter) []journal.Record {
	var want []journal.Record
	for _, r := range all {
		if (f.Playbook == "" || f.Playbook == r.Subject.Playbook) && (f.Target == "" || f.Target == r.Subject.Target) &&
			(f.Request == "" || f.Request == r.Subject.Request) &&
			(f.Incident == "" || f.Incident == r.Subject.Incident) &&
			(f.Digest == "" || f.Digest == r.Subject.Digest) &&
			(f.Identity == "" || f.Identity == r.Subject.Identity) &&
			(f.Since.IsZero() || !r.CreatedAt.Before(f.Since)) && (f.Until.IsZero() || r.CreatedAt.Before(f.Until)) &&
			(f.Before == 0 || r.ID < f.Before) && (!f.Open || r.Open()) && (f.All || f.DryRuns == r.DryRun) {
			want = append(want, r)
		}
	}
	return want
}

// matches fails the test unless Find and Count return what is expected for the filter.
func matches(t *testing.T, s journal.Store, all []journal.Record, f journal.Filter) {
	t.Helper()
	want := expected(all, f)
	count, err := s.Count(t.Context(), f)
	if err != nil || count != len(want) {
		t.Errorf("%+v: counted %d of %d, %v", f, count, len(want), err)
	}
	if f.Limit > 0 && len(want) > f.Limit {
		want = want[len(want)-f.Limit:]
	}
	got, err := s.Find(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(want)+len(got) > 0 {
		same(t, want, got)
	}
}

func findFilters(t *testing.T, s journal.Store) {
	all := populate(t, s)
	for _, base := range []journal.Filter{
		{}, {Playbook: "playbook-1"}, {Target: "target-3"}, {Request: "request-6"}, {Incident: "INC-2"},
		{Incident: "INC"}, {Digest: "sha256:1"}, {Identity: "thing-1"}, {Identity: "thing"},
		{Playbook: "playbook-1", Target: "target-3", Digest: "sha256:2"}, {Request: "request-6", Digest: "sha256:1"},
		{Playbook: "playbook-0", Incident: "INC-1"}, {Playbook: "playbook-1", Target: "open-45", Request: "request-3"},
		{Target: "nowhere"}, {Before: all[20].ID}, {Request: "request-6", Before: all[40].ID},
		{Before: all[0].ID}, {Incident: "INC-1", Since: all[10].CreatedAt, Until: all[40].CreatedAt},
	} {
		for _, limit := range []int{0, 3} {
			for i := range 8 {
				f := base
				f.Limit, f.Open, f.DryRuns, f.All = limit, i&1 != 0, i&2 != 0, i&4 != 0
				matches(t, s, all, f)
			}
		}
	}
	for _, limit := range []int{1, population, 2 * population} {
		matches(t, s, all, journal.Filter{All: true, Limit: limit})
	}
	if len(expected(all, journal.Filter{Open: true})) == 0 || len(expected(all, journal.Filter{DryRuns: true})) == 0 {
		t.Error("nothing was looked for")
	}
}

func findBoundsTimes(t *testing.T, s journal.Store) {
	all := populate(t, s)
	for _, at := range []time.Time{
		all[0].CreatedAt, all[17].CreatedAt, all[17].CreatedAt.Add(time.Nanosecond),
		all[17].CreatedAt.Add(-time.Nanosecond),
		all[17].CreatedAt.In(time.FixedZone("east",
			3600)), all[17].CreatedAt.Truncate(time.Second), all[population-1].CreatedAt,
		all[0].CreatedAt.Add(-time.Hour), all[0].CreatedAt.Add(time.Hour),
	} {
		matches(t, s, all, journal.Filter{Since: at, All: true})
		matches(t, s, all, journal.Filter{Until: at, All: true})
		matches(t, s, all, journal.Filter{Since: all[5].CreatedAt, Until: at, Limit: 4})
	}
	matches(t, s, all, journal.Filter{Since: all[30].CreatedAt, Until: all[20].CreatedAt, All: true})
}

func findInEmpty(t *testing.T, s journal.Store) {
	matches(t, s, nil, journal.Filter{All: true})
	matches(t, s, nil, journal.Filter{Open: true, Limit: 1})
	if all := Verify(t, s); len(all) != 0 {
		t.Errorf("%d entries", len(all))
	}
}

func entriesInOrder(t *testing.T, s journal.Store) {
	// More than a store is likely to read at a time.
	const steps = 250
	r := begin(t, s, Subject(1), journal.KindIntent)
	add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"})
	for i := range steps {
		add(t, s, r.ID, journal.KindProgress, i)
	}
	all := Verify(t, s)
	if len(all) != steps+2 {
		t.Fatalf("%d entries", len(all))
	}
	for _, i := range []int{0, 1, 99, 100, 101, steps + 1} {
		var got []journal.Entry
		err := s.Entries(t.Context(), all[i].Seq, func(e journal.Entry) error { got = append(got, e); return nil })
		if err != nil {
			t.Fatal(err)
		}
		same(t, all[i:], got)
	}
	err := s.Entries(t.Context(), all[steps+1].Seq+1,
		func(e journal.Entry) error { return fmt.Errorf("entry %d", e.Seq) })
	if err != nil {
		t.Error(err)
	}
}

func visitorStops(t *testing.T, s journal.Store) {
	all := populate(t, s)
	stop := errors.New("stop")
	seen := 0
	err := s.Entries(t.Context(), 0, func(e journal.Entry) error {
		seen++
		// A visitor may write and read, and read entries within entries.
		begin(t, s, Subject(1), journal.KindDryRun)
		stored(t, s, all[0])
		if err := s.Entries(t.Context(), e.Seq, func(journal.Entry) error { return stop }); !errors.Is(err, stop) {
			return fmt.Errorf("inner: %w", err)
		}
		if seen == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 3 {
		t.Errorf("%d seen, %v", seen, err)
	}
}

func endedContext(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer stop()
	for ctx, want := range map[context.Context]error{ended: context.Canceled, late: context.DeadlineExceeded} {
		_, begun := s.Begin(ctx, Subject(2), journal.KindIntent, Intent())
		_, appended := s.Append(ctx, r.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess))
		_, got := s.Get(ctx, r.ID)
		_, found := s.Find(ctx, journal.Filter{})
		_, counted := s.Count(ctx, journal.Filter{})
		read := s.Entries(ctx, 0, func(journal.Entry) error { return nil })
		beaten := s.Beat(ctx, r.Lease())
		_, felt := s.Pulse(ctx, r.ID)
		for i, err := range []error{begun, appended, got, found, counted, read, beaten, felt} {
			if !errors.Is(err, want) {
				t.Errorf("call %d: %v", i, err)
			}
		}
	}
	within, end := context.WithCancel(t.Context())
	defer end()
	seen := 0
	begin(t, s, Subject(2), journal.KindDryRun)
	err := s.Entries(within, 0, func(journal.Entry) error { seen++; end(); return nil })
	if !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("%d seen, %v", seen, err)
	}
	stored(t, s, r)
	if all := Verify(t, s); len(all) != 2 {
		t.Errorf("%d entries", len(all))
	}
}

func closedStore(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, begun := s.Begin(t.Context(), Subject(2), journal.KindIntent, Intent())
	_, appended := s.Append(t.Context(), r.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess))
	_, got := s.Get(t.Context(), r.ID)
	if slices.Contains([]error{begun, appended, got}, nil) {
		t.Errorf("got %v, %v, %v", begun, appended, got)
	}
}
