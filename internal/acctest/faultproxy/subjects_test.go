package faultproxy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/gate"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/resolution"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
)

type named struct {
	name string
	make func(*testing.T) subject
}

// guardrailSubject tests the metric, whatever the playbook.
const guardrailSubject = "a guardrail of Prometheus"

func subjects() []named {
	return []named{
		{"clear_cache", clearCache},
		{"refresh_synonyms by a reload", func(t *testing.T) subject { return refreshSynonyms(t, "reload") }},
		{"refresh_synonyms by closing and opening",
			func(t *testing.T) subject { return refreshSynonyms(t, "close_open") }},
		{"refresh_synonyms by a reindex", func(t *testing.T) subject { return refreshSynonyms(t, "reindex") }},
		{"adjust_canary_split over the control API", func(t *testing.T) subject { return canary(overHTTP(t)) }},
		{"adjust_canary_split over the guard API", func(t *testing.T) subject { return canary(overGuard(t)) }},
		{"rollback_planner over the control API", func(t *testing.T) subject { return rollback(overHTTP(t)) }},
		{"rollback_planner over the guard API", func(t *testing.T) subject { return rollback(overGuard(t)) }},
		{"deploy_planner over the control API", func(t *testing.T) subject { return deploy(overHTTP(t)) }},
		{"deploy_planner over the guard API", func(t *testing.T) subject { return deploy(overGuard(t)) }},
		{"check_metrics", metricGate},
		{"resolve_incident", resolveIncident},
		{guardrailSubject, guarded},
	}
}

// reader reads guardrails from the Prometheus behind the proxy.
type reader struct{ url string }

// Lacks implements guard.Reader.
func (r reader) Lacks(guard.Query) string { return "" }

// Read implements guard.Reader.
func (r reader) Read(ctx context.Context, q guard.Query) (float64, error) {
	return prometheus.New(r.url, "").Query(ctx, q.Prometheus)
}

// ReadAt implements guard.PastReader.
func (r reader) ReadAt(ctx context.Context, q guard.Query, at time.Time) (float64, error) {
	return prometheus.New(r.url, "").QueryAt(ctx, q.Prometheus, at)
}

// metricGate reads a metric that Prometheus has, and passes only if it could be read.
func metricGate(t *testing.T) subject {
	t.Helper()
	server := prometheustest.Start(t)
	server.Show("errors", 1)
	p := faultproxy.Start(t, server.URL)
	most, none := 5.0, 0
	rails := []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "errors"}, Max: &most, MaxIncrease: &most,
		ErrorLimit: &none}}
	return subject{
		proxy: p, once: func(faultproxy.Seen) bool { return false }, action: "check_metrics",
		book:    func() playbook.Playbook { return gate.New(reader{p.URL}, clock.System{}) },
		metrics: reader{p.URL}, params: map[string]any{"fail": true, playbook.InputGuardrails: rails},
		begin: func(*testing.T) {}, amiss: func(*testing.T) string { return "" },
	}
}

// guarded is a shift with a guardrail. A metric that can't be read must never pass: a successful apply has read the
// metric before and after the shift.
func guarded(t *testing.T) subject {
	t.Helper()
	server := prometheustest.Start(t)
	server.Set("errors", 1)
	p := faultproxy.Start(t, server.URL)
	api := controlapi.New()
	direct := httptest.NewServer(api.Handler())
	t.Cleanup(direct.Close)
	const patience = 100
	for range patience {
		if _, err := (reader{server.URL}).Read(t.Context(), guard.Query{Prometheus: "errors"}); err == nil {
			break
		}
		time.Sleep(patience * time.Millisecond) // until Prometheus has scraped it
	}
	most, none := 5.0, 0 // fail on the first error
	return subject{
		proxy: p, once: func(faultproxy.Seen) bool { return false }, action: "adjust_canary_split",
		book:    func() playbook.Playbook { return planner.NewSplit(httpapi.New(direct.URL, ""), clock.System{}) },
		metrics: reader{p.URL}, rails: []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "errors"},
			Max: &most, ErrorLimit: &none, OnBreach: guard.Hold}},
		params: map[string]any{"version": "v2", "target_percent": 25, "gradual": false},
		begin:  func(*testing.T) { server.Set("errors", 1); api.Move(10) },
		amiss: func(*testing.T) string {
			if now := api.Now()["v2"].Percent; now != 25 {
				return fmt.Sprintf("v2 has %g %%", now)
			}
			return ""
		},
	}
}

