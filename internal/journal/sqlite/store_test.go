package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// openTest opens the journal at path until the test ends.
func openTest(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, clock.System{})
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
	journaltest.Run(t, func(t *testing.T) journal.Store {
		return openTest(t, filepath.Join(t.TempDir(), "journal.db"))
	})
}

func TestContractShared(t *testing.T) {
	t.Parallel()
	journaltest.RunShared(t, func(t *testing.T) journaltest.Opener {
		path := filepath.Join(t.TempDir(), "journal.db")
		return func() (journal.Store, error) {
			s, err := Open(t.Context(), path, clock.System{})
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s, nil
		}
	})
}
