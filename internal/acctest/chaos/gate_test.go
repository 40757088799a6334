package chaos_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

// metricGate reads a metric of Prometheus, and changes nothing.
func metricGate(t *testing.T) *world {
	t.Helper()
	server := prometheustest.Start(t)
	server.Show("errors", 1)
	return &world{
		name: "check_metrics", playbook: "check_metrics", resource: "remediation_metric_gate", ledger: &ledger{},
		provider: fmt.Sprintf("prometheus { url = %q }", server.URL), takes: time.Second, reads: true,
		begin: func(t *testing.T, _ int) string {
			t.Helper()
			return `wait = "1s"
  fail = true
  guardrail {
    name  = "errors"
    query = "errors"
    max   = 5
  }`
		},
		amiss: func(*testing.T, int) string { return "" },
	}
}
