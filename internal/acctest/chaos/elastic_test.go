package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// reads are the Elasticsearch requests that change nothing, although they are not GET.
var reads = regexp.MustCompile(`/_(search|msearch|analyze|count|validate|field_caps|pit|mget)\b|/_reload_search_analyzers\?.*preview=true`)

// elasticChange names the change of a request.
func elasticChange(r *http.Request, _ []byte) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || reads.MatchString(r.URL.RequestURI()) {
		return ""
	}
	return r.URL.Path
}

func withoutEnd(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// behind returns the address of a server whose requests the ledger records.
func behind(t *testing.T, l *ledger, upstream string, change func(*http.Request, []byte) string) string {
	t.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(l.over(proxy, change))
	t.Cleanup(s.Close)
	return s.URL
}

func clearCache(t *testing.T) *world {
	t.Helper()
	s := elastictest.Shared(t)
	c, l := s.Cached(t, "chaos"), &ledger{}
	return &world{
		name: "clear_cache", playbook: "clear_cache", resource: "remediation_cache_clear", ledger: l,
		env:   s.Environment(behind(t, l, s.URL(), elasticChange)),
		takes: 60 * time.Millisecond, always: true, steps: 1,
		begin: func(t *testing.T, _ int) string {
			t.Helper()
			c.Fill(t)
			return fmt.Sprintf("index_name  = %q\n  cache_types = [\"fielddata\"]", c.Index)
		},
		amiss: func(t *testing.T, _ int) string { t.Helper(); return c.Amiss(t) },
	}
}
