package reindex_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// TestAnotherProcessContinuesDuringARetry ends the context of a process that lost the reindex while it waits to repeat
// a request. The error is that of the request, and the new index must stay.
func TestAnotherProcessContinuesDuringARetry(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "retry", 200)
	ctx, end := context.WithCancelCause(t.Context())
	var busy atomic.Bool
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if !busy.CompareAndSwap(true, false) {
				return next.RoundTrip(r)
			}
			end(reindex.ErrLeave)
			return &http.Response{StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Request: r,
				Header: http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}},
				Body:   io.NopCloser(strings.NewReader(`{"error":{"type":"busy"},"status":503}`))}, nil
		})
	}
	save := func(_ context.Context, s reindex.State) error {
		busy.Store(s.Stage == reindex.StageCatchUp)
		return nil
	}
	req := f.request(f.alias)
	if _, err := copier(cfg).Start(req).Wait(ctx, save); !errors.Is(err, reindex.ErrLeave) {
		t.Errorf("error %v", err)
	}
	if !f.exists(t, req.New) {
		t.Errorf("%s is gone, which the other process continues with", req.New)
	}
}

// TestAnotherProcessContinues lets another process take the reindex over at each stage. The process that lost it
// changes nothing more, and the other one completes it. The other process would miss anything that the first one
// cleaned up.
func TestAnotherProcessContinues(t *testing.T) {
	t.Parallel()
	for _, stage := range []reindex.Stage{reindex.StageCopy, reindex.StageCatchUp, reindex.StageSwitch,
		reindex.StageFinish} {
		for _, byContext := range []bool{false, true} {
			name := string(stage) + ", told by the journal"
			if byContext {
				name = string(stage) + ", told by the context"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, "leave", 2_000)
				before := f.all(t, f.alias)
				ctx, end := context.WithCancelCause(t.Context())
				rec := &recorder{}
				told := false
				save := func(ctx context.Context, s reindex.State) error {
					if err := rec.save(ctx, s); err != nil || s.Stage != stage {
						return err
					}
					told = true
					if byContext {
						end(reindex.ErrLeave)
						return nil
					}
					return reindex.ErrLeave
				}
				req := f.request(f.alias)
				_, err := copier(f.Config).Start(req).Wait(ctx, save)
				switched := byContext && (stage == reindex.StageSwitch || stage == reindex.StageFinish)
				if !told || (err == nil) != switched || err != nil && !errors.Is(err, reindex.ErrLeave) {
					t.Fatalf("told %v, error %v", told, err)
				}
				if !f.exists(t, req.New) {
					t.Fatalf("%s is gone", req.New)
				}
				run, err := copier(f.Config).Adopt(t.Context(), rec.state)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := run.Wait(t.Context(), rec.save); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{req.New}, f.targets(t, f.alias)); diff != "" {
					t.Errorf("alias (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(before, f.all(t, f.alias)); diff != "" {
					t.Errorf("documents: %s", diff)
				}
			})
		}
	}
}
