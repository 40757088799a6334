package scenarios_test

import (
	"net/http"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// searches is a real index whose synonyms file has new rules that are not loaded, and a filled request cache.
type searches struct {
	*elastictest.Server
	elastictest.Searched
}

func newSearches(t *testing.T) searches {
	t.Helper()
	on := elastictest.WithFiles(t)
	s := searches{on, on.Searched(t, "scenario", true)}
	s.Rules(t, 1)
	s.Do(t, http.MethodPost, "/"+s.Alias+"/_search?size=0&request_cache=true", `{"query":{"match":{"t":"fine"}}}`, nil)
	if s.cached(t) == 0 {
		t.Fatal("nothing is cached")
	}
	return s
}

// cached is the size of the request cache, in bytes.
func (s searches) cached(t *testing.T) int64 {
	t.Helper()
	var now struct {
		All struct {
			Total struct {
				Cache struct {
					Bytes int64 `json:"memory_size_in_bytes"`
				} `json:"request_cache"`
			} `json:"total"`
		} `json:"_all"`
	}
	if _, err := s.Call(t.Context(), http.MethodGet, "/"+s.Alias+"/_stats/request_cache", nil, &now); err != nil {
		return -1
	}
	return now.All.Total.Cache.Bytes
}

// loaded reports whether searches use the new rules.
func (s searches) loaded(t *testing.T) bool {
	t.Helper()
	return s.Amiss(t, 1) == ""
}

func TestAccLatencySpike(t *testing.T) {
	t.Parallel()
	s := newSearches(t)
	r := newRig(t, "latency-spike", map[string]float64{"p95_latency_ms": 1850}, "ELASTICSEARCH_ENDPOINTS="+s.URL(),
		"TF_VAR_index_name="+s.Alias)
	r.branches(t)
	r.wantNotes(t, "7", "Executed: clear_cache (", "Result: p95_latency_ms is 1850")
	if got := r.notes("8"); got != "open" {
		t.Errorf("incident 8 is %s", got)
	}
	if !s.loaded(t) {
		t.Error("the new synonyms are not loaded")
	}
}

// TestAccLatencyRecovers lets the latency fall after one of the steps, or after none.
func TestAccLatencyRecovers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		// after reports whether the step that helps has run. Nil: nothing helps.
		after            func(searches, *testing.T) bool
		steps            map[string]string
		escalate, loaded bool
		notes            []string
	}{
		"after the caches": {
			after: func(s searches, t *testing.T) bool { t.Helper(); return s.cached(t) == 0 },
			steps: map[string]string{"after_caches": "Passed: p95_latency_ms is 480",
				"synonyms": "Skipped: run_if is false", "after_synonyms": "Skipped: run_if is false",
				"resolve": "Resolved incident 7"},
			notes: []string{"Executed: clear_cache (", "Result: p95_latency_ms is 480", "Duration: "},
		},
		"after the synonyms": {
			after: func(s searches, t *testing.T) bool { t.Helper(); return s.loaded(t) },
			steps: map[string]string{"after_caches": "Failed: p95_latency_ms",
				"after_synonyms": "Passed: p95_latency_ms_after_synonyms is 480", "resolve": "Resolved incident 7"},
			loaded: true,
			notes: []string{"clear_cache (", "refresh_synonyms (",
				"Result: p95_latency_ms_after_synonyms is 480", "Duration: "},
		},
		"not at all": {
			steps: map[string]string{"after_caches": "Failed: p95_latency_ms",
				"after_synonyms": "Failed: p95_latency_ms_after_synonyms", "resolve": "Skipped: run_if is false"},
			loaded: true, escalate: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := newSearches(t), newServices(t, map[string]float64{"p95_latency_ms": 1850})
			r.Environment("ELASTICSEARCH_ENDPOINTS=" + s.URL())
			r.live(t, "latency-spike", "", `index_name = "`+s.Alias+`"`, `synonym_filter = "rules"`,
				`latency_query = "p95_latency_ms"`, `watch = "4s"`)
			if tt.after != nil {
				r.when(t, func() bool { return tt.after(s, t) }, "p95_latency_ms", 480)
			}
			r.saved(t)
			now := r.outputs(t)
			now.wantSteps(t, tt.steps)
			if now.Escalate != tt.escalate || s.loaded(t) != tt.loaded {
				t.Errorf("escalate %t, synonyms loaded %t", now.Escalate, s.loaded(t))
			}
			if tt.escalate {
				if got := r.notes("7"); got != "open" {
					t.Errorf("incident 7 is %s", got)
				}
				return
			}
			r.wantNotes(t, "7", tt.notes...)
		})
	}
}
