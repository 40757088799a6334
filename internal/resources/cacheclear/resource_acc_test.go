package cacheclear_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

const header = `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
`

const address = "remediation_cache_clear.search"

func config(index, more string) string {
	return header + fmt.Sprintf("\nresource \"remediation_cache_clear\" \"search\" {\n  incident_id = \"INC-2041\"\n "+
		" index_name  = %q\n  %s\n}\n", index, more)
}

// fill makes an index whose query, request and field data caches hold something, as far as a small one's can.
func fill(t *testing.T, s *elastictest.Server, index string) {
	t.Helper()
	s.Do(t, http.MethodPut, "/"+index,
		`{"settings":{"number_of_replicas":0},"mappings":{"properties":{"text":{"type":"text","fielddata":true}}}}`,
		nil)
	s.Do(t, http.MethodPost, "/"+index+"/_doc?refresh=true", `{"text":"late mail is late"}`, nil)
	s.Do(t, http.MethodPost, "/"+index+"/_search?size=0&request_cache=true",
		`{"aggs":{"words":{"terms":{"field":"text"}}}}`, nil)
}

type stats struct {
	All struct {
		Total map[string]struct {
			Bytes int64 `json:"memory_size_in_bytes"`
		} `json:"total"`
	} `json:"_all"`
}

func sizes(t *testing.T, s *elastictest.Server, index string) (request, fielddata int64) {
	t.Helper()
	var now stats
	s.Do(t, http.MethodGet, "/"+index+"/_stats/request_cache,fielddata", nil, &now)
	return now.All.Total["request_cache"].Bytes, now.All.Total["fielddata"].Bytes
}

func TestAccOnlyTheAskedCacheIsCleared(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "acc")
	fill(t, s, index)
	requestBefore, fielddataBefore := sizes(t, s, index)
	if requestBefore == 0 || fielddataBefore == 0 {
		t.Fatalf("the caches are empty before: %d, %d", requestBefore, fielddataBefore)
	}
	w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
	w.Write("main.tf", config(index, `cache_types = ["fielddata"]`))
	out := w.Must("plan", "-no-color")
	for _, want := range []string{"POST /" + index + "/_cache/clear?", "May cause a brief latency spike (1-2 s)", "5 s",
		"not needed"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	if request, fielddata := sizes(t, s, index); request != requestBefore || fielddata != fielddataBefore {
		t.Errorf("plan changed the caches: %d, %d", request, fielddata)
	}
	w.Must("apply", "-auto-approve", "-no-color")
	if request, fielddata := sizes(t, s, index); request != requestBefore || fielddata != 0 {
		t.Errorf("request %d, want %d as before; field data %d, want 0", request, requestBefore, fielddata)
	}
	if got := w.Attributes(address); got["status"] != "success" {
		t.Errorf("status %v", got["status"])
	}
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
}

// TestAccOftenClearedCachesAreReported warns once the same caches were cleared often, and says what to look at.
func TestAccOftenClearedCachesAreReported(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "acc")
	fill(t, s, index)
	w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
	for n := 1; n <= 4; n++ {
		w.Write("main.tf", config(index, fmt.Sprintf(`triggers = { again = "%d" }`, n)))
		out := strings.Join(strings.Fields(w.Must("plan", "-no-color")), " ")
		warned := strings.Contains(out, "were cleared 3 times in the last 24 hours")
		if warned != (n == 4) || warned && !strings.Contains(out, "Look at the queries") {
			t.Errorf("plan %d warns: %t\n%s", n, warned, out)
		}
		if n < 4 {
			w.Must("apply", "-auto-approve", "-no-color")
		}
	}
}

func TestAccSpecifiedExample(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "knowledge-base")
	fill(t, s, index)
	w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
	w.Write("main.tf", config(index, `cache_types = ["query", "request", "fielddata"]`))
	w.Must("apply", "-auto-approve", "-no-color")
	preview, ok := w.Attributes(address)["preview"].(map[string]any)
	if !ok || preview["estimated_duration_seconds"] != 5.0 || preview["approval_required"] != false ||
		preview["estimated_cost_usd"] != 0.0 {
		t.Errorf("preview %v", preview)
	}
	if request, fielddata := sizes(t, s, index); request+fielddata != 0 {
		t.Errorf("the caches hold %d and %d", request, fielddata)
	}
}

