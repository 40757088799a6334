output "still_regresses" {
  description = "Whether the canary regressed while it was watched, so that it was rolled back."
  value       = !remediation_metric_gate.watch.passed
}

output "steps" {
  description = "What each step did."
  value = {
    contain  = remediation_canary_split.contain.result.message
    watch    = remediation_metric_gate.watch.result.message
    rollback = remediation_planner_rollback.rollback.result.message
    resolve  = one(remediation_incident_resolution.resolve[*].result.message)
  }
}
