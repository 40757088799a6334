package faultproxy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/canarysplit"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
	"github.com/applylens/terraform-provider-remediation/internal/target/prometheus"
)

type named struct {
	name string
	make func(*testing.T) subject
}

func subjects() []named {
	return []named{
		{"clear_cache", clearCache},
		{"refresh_synonyms by a reload", func(t *testing.T) subject { return refreshSynonyms(t, "reload") }},
		{"refresh_synonyms by closing and opening", func(t *testing.T) subject { return refreshSynonyms(t, "close_open") }},
		{"refresh_synonyms by a reindex", func(t *testing.T) subject { return refreshSynonyms(t, "reindex") }},
		{"adjust_canary_split over the control API", func(t *testing.T) subject { return canary(overHTTP(t)) }},
		{"adjust_canary_split over the guard API", func(t *testing.T) subject { return canary(overGuard(t)) }},
		{"rollback_planner over the control API", func(t *testing.T) subject { return rollback(overHTTP(t)) }},
		{"rollback_planner over the guard API", func(t *testing.T) subject { return rollback(overGuard(t)) }},
		{"deploy_planner over the control API", func(t *testing.T) subject { return deploy(overHTTP(t)) }},
		{"deploy_planner over the guard API", func(t *testing.T) subject { return deploy(overGuard(t)) }},
		{"a guardrail of Prometheus", guarded},
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

// guarded is a shift under a guardrail. What can't be read must never pass: an apply that succeeds has read the metric before the
// shift and after it.
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
		time.Sleep(patience * time.Millisecond) // until it has been scraped
	}
	most := 5.0
	return subject{
		proxy: p, once: func(faultproxy.Seen) bool { return false }, action: "adjust_canary_split",
		book:    func() playbook.Playbook { return canarysplit.New(httpapi.New(direct.URL, ""), clock.System{}) },
		metrics: reader{p.URL}, rails: []guard.Rail{{Name: "errors", Query: guard.Query{Prometheus: "errors"}, Max: &most, OnBreach: guard.Hold}},
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

// elasticOnce tells the requests of Elasticsearch's of which a second one does something: a copy, a switch of aliases, a new index.
// Others change nothing, or nothing the second time, and may be sent again.
func elasticOnce(s faultproxy.Seen) bool {
	path, _, _ := strings.Cut(s.URI, "?")
	return s.Method == http.MethodPost && (strings.HasSuffix(path, "/_reindex") || strings.HasSuffix(path, "/_aliases")) ||
		s.Method == http.MethodPut && strings.Count(path, "/") == 1
}

// cluster is a new client of the server, through the proxy.
func cluster(s *elastictest.Server, p *faultproxy.Proxy) *elastic.Cluster {
	return elastic.New(s.At(p.URL), clock.System{})
}

func clearCache(t *testing.T) subject {
	t.Helper()
	s := elastictest.Shared(t)
	index := s.Name(t, "faults")
	s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0},"mappings":{"properties":{"text":{"type":"text","fielddata":true}}}}`, nil)
	s.Do(t, http.MethodPost, "/"+index+"/_doc?refresh=true", `{"text":"late mail is late"}`, nil)
	p := faultproxy.Start(t, s.URL())
	return subject{
		proxy: p, once: elasticOnce, action: "clear_cache", params: map[string]any{"index_name": index, "cache_types": []string{"fielddata"}},
		book: func() playbook.Playbook { return cacheclear.New(cluster(s, p)) },
		begin: func(t *testing.T) {
			t.Helper()
			s.Do(t, http.MethodPost, "/"+index+"/_search?size=0&request_cache=false", `{"aggs":{"words":{"terms":{"field":"text"}}}}`, nil)
		},
		amiss: func(t *testing.T) string {
			t.Helper()
			var now struct {
				All struct {
					Total struct {
						Fielddata struct {
							Bytes int64 `json:"memory_size_in_bytes"`
						} `json:"fielddata"`
					} `json:"total"`
				} `json:"_all"`
			}
			s.Do(t, http.MethodGet, "/"+index+"/_stats/fielddata", nil, &now)
			if n := now.All.Total.Fielddata.Bytes; n != 0 {
				return fmt.Sprintf("the cache holds %d bytes", n)
			}
			return ""
		},
	}
}

func refreshSynonyms(t *testing.T, way string) subject {
	t.Helper()
	s := elastictest.WithFiles(t)
	base, n := s.Name(t, "faults-"+way), 0
	file := "analysis/" + base + ".txt"
	rules := func(t *testing.T) {
		t.Helper()
		n++
		const mode = 0o644
		if err := os.WriteFile(filepath.Join(s.Home, file), fmt.Appendf(nil, "laptop, notebook%d\n", n), mode); err != nil { //nolint:gosec // the server reads it
			t.Fatal(err)
		}
	}
	rules(t)
	filter := map[string]any{"type": "synonym_graph", "synonyms_path": file}
	if way == "reload" {
		filter["updateable"] = true
	}
	alias := base + "-all"
	s.Do(t, http.MethodPut, "/"+base+"-1", map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
			"filter":   map[string]any{"rules": filter},
			"analyzer": map[string]any{"syn": map[string]any{"tokenizer": "standard", "filter": []string{"lowercase", "rules"}}},
		}},
		"mappings": map[string]any{"properties": map[string]any{"t": map[string]any{"type": "text", "analyzer": "standard", "search_analyzer": "syn"}}},
		"aliases":  map[string]any{alias: map[string]any{}},
	}, nil)
	s.Do(t, http.MethodPost, "/"+base+"-1/_doc/1?refresh=true", `{"t":"a fine laptop"}`, nil)
	p := faultproxy.Start(t, s.URL())
	params := map[string]any{"index_name": alias, "synonym_filter": "rules"}
	if way == "reindex" {
		params["reindex"], params["keep_old_index"] = true, false
	}
	return subject{
		proxy: p, once: elasticOnce, action: "refresh_synonyms", params: params, begin: rules,
		book: func() playbook.Playbook {
			c := cluster(s, p)
			return synonyms.New(c, reindex.New(c, clock.System{}), clock.System{})
		},
		amiss: func(t *testing.T) string {
			t.Helper()
			return serves(t, s, alias, fmt.Sprintf("notebook%d", n))
		},
	}
}

// serves says what is wrong with an alias that should stand for one open, writable index on which the word finds the document.
func serves(t *testing.T, s *elastictest.Server, alias, word string) string {
	t.Helper()
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	body := fmt.Sprintf(`{"size":0,"query":{"match":{"t":%q}}}`, word)
	if _, err := s.Call(ctx, http.MethodPost, "/"+alias+"/_search?request_cache=true", body, &answer); err != nil {
		return fmt.Sprintf("it can't be searched: %v", err)
	}
	if answer.Hits.Total.Value != 1 {
		return fmt.Sprintf("%q finds %d documents", word, answer.Hits.Total.Value)
	}
	if _, err := s.Call(ctx, http.MethodPut, "/"+alias+"/_doc/1?refresh=true", `{"t":"a fine laptop"}`, nil); err != nil {
		return fmt.Sprintf("it can't be written: %v", err)
	}
	return ""
}
