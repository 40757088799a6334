# 1. Cut the canary to a small share. This needs no approval: it takes traffic away.
resource "remediation_canary_split" "contain" {
  incident_id    = var.incident_id
  triggers       = var.triggers
  version        = var.canary_version
  target_percent = var.contain_percent
  gradual        = false
}

# 2. Watch it. The stable version at the same moment is the measure.
resource "remediation_metric_gate" "watch" {
  incident_id = var.incident_id
  triggers    = var.triggers
  wait        = var.watch
  after       = [remediation_canary_split.contain.preview.digest]

  guardrail {
    name             = "accuracy"
    query            = var.accuracy_query
    stable_query     = var.stable_accuracy_query
    max_drop_percent = var.max_drop_percent
  }
}

# 3. Only if it still regresses: roll it back at once. The plan shows this step, and a manager approves it there.
resource "remediation_planner_rollback" "rollback" {
  incident_id  = var.incident_id
  triggers     = var.triggers
  from_version = var.canary_version
  immediate    = true
  approved_by  = var.rollback_approved_by
  run_if       = !remediation_metric_gate.watch.passed
  after = [
    remediation_canary_split.contain.preview.digest,
    remediation_metric_gate.watch.preview.digest,
  ]
}

# 4. Resolve the incident, with notes about what ran.
resource "remediation_incident_resolution" "resolve" {
  count = var.resolve ? 1 : 0

  incident_id = var.incident_id
  triggers    = var.triggers
  depends_on  = [remediation_planner_rollback.rollback]
}
