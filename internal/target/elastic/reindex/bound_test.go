package reindex_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWritersContinueWhenABoundHasPassed lets the last pass hang while writers wait. When its bound has passed, the
// writers continue, and the reindex still copies everything that was acknowledged.
func TestWritersContinueWhenABoundHasPassed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "bound", 500)
	before := f.all(t, f.alias)
	var moved, hung atomic.Bool
	var group sync.WaitGroup
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/_pit") && moved.Load() && hung.CompareAndSwap(false, true) {
				group.Go(func() { f.writeOn(t, f.alias) })
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			if strings.HasSuffix(r.URL.Path, "/_aliases") {
				// The last write to the old index: only a later pass can copy it.
				f.Do(t, http.MethodPut, "/"+f.old+"/_doc/last", `{"t":"last","n":1}`, nil)
				moved.Store(true)
			}
			return next.RoundTrip(r)
		})
	}
	req := f.request(f.alias)
	result, err := copier(cfg).Start(req).Wait(t.Context(), (&recorder{}).save)
	group.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(result.Late, "copy the last writes") ||
		!strings.Contains(result.Remark(), "writers continued before it was complete") {
		t.Errorf("late steps: %q, %q", result.Late, result.Remark())
	}
	before["/last"], before["/alone"] = `v1 {"t":"last","n":1}`, `v1 {"t":"alone","n":-1}`
	if diff := cmp.Diff(before, f.all(t, f.alias)); diff != "" {
		t.Errorf("documents: %s", diff)
	}
}
