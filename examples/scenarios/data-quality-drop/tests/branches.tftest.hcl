# Both branches on a real dbt project and a real Prometheus: the bound decides which one is taken. Set DBT_PROJECT_DIR,
# PROMETHEUS_URL, and REMEDIATION_INCIDENTS_URL.

variables {
  models        = ["triage_results"]
  quality_query = "quality_score"
  wait          = "1s"
}

run "plan" {
  command = plan

  variables {
    incident_id = "7"
  }

  assert {
    condition     = remediation_dbt_run.models.preview.digest != remediation_dbt_deps.packages.preview.digest
    error_message = "The plan should show the models with the packages that the first step will install."
  }
}

run "recovered" {
  variables {
    incident_id = "7"
    min_quality = 90
  }

  assert {
    condition     = remediation_dbt_run.models.status == "success" && !output.escalate
    error_message = "The quality should recover."
  }

  assert {
    condition     = remediation_incident_resolution.resolve[0].status == "success"
    error_message = "The incident should be resolved."
  }
}

run "not_recovered" {
  variables {
    incident_id = "8"
    min_quality = 99
    triggers    = { run = "2" }
  }

  assert {
    condition     = remediation_dbt_run.models.status == "success" && output.escalate
    error_message = "The incident should be escalated."
  }

  assert {
    condition     = remediation_incident_resolution.resolve[0].status == "skipped"
    error_message = "The incident should stay open."
  }
}
