# Watch the latency for 5 minutes.
resource "remediation_metric_gate" "latency" {
  incident_id = "INC-2042"
  wait        = "5m"

  guardrail {
    name  = "p95_latency_ms"
    query = "histogram_quantile(0.95, sum(rate(search_duration_seconds_bucket[1m])) by (le)) * 1000"
    max   = 500
  }
}

# If that did not help, do the next thing. Whether it runs is decided at apply; otherwise it is recorded as skipped.
resource "remediation_planner_rollback" "canary" {
  incident_id  = "INC-2042"
  from_version = "v1.2.3-canary"
  run_if       = !remediation_metric_gate.latency.passed
}
