package reindex_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// copied is how many documents the index with copies of its shards has.
const copied = 30_000

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// health is the health color of an index, and how many replicas it is configured with.
func (f fixture) health(t *testing.T, index string) string {
	t.Helper()
	var answer struct {
		Status  string
		Indices map[string]struct {
			Replicas int `json:"number_of_replicas"`
		}
	}
	f.Do(t, http.MethodGet, "/_cluster/health/"+index+"?level=indices", nil, &answer)
	return fmt.Sprintf("%s, %d", answer.Status, answer.Indices[index].Replicas)
}

// TestReplicas reindexes an index with replicas on another node, while clients write and search: undisturbed, and
// with a failure of that node at different moments.
func TestReplicas(t *testing.T) { //nolint:paralleltest // the nodes are shared
	first, second := elastictest.Pair(t)
	for _, tt := range []struct { //nolint:paralleltest // as above
		name string
		// fails selects the requests at which the second node fails, by the new index. If nil, the node stays.
		fails func(r *http.Request, made string) bool
		// refuses reindexes a concrete index, whose writers are refused instead of delayed.
		refuses bool
	}{
		{name: "both nodes stay"},
		{name: "both stay, by the index's own name", refuses: true},
		{name: "one fails while the shards are copied", fails: func(r *http.Request, made string) bool {
			return strings.HasSuffix(r.URL.Path, "/_cluster/health/"+made) &&
				r.URL.Query().Get("wait_for_status") == "green"
		}},
		{name: "one fails at the switch", fails: func(r *http.Request, _ string) bool {
			return strings.HasSuffix(r.URL.Path, "/_aliases")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fixtureOn(t, first, "copies", copied, 1)
			f.Do(t, http.MethodGet, "/_cluster/health/"+f.old+"?wait_for_status=green&timeout=1m", nil, nil)
			req := f.request(f.alias)
			if tt.refuses {
				f.alias = f.old
				req = f.request(f.old)
			}
			clients := underLoad(t, f, copied)
			cfg, once := f.Config, sync.Once{}
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if tt.fails != nil && tt.fails(r, req.New) {
						once.Do(func() { second.Down(true) })
					}
					return next.RoundTrip(r)
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			start := time.Now()
			result, err := copier(cfg).Start(req).Wait(ctx, (&recorder{}).save)
			t.Logf("%s: %+v, %v", time.Since(start), result, err)
			time.Sleep(time.Second)
			failures := clients.end(t)
			switch {
			case tt.fails == nil && err != nil:
				t.Error(err)
			case tt.fails == nil && !tt.refuses:
				for _, failure := range failures {
					t.Error(failure)
				}
			case errors.Is(err, context.DeadlineExceeded):
				t.Error("it went on waiting for a copy that can't be had")
			}
			in := req.New
			if errors.Is(err, reindex.ErrFailed) {
				in = f.old
			}
			if diff := cmp.Diff([]string{in}, f.targets(t, f.alias)); diff != "" && in != f.alias {
				t.Errorf("alias (-want +got):\n%s", diff)
			}
			// Clients continue.
			for n := range writers {
				f.Do(t, http.MethodPut, fmt.Sprintf("/%s/_doc/after-%d", f.alias, n), `{"t":"after it","n":1}`, nil)
			}
			if tt.fails != nil {
				if err := second.Up(); err != nil {
					t.Fatal(err)
				}
			}
			f.Do(t, http.MethodGet, "/_cluster/health/"+in+"?wait_for_status=green&timeout=1m", nil, nil)
			if got := f.health(t, in); got != "green, 1" {
				t.Errorf("%s is %s", in, got)
			}
		})
	}
}
