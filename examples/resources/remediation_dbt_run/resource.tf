# Quality dropped after a missed run: run two models again.
resource "remediation_dbt_run" "triage" {
  incident_id = "INC-2041"
  models      = ["inbox_emails", "triage_results"]

  # Change this to run them again.
  triggers = { run = "1" }
}

# A full refresh rebuilds tables from scratch, so it needs an approval.
resource "remediation_dbt_run" "rebuild" {
  incident_id  = "INC-2041"
  models       = ["triage_results"]
  upstream     = true
  full_refresh = true
  approved_by  = "lead@example.com"

  timeouts {
    create = "1h"
  }
}
