package prometheus_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"math"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
)

// TestRealPrometheus runs the kinds of queries that guardrails use.
func TestRealPrometheus(t *testing.T) {
	t.Parallel()
	s := prometheustest.Start(t)
	s.Set("other", 1)
	s.Show("errors", 0.25)
	c := prometheus.New(s.URL+"/", "")
	for query, want := range map[string]float64{"errors": 0.25, "sum(errors)": 0.25, "scalar(errors)": 0.25,
		"vector(3)": 3, "errors / 0": math.Inf(1)} {
		if got, err := c.Query(t.Context(), query); err != nil || got != want {
			t.Errorf("%s: %g, %v", query, got, err)
		}
	}
	if got, err := c.Query(t.Context(), "0 * (errors / 0)"); err != nil || !math.IsNaN(got) {
		t.Errorf("NaN: %g, %v", got, err)
	}
	for query, want := range map[string]error{
		"no_such_metric": prometheus.ErrNoData, "errors[5m]": prometheus.ErrQuery, "errors +": prometheus.ErrQuery,
		`{__name__=~"errors|other"}`: prometheus.ErrSeveral, `"text"`: prometheus.ErrQuery,
	} {
		if got, err := c.Query(t.Context(), query); !errors.Is(err, want) {
			t.Errorf("%s: %g, %v", query, got, err)
		}
	}
}

const token = "token-of-the-test"

func TestAnswers(t *testing.T) {
	t.Parallel()
	const warned = `{"status":"success","warnings":["a store is missing"],"data":{"resultType":"scalar","result":[1,"1"]}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(warned))
	}))
	defer s.Close()
	warning := prometheus.New(s.URL, token)
	for name, tt := range map[string]struct {
		status int
		text   string
		want   error
	}{
		"warnings": {200, warned, prometheus.ErrWarnings},
		"error": {422, `{"status": "error", "errorType": "execution", "error": "too many samples"}`,
			prometheus.ErrQuery},
		"unavailable": {503, `{"status": "error", "errorType": "timeout", "error": "query timed out"}`,
			prometheus.ErrUnavailable},
		"no JSON": {200, `<html>` + token, prometheus.ErrUnavailable},
		"no number": {200, `{"status": "success", "data": {"resultType": "scalar", "result": [1, "many"]}}`,
			prometheus.ErrUnavailable},
		"not a string": {200, `{"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, 2]}]}}`,
			prometheus.ErrUnavailable},
		"no success": {200, `{"status": "error"}`, prometheus.ErrUnavailable},
		"redirect":   {302, ``, prometheus.ErrUnavailable},
		// Another service behind the address: nothing of its answer may reach a plan.
		"other service": {400, `{"error": "` + token + `", "errorType": "` + token + `"}`, prometheus.ErrQuery},
		"other format":  {200, `{"status": "success", "data": {"resultType": "` + token + `"}}`, prometheus.ErrQuery},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+token || r.URL.Query().Get("query") != "up" {
					t.Errorf("request %s with %q", r.URL, r.Header.Get("Authorization"))
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.text))
			}))
			defer s.Close()
			v, err := prometheus.New(s.URL, token).Query(t.Context(), "up")
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), token) {
				t.Errorf("%g, %v", v, err)
			}
		})
	}
	if v, err := warning.Query(t.Context(), "up", "a store is missing"); err != nil || v != 1 {
		t.Errorf("an accepted warning: %g, %v", v, err)
	}
	if _, err := warning.Query(t.Context(), "up", "another store"); !errors.Is(err, prometheus.ErrWarnings) ||
		!strings.Contains(err.Error(), "a store is missing") {
		t.Errorf("another warning is accepted: %v", err)
	}
	if _, err := prometheus.New("http://127.0.0.1:1", "").Query(t.Context(), "up"); !errors.Is(err,
		prometheus.ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
}
