# The canary regresses: move its traffic to the stable version, in five steps over fifteen minutes.
resource "remediation_planner_rollback" "regression" {
  incident_id  = "INC-2044"
  from_version = "v1.2.3-canary"
  to_version   = "v1.2.2"
}

# Customers are affected: roll back immediately. This needs an approval.
resource "remediation_planner_rollback" "sev1" {
  incident_id  = "INC-2045"
  from_version = "v1.2.3-canary"
  to_version   = "v1.2.2"
  immediate    = true
  approved_by  = "lead@example.com"
}
