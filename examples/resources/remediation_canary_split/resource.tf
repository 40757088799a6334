# A canary that does well gets more of the traffic: 10 to 25 %, in five steps over ten minutes. The share goes up, so apply
# asks who approved what the plan shows.
resource "remediation_canary_split" "canary" {
  incident_id      = "INC-2043"
  version          = "v1.2.3-canary"
  target_percent   = 25
  gradual_duration = "10m"
  steps            = 5
  approved_by      = "lead@example.com"

  # Each step is watched. A breach takes the canary back to where it was, in one step; no data holds it where it is.
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
