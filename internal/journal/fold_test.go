package journal

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// series makes entries of execution 5 with the given kinds, each with a suitable body.
func series(kinds ...Kind) []Entry {
	bodies := map[Kind]string{
		KindIntent:   `{"params":{"a":1},"holder":{"host":"h","pid":1}}`,
		KindDryRun:   `{"params":{"a":1},"holder":{"host":"h","pid":1}}`,
		KindTakeover: `{"holder":{"host":"o","pid":2}}`, KindDispatch: `{"remote_id":"task"}`,
		KindProgress:     `{"done":1}`,
		KindAcknowledged: `{"by":{"host":"o","pid":2}}`,
		KindOutcome:      `{"status":"failed","result":{"message":"m","actual_duration":1},"rollback":{"action_type":"x","params":{}}}`,
	}
	var entries []Entry
	for i, kind := range kinds {
		entries = append(entries, Entry{
			Seq: int64(5 + i), Execution: 5, Kind: kind, At: time.Unix(int64(i),
				0).UTC(), Subject: Subject{Target: "t"},
			Body: json.RawMessage(bodies[kind]),
		})
	}
	return entries
}

func TestFold(t *testing.T) {
	t.Parallel()
	base := Record{
		ID: 5, Subject: Subject{Target: "t"}, CreatedAt: time.Unix(0, 0).UTC(), Status: StatusPending,
		Holder: proc.Identity{Host: "h", PID: 1}, Token: 1,
	}
	if err := json.Unmarshal(series(KindIntent)[0].Body, &base.Intent); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Record)) Record { r := base; change(&r); return r }
	end := func(r *Record) {
		r.Status, r.Result = StatusFailed, &Result{Message: "m", ActualDuration: 1}
		r.Rollback = &Undo{Type: "x", Params: json.RawMessage(`{}`)}
	}
	sent := func(r *Record) { r.Status, r.RemoteID = StatusRunning, "task" }
	for name, c := range map[string]struct {
		kinds []Kind
		want  Record
		open  bool
	}{
		"intent": {[]Kind{KindIntent}, base, true},
		"dry run": {[]Kind{KindDryRun},
			with(func(r *Record) { r.DryRun, r.Status, r.Token = true, StatusDryRunOK, 0 }), false},
		"dispatch": {[]Kind{KindIntent, KindDispatch}, with(sent), true},
		"progress": {[]Kind{KindIntent, KindDispatch, KindProgress, KindProgress},
			with(func(r *Record) { sent(r); r.Progress = json.RawMessage(`{"done":1}`) }), true},
		"takeover": {[]Kind{KindIntent, KindDispatch, KindTakeover, KindProgress},
			with(func(r *Record) {
				sent(r)
				r.Holder, r.Token, r.Progress = proc.Identity{Host: "o", PID: 2}, 2, json.RawMessage(`{"done":1}`)
			}), true},
		"outcome": {[]Kind{KindIntent, KindDispatch, KindOutcome}, with(func(r *Record) { sent(r); end(r) }),
			false},
		"nothing was run": {[]Kind{KindIntent, KindOutcome}, with(end), false},
		"forgotten": {[]Kind{KindIntent, KindOutcome, KindAcknowledged},
			with(func(r *Record) { end(r); r.Acknowledged = true }), false},
	} {
		entries := series(c.kinds...)
		c.want.Newest.Seq = entries[len(entries)-1].Seq
		got, err := Fold(entries)
		if err != nil || got.Open() != c.open {
			t.Errorf("%s: open %v, %v", name, got.Open(), err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFoldFailedDryRun(t *testing.T) {
	t.Parallel()
	entries := series(KindDryRun)
	entries[0].Body = json.RawMessage(`{"params":null,"problem":"no model matches"}`)
	if r, err := Fold(entries); err != nil || r.Status != StatusDryRunBad || r.Open() {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestFoldRefuses(t *testing.T) {
	t.Parallel()
	broken := series(KindIntent, KindDispatch)
	broken[1].Body = json.RawMessage(`[]`)
	mixed := series(KindIntent, KindDispatch)
	mixed[1].Execution = 4
	for name, entries := range map[string][]Entry{
		"dispatch first":         series(KindDispatch),
		"outcome first":          series(KindOutcome),
		"two intents":            series(KindIntent, KindIntent),
		"dry run goes on":        series(KindDryRun, KindOutcome),
		"dry run dispatched":     series(KindDryRun, KindDispatch),
		"two dispatches":         series(KindIntent, KindDispatch, KindDispatch),
		"takeover first":         series(KindTakeover),
		"takeover of the ended":  series(KindIntent, KindOutcome, KindTakeover),
		"progress of nothing":    series(KindIntent, KindProgress),
		"after the outcome":      series(KindIntent, KindOutcome, KindProgress),
		"two outcomes":           series(KindIntent, KindOutcome, KindOutcome),
		"forgotten while open":   series(KindIntent, KindAcknowledged),
		"forgotten twice":        series(KindIntent, KindOutcome, KindAcknowledged, KindAcknowledged),
		"a dry run forgotten":    series(KindDryRun, KindAcknowledged),
		"broken body":            broken,
		"entry of another one":   mixed,
		"an empty intent's body": {{Seq: 5, Execution: 5, Kind: KindIntent}},
	} {
		if r, err := Fold(entries); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if r, err := Fold(series(KindIntent, "other")); !errors.Is(err, ErrNewer) || errors.Is(err, ErrDamaged) {
		t.Errorf("a kind of a newer version: got %+v, %v", r, err)
	}
	if r, err := Fold(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing: got %+v, %v", r, err)
	}
}