func TestAccBadInput(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "bad")
	fill(t, s, index)
	tests := map[string]struct{ config, says, at string }{
		"everything":         {config("*", ""), "allow_all", `index_name  = "*"`},
		"everything by name": {config("_all", ""), "allow_all", `index_name  = "_all"`},
		"nothing":            {config("", ""), "at least 1", `index_name  = ""`},
		"missing index":      {config(index+"x", ""), index, "index_name"},
		"wrong cache type": {config(index, `cache_types = ["disk"]`), "Must be one of query, request, fielddata.",
			`cache_types = ["disk"]`},
		"fields alone": {config(index, "cache_types = [\"query\"]\n  fields = [\"text\"]"), "fielddata",
			`fields = ["text"]`},
		"no cluster": {header +
			"provider \"remediation\" {\n  elasticsearch { endpoints = [\"nowhere\"] }\n}\n" +
			strings.TrimPrefix(config(index, ""), header), "URL", "elasticsearch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
			w.Write("main.tf", tt.config)
			if out := w.MustFail("plan", "-no-color"); !strings.Contains(out, tt.says) ||
				!strings.Contains(out, tt.at) {
				t.Errorf("want %q at %q:\n%s", tt.says, tt.at, out)
			}
		})
	}
}

// TestAccThousandResourcesShareRequests counts the requests that reach the server.
func TestAccThousandResourcesShareRequests(t *testing.T) {
	t.Parallel()
	const indices, resources, bound = 100, 1000, 10
	s := elastictest.Shared(t)
	base := s.Name(t, "many")
	for i := range indices {
		s.Do(t, http.MethodPut, fmt.Sprintf("/%s-%d", base, i), `{"settings":{"number_of_replicas":0}}`, nil)
	}
	server, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	proxy := httputil.NewSingleHostReverseProxy(server)
	counting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(counting.Close)
	w := acctest.NewWorkspace(t, s.Environment(counting.URL)...)
	w.Write("main.tf", header+fmt.Sprintf("resource \"remediation_cache_clear\" \"many\" {\n  count       = %d\n  "+
		"index_name  = \"%s-${count.index %% %d}\"\n"+
		"  cache_types = [\"request\"]\n}\n", resources, base, indices))
	w.Must("plan", "-no-color")
	if len(seen) == 0 || len(seen) > bound {
		t.Errorf("a plan of %d resources over %d indices sent %d requests: %v", resources, indices, len(seen),
			seen[:min(len(seen), 2*bound)])
	}
	w.Write("main.tf", config(base+"-0", ""))
	w.Must("apply", "-auto-approve", "-no-color")
	seen = nil
	w.Must("plan", "-no-color")
	if len(seen) != 0 {
		t.Errorf("a plan with nothing to do sent %v", seen)
	}
}

// TestAccDuplicateResourcesInOneApply runs the same request twice in one apply: both run, one after the other, and each
// has a record.
func TestAccDuplicateResourcesInOneApply(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "alike")
	fill(t, s, index)
	w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
	w.Write("main.tf", config(index, "count = 2"))
	w.Must("apply", "-auto-approve", "-no-color")
	one, other := w.Attributes(address+"[0]"), w.Attributes(address+"[1]")
	if one["status"] != "success" || other["status"] != "success" || one["id"] == other["id"] {
		t.Errorf("executions %v (%v) and %v (%v)", one["id"], one["status"], other["id"], other["status"])
	}
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
}

