package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// times is a clock that returns the given times one after the other.
type times struct{ next []time.Time }

func (c *times) Now() time.Time {
	now := c.next[0]
	if len(c.next) > 1 {
		c.next = c.next[1:]
	}
	return now
}

func (c *times) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// TestTimes preserves times to the nanosecond, in any zone and after the clock was set back. It compares bounds as
// times and not as text: "05Z" is before "05.5Z", but not alphabetically.
func TestTimes(t *testing.T) {
	t.Parallel()
	whole := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	told := []time.Time{
		whole.Add(500 * time.Millisecond), whole, whole.Add(time.Nanosecond), whole.Add(-time.Nanosecond),
		whole.Add(time.Second).In(time.FixedZone("east", 7200)), time.Date(1969, 12, 31, 23, 59, 59, 999_999_999,
			time.UTC),
	}
	clk := &times{next: []time.Time{whole}}
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), clk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var all []journal.Record
	for _, at := range told {
		clk.next = []time.Time{at}
		r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, journaltest.Intent())
		if err != nil {
			t.Fatal(err)
		}
		if r.CreatedAt != at.UTC() {
			t.Errorf("%v became %v", at, r.CreatedAt)
		}
		all = append(all, r)
	}
	for _, since := range told {
		for _, until := range told {
			var want []journal.Record
			for _, r := range all {
				if !r.CreatedAt.Before(since) && r.CreatedAt.Before(until) {
					want = append(want, r)
				}
			}
			got, err := s.Find(t.Context(), journal.Filter{DryRuns: true, Since: since, Until: until})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("from %v before %v (-want +got):\n%s", since, until, diff)
			}
		}
	}
	journaltest.Verify(t, s)
}
