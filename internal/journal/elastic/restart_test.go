package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// TestContractWhileTheNodeRestarts runs the contract on a server that another goroutine repeatedly stops and kills.
func TestContractWhileTheNodeRestarts(t *testing.T) {
	t.Parallel()
	// Each time it stays up for longer, so the test also ends on a slow machine.
	const upFor, factor = 4 * time.Second, 1.4
	on := elastictest.Own(t)
	ctx, cancel := context.WithCancel(t.Context())
	restarts, ended := 0, make(chan error)
	go func() {
		for stay := upFor; ; stay = time.Duration(factor * float64(stay)) {
			select {
			case <-ctx.Done():
				ended <- nil
				return
			case <-time.After(stay):
			}
			on.Down(restarts%2 == 1)
			if err := on.Up(); err != nil {
				ended <- err
				return
			}
			// A server that listens may still be loading its indices. Only whether it answers matters here.
			_, _ = on.Call(ctx, http.MethodGet, "/_cluster/health?wait_for_no_initializing_shards=true&timeout=60s",
				nil, nil)
			restarts++
		}
	}()
	patient := usual()
	patient.retryFor, patient.open = 20*time.Minute, 20*time.Minute
	var places atomic.Int64
	name := func() string { return fmt.Sprintf("journal-%d", places.Add(1)) }
	t.Run("within", func(t *testing.T) {
		journaltest.Run(t, func(t *testing.T) journal.Store { return openTest(t, at(on.Config, name()), patient) })
		journaltest.RunShared(t, func(t *testing.T) journaltest.Opener {
			cfg := at(on.Config, name())
			return func() (journal.Store, error) { return open(t.Context(), cfg, patient) }
		})
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Logf("%d restarts", restarts)
	if restarts < 2 {
		t.Errorf("the node was restarted %d times", restarts)
	}
}

// TestServerDown covers a server that is first down and then up.
func TestServerDown(t *testing.T) {
	t.Parallel()
	on := elastictest.Own(t)
	hasty := usual()
	hasty.retryFor, hasty.open = time.Second, time.Second
	s := openTest(t, at(on.Config, "journal"), hasty)
	r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	if err != nil {
		t.Fatal(err)
	}
	before := journaltest.Verify(t, s)
	on.Down(true)
	_, appended := s.Append(t.Context(), r.Lease(), journal.KindDispatch, journal.Dispatch{})
	explained(t, appended, journal.ErrUnavailable, "cluster is up")
	began := time.Now()
	_, begun := s.Begin(t.Context(), journaltest.Subject(2), journal.KindIntent, journaltest.Intent())
	_, got := s.Get(t.Context(), r.ID)
	_, opened := open(t.Context(), at(on.Config, "journal"), hasty)
	for _, err := range []error{begun, got, opened, s.Beat(t.Context(), r.Lease())} {
		explained(t, err, journal.ErrUnavailable, "cluster is up")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to say so again", took)
	}
	if err := on.Up(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, at(on.Config, "journal"), usual())
	if after := journaltest.Verify(t, again); len(after) != len(before) {
		t.Errorf("%d entries, want %d", len(after), len(before))
	}
	if _, err := again.Append(t.Context(), r.Lease(), journal.KindOutcome,
		journal.Outcome{Status: journal.StatusUnknown}); err != nil {
		t.Error(err)
	}
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindDispatch, journal.Dispatch{}); !errors.Is(err,
		journal.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
