package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	target "github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// place returns a journal name for this test only. The journal is removed at the end.
func place(t testing.TB, on *elastictest.Server) string {
	t.Helper()
	name := on.Name(t, "journal")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if status, err := on.Call(ctx, http.MethodDelete, "/_index_template/"+name, nil, nil); err != nil &&
			status != http.StatusNotFound {
			t.Errorf("remove the template: %v", err)
		}
	})
	return name
}

// at returns the location of a journal, with the test's clock and credentials.
func at(cfg target.Config, index string) Config {
	return Config{Client: elasticsearch.New(cfg, clock.System{}), Index: index, Clock: clock.System{}}
}

// openTest opens the journal until the test ends.
func openTest(t testing.TB, cfg Config, l limits) *Store {
	t.Helper()
	s, err := open(t.Context(), cfg, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	journaltest.Run(t, func(t *testing.T) journal.Store { return openTest(t, at(on.Config, place(t, on)), usual()) })
}

func TestContractShared(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	journaltest.RunShared(t, func(t *testing.T) journaltest.Opener {
		index := place(t, on)
		return func() (journal.Store, error) { return Open(t.Context(), at(on.Config, index)) }
	})
}

// TestContractInSmallRanges crosses from one index to the next all the time.
func TestContractInSmallRanges(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	small := usual()
	small.rangeSize = 5
	journaltest.RunShared(t, func(t *testing.T) journaltest.Opener {
		index := place(t, on)
		return func() (journal.Store, error) { return open(t.Context(), at(on.Config, index), small) }
	})
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestManySteps covers records with more steps than are read at a time.
func TestManySteps(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	s := openTest(t, at(on.Config, place(t, on)), usual())
	var want []journal.Record
	for i := range 2 {
		r, err := s.Begin(t.Context(), journaltest.Subject(i), journal.KindIntent, journaltest.Intent())
		if err != nil {
			t.Fatal(err)
		}
		if r, err = s.Append(t.Context(), r.Lease(), journal.KindDispatch,
			journal.Dispatch{RemoteID: "task"}); err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	for range stepsPage {
		r, err := s.Append(t.Context(), want[1].Lease(), journal.KindTakeover,
			journal.Takeover{Holder: journaltest.Intent().Holder})
		if err != nil {
			t.Fatal(err)
		}
		want[1] = r
	}
	for _, f := range []journal.Filter{{Incident: want[0].Subject.Incident}, {},
		{Playbook: want[0].Subject.Playbook, Limit: 2}} {
		got, err := s.Find(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
}

// TestTextThatIsNotUTF8 checks that such text is stored as it was hashed, and is found.
func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	s := openTest(t, at(on.Config, place(t, on)), usual())
	subject := journal.Subject{Playbook: "p\xff", Target: "t\xc3", Request: "r", Incident: "\xf0\x9f"}
	r, err := s.Begin(t.Context(), subject, journal.KindIntent, journaltest.Intent())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindDispatch,
		journal.Dispatch{RemoteID: "\xff"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindProgress, json.RawMessage("\"\xff\"")); err != nil {
		t.Fatal(err)
	}
	journaltest.Verify(t, s)
	for _, f := range []journal.Filter{{Target: subject.Target},
		{Incident: subject.Incident, Playbook: subject.Playbook}} {
		if got, err := s.Find(t.Context(), f); err != nil || len(got) != 1 || got[0].ID != r.ID {
			t.Errorf("%+v: got %+v, %v", f, got, err)
		}
	}
	var busy *journal.BusyError
	if _, err := s.Begin(t.Context(), subject, journal.KindIntent, journaltest.Intent()); !errors.As(err, &busy) {
		t.Errorf("got %v", err)
	}
}

// TestRefusalsAreAboutNow checks that a handle with an outdated view reads the journal before it refuses.
func TestRefusalsAreAboutNow(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	cfg := at(on.Config, place(t, on))
	a := openTest(t, cfg, usual())
	r, err := a.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	if err != nil {
		t.Fatal(err)
	}
	b := openTest(t, cfg, usual())
	if _, err := a.Append(t.Context(), r.Lease(), journal.KindOutcome,
		journal.Outcome{Status: journal.StatusSuccess}); err != nil {
		t.Fatal(err)
	}
	if r, err = b.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent()); err != nil {
		t.Fatalf("the target is free, and: %v", err)
	}
	if _, err := a.Append(t.Context(), r.Lease(), journal.KindDispatch, journal.Dispatch{}); err != nil {
		t.Errorf("it was begun elsewhere, and: %v", err)
	}
}
