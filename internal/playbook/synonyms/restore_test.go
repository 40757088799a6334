package synonyms_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// lost is the answer of a proxy that got none.
func lost(r *http.Request) *http.Response {
	return &http.Response{StatusCode: http.StatusBadGateway, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}},
		Body:   io.NopCloser(strings.NewReader(`{"error":{"type":"bad_gateway"},"status":502}`))}
}

// TestLostAnswerToARestore loses the answer to the request that moves the alias back.
func TestLostAnswerToARestore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		// made reports whether the cluster gets the request, and silent whether it answers none of the later ones.
		made, silent bool
		failed       bool
		uncertain    bool
	}{
		"made":                       {made: true},
		"not made":                   {failed: true},
		"made, and nobody can look":  {made: true, silent: true, failed: true, uncertain: true},
		"not made and nobody looked": {silent: true, failed: true, uncertain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			kept, made := f.makeIndex(t, "v1", "from_file_fixed", true), f.makeIndex(t, "v2", "from_file_fixed", true)
			alias := f.base + "-alias"
			f.alias(t, alias, made)
			f.Do(t, http.MethodPut, "/"+kept+"/_block/write", nil, nil)
			var sent atomic.Int32
			cfg := f.Config
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					moves := r.URL.Path == "/_aliases"
					if sent.Load() > 0 && tt.silent {
						return lost(r), nil
					}
					if !moves {
						return next.RoundTrip(r)
					}
					sent.Add(1)
					if tt.made {
						res, err := next.RoundTrip(r)
						if err != nil {
							return nil, err
						}
						_ = res.Body.Close()
					}
					return lost(r), nil
				})
			}
			out, err := run(t, f.bind(t, cfg, map[string]any{"index_name": alias, "synonym_filter": "from_file_fixed",
				"restore_index": kept}), &journal{})
			if (err != nil) != tt.failed || errors.Is(err, playbook.ErrUncertain) != tt.uncertain || sent.Load() != 1 {
				t.Errorf("%+v, %v after %d requests", out, err, sent.Load())
			}
			if tt.uncertain && !strings.Contains(err.Error(), "look at GET /"+made+","+kept+"/_alias") {
				t.Errorf("the error does not say where to look: %v", err)
			}
			want := made
			if tt.made {
				want = kept
			}
			var found map[string]any
			f.Do(t, http.MethodGet, "/_alias/"+alias, nil, &found)
			if _, ok := found[want]; !ok || len(found) != 1 {
				t.Errorf("%s stands for %v, want %s", alias, found, want)
			}
		})
	}
}