// TestAccSearchesAreGuardrails watches an execution with a search, and with a search that fails.
func TestAccSearchesAreGuardrails(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "guarded")
	fill(t, s, index)
	rail := func(searched, measure, bound string) string {
		return fmt.Sprintf("triggers = { run = %q }\n  guardrail {\n    name = \"documents\"\n    elasticsearch "+
			"{\n      index = %q\n      measure = %q\n    }\n    %s\n  }",
			searched+measure+bound, searched, measure, bound)
	}
	tests := map[string]struct{ rail, status, says string }{
		"enough documents": {rail(index, "hits", "min = 1"), "success", "passed, value 1"},
		"fast enough":      {rail(index, "took_ms", "max = 60000"), "success", "passed, value"},
		"the symptom":      {rail(index, "hits", "min = 2"), "success", "1 is below the minimum of 2), as before"},
		"no improvement": {rail(index, "hits", "min = 2\n wait = \"1s\""), "failed",
			"1 is below the minimum of 2)"},
		"no such index": {rail(index+"-gone", "hits", "min = 1"), "", "Guardrail \"documents\" can't be read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
			w.Write("main.tf", config(index, tt.rail))
			out, code := w.Run("apply", "-auto-approve", "-no-color")
			if (code == 0) != (tt.status == "success") || tt.status == "" && !strings.Contains(out, tt.says) {
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			if tt.status == "" {
				return // nothing has run
			}
			got := w.Attributes(address)
			result, _ := got["result"].(map[string]any)
			details, _ := result["details"].(map[string]any)
			if reading := fmt.Sprint(details["guardrail.documents"]); got["status"] != tt.status ||
				!strings.Contains(reading, tt.says) {
				t.Errorf("status %v, want %s; reading %s, want %q", got["status"], tt.status, reading, tt.says)
			}
		})
	}
}

// TestAccCacheClearRunsWhileItsMetricIsInBreach covers a latency spike: the breach is the reason for the execution. A
// metric that can't be read stops it before any change.
func TestAccCacheClearRunsWhileItsMetricIsInBreach(t *testing.T) {
	t.Parallel()
	s, prom := elastictest.Shared(t), prometheustest.Start(t)
	prom.Show("p95_latency_ms", 1850)
	for name, tt := range map[string]struct{ prometheus, status, says string }{
		"in breach":       {prom.URL, "success", "1850 is above the maximum of 500), as before the execution"},
		"Prometheus down": {"http://" + spawn.Address(t), "<nil>", "Guardrail \"latency\" can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := s.Name(t, "spike")
			fill(t, s, index)
			before, _ := sizes(t, s, index)
			w := acctest.NewWorkspace(t, append(s.Environment(s.URL()), "PROMETHEUS_URL="+tt.prometheus)...)
			w.Write("main.tf", config(index, `cache_types = ["request"]
  guardrail {
    name  = "latency"
    query = "p95_latency_ms"
    max   = 500
  }`))
			out, code := w.Run("apply", "-auto-approve", "-no-color")
			got := w.Attributes(address)
			result, _ := got["result"].(map[string]any)
			runs := tt.status == "success"
			if text := out + fmt.Sprint(result["details"]); fmt.Sprint(got["status"]) != tt.status ||
				(code == 0) != runs || !strings.Contains(text, tt.says) {
				t.Errorf("exit code %d, status %v, want %s and %q:\n%s", code, got["status"], tt.status, tt.says, text)
			}
			if after, _ := sizes(t, s, index); before == 0 || (after == 0) != runs {
				t.Errorf("the request cache had %d bytes, and has %d", before, after)
			}
		})
	}
}

// TestAccRequestsNameTheirExecution expects the identifier of the execution in the request that clears the cache, and
// in each later one.
func TestAccRequestsNameTheirExecution(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "origin")
	fill(t, s, index)
	target, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	origins, changes := map[string]bool{}, 0
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if strings.HasSuffix(r.URL.Path, "/_cache/clear") {
			changes++
		}
		if changes > 0 {
			origins[r.Header.Get("X-Opaque-Id")] = true
		}
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	w := acctest.NewWorkspace(t, s.Environment(front.URL)...)
	w.Write("main.tf", config(index, ""))
	w.Must("apply", "-auto-approve", "-no-color")
	id := fmt.Sprint(w.Attributes(address)["id"])
	if changes != 1 || len(origins) != 1 || !origins["remediation-"+id] {
		t.Errorf("%d changes; the requests name %v, and the execution is %s", changes, origins, id)
	}
}
