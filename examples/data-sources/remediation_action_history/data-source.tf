data "remediation_action_history" "incident" {
  incident_id = "INC-2041"
}

output "tried" {
  value = [for r in data.remediation_action_history.incident.records : "${r.created_at} ${r.action_type}: ${r.status}"]
}
