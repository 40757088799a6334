package journaltest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

func beginReturnsRecord(t *testing.T, s journal.Store) {
	r := stored(t, s, begin(t, s, Subject(1), journal.KindIntent))
	if r.ID == 0 || r.DryRun || !r.Open() || r.CreatedAt.IsZero() || r.CreatedAt.Location() != time.UTC {
		t.Errorf("got %+v", r)
	}
	follows(t, journal.Record{
		ID: r.ID, Subject: Subject(1), Intent: Intent(), Status: journal.StatusPending, CreatedAt: r.CreatedAt,
		Holder: Intent().Holder, Token: 1,
	}, r)
	if all := Verify(t, s); len(all) != 1 || all[0].Seq != r.ID || all[0].Execution != r.ID ||
		!all[0].At.Equal(r.CreatedAt) {
		t.Errorf("entries %+v", all)
	}
}

func dryRunIsOneEntry(t *testing.T, s journal.Store) {
	running := begin(t, s, Subject(1), journal.KindIntent)
	good := stored(t, s, begin(t, s, Subject(1), journal.KindDryRun))
	intent := Intent()
	intent.Problem = "no model matches"
	bad, err := s.Begin(t.Context(), Subject(1), journal.KindDryRun, intent)
	if err != nil {
		t.Fatal(err)
	}
	stored(t, s, bad)
	if good.Status != journal.StatusDryRunOK || bad.Status != journal.StatusDryRunBad || !good.DryRun || good.Open() ||
		bad.Open() {
		t.Errorf("got %+v and %+v", good, bad)
	}
	// Neither has locked or freed the target.
	add(t, s, running.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
	begin(t, s, Subject(1), journal.KindIntent)
	if all := Verify(t, s); len(all) != 5 {
		t.Errorf("%d entries", len(all))
	}
}

func oneOpenPerTarget(t *testing.T, s journal.Store) {
	first := begin(t, s, Subject(1), journal.KindIntent)
	other := Subject(2)
	other.Target = first.Subject.Target
	refused := func(holder journal.Record) {
		t.Helper()
		r, err := s.Begin(t.Context(), other, journal.KindIntent, Intent())
		var busy *journal.BusyError
		if !errors.As(err, &busy) {
			t.Fatalf("got %+v, %v", r, err)
		}
		same(t, holder, busy.Record)
	}
	refused(first)
	refused(add(t, s, first.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task-1"}))
	refused(add(t, s, first.ID, journal.KindProgress, 1))
	begin(t, s, Subject(3), journal.KindIntent)
	for _, status := range []journal.Status{journal.StatusFailed, journal.StatusCancelled, journal.StatusUnknown,
		journal.StatusSuccess} {
		add(t, s, first.ID, journal.KindOutcome, outcome(status))
		first = begin(t, s, other, journal.KindIntent)
	}
	if all := Verify(t, s); len(all) != 3+1+8 {
		t.Errorf("%d entries", len(all))
	}
}

func readersExcludeNothing(t *testing.T, s journal.Store) {
	reads := func() journal.Record {
		intent := Intent()
		intent.ReadOnly = true
		r, err := s.Begin(t.Context(), Subject(1), journal.KindIntent, intent)
		if err != nil {
			t.Fatal(err)
		}
		stored(t, s, r)
		return r
	}
	first, writes, second := reads(), begin(t, s, Subject(1), journal.KindIntent), reads()
	open, err := s.Find(t.Context(), journal.Filter{Open: true})
	if err != nil || len(open) != 3 {
		t.Errorf("%d open executions, %v", len(open), err)
	}
	for _, r := range []journal.Record{first, second, writes} {
		if err := s.Beat(t.Context(), r.Lease()); err != nil {
			t.Error(err)
		}
		add(t, s, r.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
	}
	if all := Verify(t, s); len(all) != 6 {
		t.Errorf("%d entries", len(all))
	}
}

func othersAreExcluded(t *testing.T, s journal.Store) {
	try := func(target string, holds ...string) (journal.Record, error) {
		subject, intent := Subject(1), Intent()
		subject.Target, intent.Locks = target, holds
		return s.Begin(t.Context(), subject, journal.KindIntent, intent)
	}
	free := begin(t, s, Subject(2), journal.KindIntent)
	alias, err := try("es/products", "es/products-1", "es/products-2")
	if err != nil {
		t.Fatal(err)
	}
	stored(t, s, alias)
	for name, overlaps := range map[string][]string{
		"its target": {"es/products"}, "an index behind it": {"es/products-2"}, "another alias of that": {"es/all",
			"es/others", "es/products-1"},
		"a pattern that covers the alias": {"es/p*", "es/products"},
	} {
		var busy *journal.BusyError
		if r, err := try(overlaps[0], overlaps[1:]...); !errors.As(err, &busy) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		} else {
			same(t, alias, busy.Record)
		}
	}
	beside, err := try("es/others-1", "es/others-2")
	if err != nil {
		t.Fatalf("what has nothing in common: %v", err)
	}
	for _, r := range []journal.Record{free, beside, alias} {
		add(t, s, r.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
	}
	if _, err := try("es/products-2"); err != nil {
		t.Errorf("after the outcome: %v", err)
	}
	Verify(t, s)
}

func beginRefuses(t *testing.T, s journal.Store) {
	for _, kind := range []journal.Kind{journal.KindDispatch, journal.KindProgress, journal.KindOutcome, "", "other"} {
		if _, err := s.Begin(t.Context(), Subject(1), kind, Intent()); !errors.Is(err, journal.ErrOrder) {
			t.Errorf("%q: %v", kind, err)
		}
	}
	large := Intent()
	large.Digest = strings.Repeat("a", journal.MaxBody)
	refusedBody(t, func() error { _, err := s.Begin(t.Context(), Subject(1), journal.KindIntent, large); return err })
	if all := Verify(t, s); len(all) != 0 {
		t.Errorf("%d entries", len(all))
	}
	begin(t, s, Subject(1), journal.KindIntent)
}

func refusedBody(t *testing.T, try func() error) {
	t.Helper()
	err := try()
	var p *problem.Problem
	if !errors.Is(err, journal.ErrBody) || !errors.As(err, &p) || p.Why == "" || p.Next == "" {
		t.Errorf("got %v", err)
	}
}

func lifecycle(t *testing.T, s journal.Store) {
	want := begin(t, s, Subject(1), journal.KindIntent)
	want.Status, want.RemoteID = journal.StatusRunning, "task-1"
	follows(t, want, stored(t, s, add(t, s, want.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task-1"})))
	for _, progress := range []string{`{"done":1}`, `null`, `[2,"<&>"]`} {
		got := stored(t, s, add(t, s, want.ID, journal.KindProgress, json.RawMessage(progress)))
		var plain, wanted any
		if err := errors.Join(json.Unmarshal(got.Progress, &plain),
			json.Unmarshal([]byte(progress), &wanted)); err != nil {
			t.Fatal(err)
		}
		same(t, wanted, plain)
		want.Progress = got.Progress
		follows(t, want, got)
	}
	end := outcome(journal.StatusFailed)
	want.Status, want.Result, want.Rollback = end.Status, &end.Result, end.Rollback
	follows(t, want, stored(t, s, add(t, s, want.ID, journal.KindOutcome, end)))
	kinds := []journal.Kind{journal.KindIntent, journal.KindDispatch, journal.KindProgress, journal.KindProgress,
		journal.KindProgress,
		journal.KindOutcome}
	var got []journal.Kind
	for _, e := range Verify(t, s) {
		same(t, want.Subject, e.Subject)
		same(t, want.ID, e.Execution)
		got = append(got, e.Kind)
	}
	same(t, kinds, got)
}

func outcomeFollowsIntent(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	r = stored(t, s, add(t, s, r.ID, journal.KindOutcome, journal.Outcome{Status: journal.StatusCancelled}))
	if r.Open() || r.Status != journal.StatusCancelled || r.Rollback != nil {
		t.Errorf("got %+v", r)
	}
}

func appendRefuses(t *testing.T, s journal.Store) {
	dry := begin(t, s, Subject(1), journal.KindDryRun)
	pending := begin(t, s, Subject(1), journal.KindIntent)
	running := begin(t, s, Subject(2), journal.KindIntent)
	add(t, s, running.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "task"})
	middle := Verify(t, s)[3].Seq
	cases := map[string]struct {
		id   int64
		kind journal.Kind
		body any
		want error
	}{
		"no such execution":     {1 << 40, journal.KindProgress, 1, journal.ErrNotFound},
		"zero":                  {0, journal.KindProgress, 1, journal.ErrNotFound},
		"negative":              {-1, journal.KindOutcome, outcome(journal.StatusFailed), journal.ErrNotFound},
		"not a first entry":     {middle, journal.KindProgress, 1, journal.ErrNotFound},
		"a dry run":             {dry.ID, journal.KindOutcome, outcome(journal.StatusSuccess), journal.ErrNotFound},
		"progress of pending":   {pending.ID, journal.KindProgress, 1, journal.ErrOrder},
		"second dispatch":       {running.ID, journal.KindDispatch, journal.Dispatch{}, journal.ErrOrder},
		"second intent":         {running.ID, journal.KindIntent, Intent(), journal.ErrOrder},
		"dry run in the middle": {running.ID, journal.KindDryRun, Intent(), journal.ErrOrder},
		"unknown kind":          {running.ID, "other", 1, journal.ErrBody},
		"dispatch of any value": {pending.ID, journal.KindDispatch, "task", journal.ErrBody},
		"outcome of any value":  {running.ID, journal.KindOutcome, map[string]string{}, journal.ErrBody},
		"outcome still running": {running.ID, journal.KindOutcome, outcome(journal.StatusRunning), journal.ErrBody},
		"outcome skipped":       {running.ID, journal.KindOutcome, outcome(journal.StatusSkipped), journal.ErrBody},
		"no JSON":               {running.ID, journal.KindProgress, make(chan int), journal.ErrBody},
		"broken JSON":           {running.ID, journal.KindProgress, json.RawMessage(`{"a":`), journal.ErrBody},
		"over the largest size": {running.ID, journal.KindProgress, strings.Repeat("a", journal.MaxBody-1),
			journal.ErrBody},
	}
	for name, c := range cases {
		if r, err := s.Append(t.Context(), first(c.id), c.kind, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if all := Verify(t, s); len(all) != 4 {
		t.Errorf("%d entries", len(all))
	}
	// The largest body, including quotation marks.
	add(t, s, running.ID, journal.KindProgress, strings.Repeat("a", journal.MaxBody-len(`""`)))
	Verify(t, s)
}

func appendRefusesClosed(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	want := add(t, s, r.ID, journal.KindOutcome, outcome(journal.StatusSuccess))
	for kind, body := range map[journal.Kind]any{
		journal.KindDispatch: journal.Dispatch{}, journal.KindProgress: 1,
		journal.KindOutcome: outcome(journal.StatusFailed),
	} {
		if _, err := s.Append(t.Context(), r.Lease(), kind, body); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	stored(t, s, want)
	if all := Verify(t, s); len(all) != 2 {
		t.Errorf("%d entries", len(all))
	}
}

func forgottenAfterOutcome(t *testing.T, s journal.Store) {
	by := journal.Acknowledged{By: heir().Holder}
	left := begin(t, s, Subject(1), journal.KindIntent)
	if _, err := s.Append(t.Context(), left.Lease(), journal.KindAcknowledged, by); !errors.Is(err, journal.ErrOrder) {
		t.Errorf("while it is open: %v", err)
	}
	now, err := s.Append(t.Context(), left.Lease(), journal.KindTakeover, heir())
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.Append(t.Context(), now.Lease(), journal.KindOutcome, outcome(journal.StatusSuccess))
	if err != nil {
		t.Fatal(err)
	}
	want.Acknowledged = true
	// An ended execution needs no lease: the process that destroys the resource may not know of a takeover.
	got, err := s.Append(t.Context(), left.Lease(), journal.KindAcknowledged, by)
	if err != nil {
		t.Fatal(err)
	}
	follows(t, want, stored(t, s, got))
	if _, err := s.Append(t.Context(), left.Lease(), journal.KindAcknowledged, by); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("twice: %v", err)
	}
	// The target is free.
	begin(t, s, Subject(1), journal.KindIntent)
	if all := Verify(t, s); len(all) != 5 {
		t.Errorf("%d entries", len(all))
	}
}

func bodiesStoredAsHashed(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{RemoteID: "a\u2028<b>&\x00\"\\"})
	bodies := map[string]json.RawMessage{
		"blanks":      json.RawMessage("{ \"a\" :\n\t[ 1 , 2 ] }"),
		"html":        json.RawMessage(`"<script>&'\u003c"`),
		"separators":  json.RawMessage("\"\u2028\u2029\""),
		"numbers":     json.RawMessage(`[1e400, 9007199254740993, 0.10, -0, 1E5]`),
		"emoji":       json.RawMessage(`"\ud83d\ude00😀é"`),
		"bad unicode": json.RawMessage(`"\ud800"`),
		"twice":       json.RawMessage(`{"b":1,"a":2,"b":3}`),
		"null":        nil,
	}
	for name, body := range bodies {
		got := stored(t, s, add(t, s, r.ID, journal.KindProgress, body))
		if text, err := json.Marshal(body); err != nil || string(text) != string(got.Progress) {
			t.Errorf("%s: %s became %s (%v)", name, text, got.Progress, err)
		}
	}
	Verify(t, s)
}

func subjectsOfAnyText(t *testing.T, s journal.Store) {
	for _, text := range []string{"", `'; DROP TABLE entries; --`, "%_*?", "a\nb\tc", "Grüße 😀", `"\`,
		strings.Repeat("x", 2000)} {
		subject := journal.Subject{Playbook: "p" + text, Target: "t" + text, Request: "r" + text, Incident: text}
		r := stored(t, s, begin(t, s, subject, journal.KindIntent))
		same(t, subject, r.Subject)
		for _, f := range []journal.Filter{{Playbook: subject.Playbook}, {Target: subject.Target},
			{Request: subject.Request},
			{Target: subject.Target, Incident: text}} {
			found, err := s.Find(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			same(t, []journal.Record{r}, found)
		}
	}
	Verify(t, s)
}

func getKnowsFirstEntries(t *testing.T, s journal.Store) {
	r := begin(t, s, Subject(1), journal.KindIntent)
	add(t, s, r.ID, journal.KindDispatch, journal.Dispatch{})
	for _, id := range []int64{0, -1, Verify(t, s)[1].Seq, 1 << 40} {
		if got, err := s.Get(t.Context(), id); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("%d: got %+v, %v", id, got, err)
		}
	}
}
