# Deploy a version that the planner knows. Traffic from the start (initial_percent) would need an approval.
resource "remediation_planner_deploy" "canary" {
  incident_id = "INC-2046"
  version     = "v1.2.4-canary"

  on_destroy  = "rollback"
  approved_by = "lead@example.com"
}
