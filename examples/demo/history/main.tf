# Reads the journal of the demo: what was tried for the incident, by whom, and with what result.

terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}

provider "remediation" {
  journal {
    path = "../.remediation/journal.db"
  }
}

data "remediation_action_history" "incident" {
  incident_id = "INC-2041"
  dry_runs    = false
}

output "history" {
  value = join("\n", concat(
    [format("%-4s %-20s %-10s %-18s %-8s %s", "id", "started", "status", "approved by", "seconds", "result")],
    [for r in data.remediation_action_history.incident.records : format("%-4d %-20s %-10s %-18s %-8.1f %s",
      r.id, r.created_at, r.status, r.approved_by == null ? "-" : r.approved_by,
    r.result.actual_duration_seconds, split("\n", r.result.message)[0])],
  ))
}
