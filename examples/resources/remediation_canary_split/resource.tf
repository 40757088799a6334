# The canary does well: move it from 10% to 25% of the traffic, in five steps over ten minutes. More traffic needs an approval.
resource "remediation_canary_split" "canary" {
  incident_id      = "INC-2043"
  version          = "v1.2.3-canary"
  target_percent   = 25
  gradual_duration = "10m"
  steps            = 5
  approved_by      = "lead@example.com"

  # Guardrails watch each step. A breach restores the previous share in one step. Without data, the canary stays at its current step.
  guardrail {
    name      = "error_rate"
    query     = "sum(rate(planner_errors_total[1m])) / sum(rate(planner_requests_total[1m]))"
    max       = 0.05
    on_breach = "rollback"
  }

  guardrail {
    name             = "accuracy"
    query            = "avg(planner_accuracy)"
    max_drop_percent = 10
    wait             = "5m"
    on_breach        = "rollback"
  }

  on_destroy = "rollback"
}
