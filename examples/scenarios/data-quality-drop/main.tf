# 1. Refresh the packages. The plan shows which versions change.
resource "remediation_dbt_deps" "packages" {
  incident_id = var.incident_id
  triggers    = var.triggers
  upgrade     = var.upgrade
}

# 2. Run the models with these packages. The plan shows them as they will be then, and one apply runs both steps.
resource "remediation_dbt_run" "models" {
  incident_id = var.incident_id
  triggers    = var.triggers
  models      = var.models
  after       = [remediation_dbt_deps.packages.preview.digest]
}

# 3. Wait for the evaluation. Only the last reading counts.
resource "remediation_metric_gate" "quality" {
  incident_id = var.incident_id
  triggers    = var.triggers
  wait        = var.wait
  after       = [remediation_dbt_run.models.preview.digest]

  guardrail {
    name          = "quality_score"
    query         = var.quality_query
    min           = var.min_quality
    initial_delay = var.wait
  }
}

# 4. Resolve the incident if the quality has recovered. Otherwise it stays open: escalate to the data team.
resource "remediation_incident_resolution" "resolve" {
  count = var.resolve ? 1 : 0

  incident_id = var.incident_id
  triggers    = var.triggers
  run_if      = remediation_metric_gate.quality.passed
}
