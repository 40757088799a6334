# Both branches on a real planner and a real Prometheus: the bound decides which one is taken. Set
# REMEDIATION_PLANNER_FILE (or another planner), PROMETHEUS_URL, and REMEDIATION_INCIDENTS_URL.

variables {
  canary_version        = "v2"
  watch                 = "1s"
  accuracy_query        = "canary_accuracy"
  stable_accuracy_query = "stable_accuracy"
  rollback_approved_by  = "manager@example.com"
}

run "contained" {
  variables {
    incident_id      = "7"
    max_drop_percent = 50
  }

  assert {
    condition     = remediation_metric_gate.watch.passed && remediation_canary_split.contain.status == "success"
    error_message = "The canary should be contained, and within the bound."
  }

  assert {
    condition     = remediation_planner_rollback.rollback.status == "skipped"
    error_message = "The rollback should be skipped."
  }

  assert {
    condition     = remediation_incident_resolution.resolve[0].status == "success"
    error_message = "The incident should be resolved."
  }
}

run "rolled_back" {
  variables {
    incident_id      = "8"
    max_drop_percent = 10
    triggers         = { run = "2" }
  }

  assert {
    condition     = !remediation_metric_gate.watch.passed
    error_message = "The canary should be below the bound."
  }

  assert {
    condition     = remediation_planner_rollback.rollback.status == "success"
    error_message = "The canary should be rolled back."
  }
}
