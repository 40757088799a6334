package metrics_test

import (
	"context"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/metrics"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	r := metrics.New(metrics.Sources{Clock: clock.System{}, Search: func(_ context.Context, index,
		_ string) (int64, int64, error) {
		return 12, int64(len(index)), nil
	}})
	for measure, want := range map[string]float64{guard.MeasureTook: 12, guard.MeasureHits: 4} {
		q := guard.Query{Search: &guard.Search{Index: "logs", Measure: measure}}
		if got, err := r.Read(t.Context(), q); err != nil || got != want || r.Lacks(q) != "" {
			t.Errorf("%s: %g, %v", measure, got, err)
		}
	}
}

func TestMissingSources(t *testing.T) {
	t.Parallel()
	r := metrics.New(metrics.Sources{Clock: clock.System{}, Hosts: access.Hosts{"a.example.com"}})
	for lack, q := range map[string]guard.Query{
		"PROMETHEUS_URL is not set":          {Prometheus: "up"},
		"ELASTICSEARCH_ENDPOINTS is not set": {Search: &guard.Search{Index: "a"}},
		"not among the hosts":                {HTTP: &guard.HTTP{URL: "http://b.example.com/metric"}},
		"169.254.169.254 is a link-local":    {HTTP: &guard.HTTP{URL: "http://169.254.169.254/latest"}},
	} {
		if got := r.Lacks(q); !strings.Contains(got, lack) {
			t.Errorf("%q: lacks %q", lack, got)
		}
		if _, err := r.Read(t.Context(), q); err == nil {
			t.Errorf("%q: read all the same", lack)
		}
	}
}
