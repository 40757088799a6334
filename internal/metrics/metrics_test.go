package metrics_test

import (
	"context"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/metrics"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
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

// TestVersionsAreComparedAtTheSameMoment compares the time of a real Prometheus with itself. A second query at its own
// moment would have a later time.
func TestVersionsAreComparedAtTheSameMoment(t *testing.T) {
	t.Parallel()
	prom := prometheustest.Start(t)
	r := metrics.New(metrics.Sources{Clock: clock.System{}, Prometheus: prometheus.New(prom.URL, "")})
	none := 0.0
	rail := guard.Rail{Name: "time", Query: guard.Query{Prometheus: "time()"}, Stable: "time()", MaxDrop: &none,
		MaxIncrease: &none}
	for range 5 {
		got := rail.Take(t.Context(), r, nil, false)
		if got.State != guard.Passed || got.Baseline == nil || *got.Value < 1e9 || *got.Value != *got.Baseline {
			t.Errorf("reading %s", got)
		}
	}
	rail.Prometheus = "vector(time())"
	if got := rail.Take(t.Context(), r, nil, false); got.State != guard.Passed {
		t.Errorf("a vector: reading %s", got)
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

// TestSamplesThatCannotBeCountedAreNotTooFew asks a real Prometheus for the number of samples.
func TestSamplesThatCannotBeCountedAreNotTooFew(t *testing.T) {
	t.Parallel()
	prom := prometheustest.Start(t)
	prom.Show("errors", 1)
	r := metrics.New(metrics.Sources{Clock: clock.System{}, Prometheus: prometheus.New(prom.URL, "")})
	most, least := 5.0, 100.0
	for samples, tooFew := range map[string]bool{
		"vector(99)": true, "vector(0)": true, "no_such_metric": true, "sum(no_such_metric)": true,
		"vector(NaN)": false, "sum(": false, `{__name__=~".+"}`: false, "errors[1m]": false,
	} {
		rail := guard.Rail{Name: "errors", Query: guard.Query{Prometheus: "errors"}, Max: &most, Samples: samples,
			MinSamples: &least}
		got := rail.Take(t.Context(), r, nil, true)
		said := strings.Contains(got.Why, "samples, and at least 100")
		if got.State != guard.Inconclusive || got.TooFew != tooFew || said != tooFew {
			t.Errorf("%s: too few %t, %s", samples, got.TooFew, got)
		}
	}
}