// resolveIncident is a resolution. The service has the form and the faults that were observed.
func resolveIncident(t *testing.T) subject {
	t.Helper()
	service := incidenttest.New(incidenttest.Observed)
	p := faultproxy.Before(t, service)
	executed := func(context.Context, string) ([]resolution.Execution, error) {
		return []resolution.Execution{{ActionType: "rerun_dbt", Ended: "success", Message: "Rebuilt 1 model"}}, nil
	}
	return subject{
		proxy: p, once: isWrite, action: "resolve_incident", params: map[string]any{"incident_id": "7"},
		book: func() playbook.Playbook {
			return resolution.New(incidents.New(incidents.Config{URL: p.URL + "/api", Token: incidenttest.Token}),
				executed)
		},
		begin: func(*testing.T) { service.Put("7", incidenttest.Incident{Status: "open"}) },
		amiss: func(*testing.T) string {
			if now := service.Get("7"); now.Status != "resolved" {
				return "the incident is " + now.Status
			}
			return ""
		},
	}
}

// elasticOnce matches the Elasticsearch requests that have an effect when repeated: a copy, an alias switch, a new
// index. Other requests change nothing, or nothing the second time, and may be retried.
func elasticOnce(s faultproxy.Seen) bool {
	path, _, _ := strings.Cut(s.URI, "?")
	return s.Method == http.MethodPost && (strings.HasSuffix(path, "/_reindex") ||
		strings.HasSuffix(path, "/_aliases")) ||
		s.Method == http.MethodPut && strings.Count(path, "/") == 1
}

// cluster returns a new client of the server, through the proxy.
func cluster(s *elastictest.Server, p *faultproxy.Proxy) *elastic.Cluster {
	return elastic.New(s.At(p.URL), clock.System{})
}

func clearCache(t *testing.T) subject {
	t.Helper()
	s := elastictest.Shared(t)
	c, p := s.Cached(t, "faults"), faultproxy.Start(t, s.URL())
	return subject{
		proxy: p, once: elasticOnce, action: "clear_cache", params: map[string]any{"index_name": c.Index,
			"cache_types": []string{"fielddata"}},
		book:  func() playbook.Playbook { return cacheclear.New(cluster(s, p), clock.System{}) },
		begin: func(t *testing.T) { t.Helper(); c.Fill(t) },
		amiss: func(t *testing.T) string { t.Helper(); return c.Amiss(t) },
	}
}

func refreshSynonyms(t *testing.T, way string) subject {
	t.Helper()
	s := elastictest.WithFiles(t)
	x, n := s.Searched(t, "faults-"+way, way == "reload"), 0
	p := faultproxy.Start(t, s.URL())
	params := map[string]any{"index_name": x.Alias, "synonym_filter": "rules"}
	if way == "reindex" {
		params["reindex"], params["keep_old_index"] = true, false
	}
	return subject{
		proxy: p, once: elasticOnce, action: "refresh_synonyms", params: params,
		book: func() playbook.Playbook {
			c := cluster(s, p)
			return synonyms.New(c, reindex.New(c, clock.System{}), clock.System{})
		},
		begin: func(t *testing.T) {
			t.Helper()
			n++
			x.Rules(t, n)
		},
		amiss: func(t *testing.T) string { t.Helper(); return x.Amiss(t, n) },
	}
}
