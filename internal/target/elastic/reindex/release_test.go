package reindex_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestWritersAreReleasedDespiteErrors lets the cluster answer 500 to the first requests that release writers. No writer
// may keep waiting, and the settings that held it must not stay.
func TestWritersAreReleasedDespiteErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "release", 50)
	var moved atomic.Bool
	var failed atomic.Int32
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/_settings") && moved.Load() &&
				failed.Add(1) <= 3 {
				return &http.Response{StatusCode: http.StatusInternalServerError, ProtoMajor: 1, ProtoMinor: 1,
					Header: http.Header{"Content-Type": {"application/json"},
						"X-Elastic-Product": {"Elasticsearch"}}, Request: r,
					Body: io.NopCloser(strings.NewReader(`{"error":{"type":"internal","reason":"a test"},"status":500}`)),
				}, nil
			}
			if strings.HasSuffix(r.URL.Path, "/_aliases") {
				moved.Store(true)
			}
			return next.RoundTrip(r)
		})
	}
	req := f.request(f.alias)
	if _, err := copier(cfg).Start(req).Wait(t.Context(), (&recorder{}).save); err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	const holding = "/_settings?filter_path=**.wait_for_active_shards,**.allocation.enable"
	f.Do(t, http.MethodGet, "/"+req.New+holding, "", &settings)
	if len(settings) != 0 {
		t.Errorf("settings that hold writers stay: %v", settings)
	}
	f.Do(t, http.MethodPut, "/"+f.alias+"/_doc/after?timeout=1s", `{"t":"after","n":1}`, nil)
}
