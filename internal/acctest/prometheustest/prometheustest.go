// Package prometheustest runs a real Prometheus that scrapes a small exporter.
package prometheustest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
	"github.com/applylens/terraform-provider-remediation/internal/metrics/prometheus"
)

// scrape is how often Start's Prometheus reads the exporter, and so how old a value can be.
const scrape = 200 * time.Millisecond

// Exporter serves gauges in the text format of Prometheus.
type Exporter struct {
	mu     sync.Mutex
	gauges map[string]float64
	// once are the values of the next scrape alone.
	once map[string]float64
}

// Set sets a gauge.
func (e *Exporter) Set(name string, v float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gauges[name] = v
}

// Once sets a gauge for the next scrape alone.
func (e *Exporter) Once(name string, v float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.once[name] = v
}

// ServeHTTP implements http.Handler.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gauges := maps.Clone(e.gauges)
	maps.Copy(gauges, e.once)
	clear(e.once)
	for _, name := range slices.Sorted(maps.Keys(gauges)) {
		_, _ = fmt.Fprintf(w, "# TYPE %s gauge\n%s %g\n", name, name, gauges[name])
	}
}

// Server is a running Prometheus with its exporter.
type Server struct {
	URL string
	*Exporter
	t testing.TB
}

// Start starts a Prometheus. It fails the test if there is none.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartEvery(t, scrape)
}

// StartEvery starts a Prometheus with another interval between two scrapes.
func StartEvery(t testing.TB, scrape time.Duration) *Server {
	t.Helper()
	exporter := &Exporter{gauges: map[string]float64{}, once: map[string]float64{}}
	scraped := httptest.NewServer(exporter)
	t.Cleanup(scraped.Close)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: %s}\nscrape_configs:\n- job_name: exporter\n  static_configs: "+
		"[{targets: [%q]}]\n",
		scrape, strings.TrimPrefix(scraped.URL, "http://"))
	const private = 0o600
	if err := os.WriteFile(config, []byte(text), private); err != nil {
		t.Fatal(err)
	}
	address := spawn.Address(t)
	s := &Server{URL: "http://" + address, Exporter: exporter, t: t}
	up := func() bool {
		v, err := prometheus.New(s.URL, "").Query(t.Context(), "max(up)")
		return err == nil && v == 1
	}
	spawn.Start(t, up, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address)
	return s
}

// Show sets a gauge and waits until Prometheus has it.
func (s *Server) Show(name string, v float64) {
	s.t.Helper()
	s.Set(name, v)
	const within, poll = 30 * time.Second, 50 * time.Millisecond
	client := prometheus.New(s.URL, "")
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(poll) {
		if got, err := client.Query(s.t.Context(), name); err == nil && got == v {
			return
		}
	}
	s.t.Fatalf("Prometheus does not show %s as %g", name, v)
}
