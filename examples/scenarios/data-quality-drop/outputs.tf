output "escalate" {
  description = "Whether the quality has not recovered, so that the data team has to look."
  value       = !remediation_metric_gate.quality.passed
}

output "steps" {
  description = "What each step did."
  value = {
    packages = remediation_dbt_deps.packages.result.message
    models   = remediation_dbt_run.models.result.message
    quality  = remediation_metric_gate.quality.result.message
    resolve  = one(remediation_incident_resolution.resolve[*].result.message)
  }
}
