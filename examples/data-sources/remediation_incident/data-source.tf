# An incident, the actions that the incident service offers for it, and what was executed for it.
data "remediation_incident" "current" {
  incident_id = "7"
}

output "incident" {
  value = {
    summary   = data.remediation_incident.current.summary
    status    = data.remediation_incident.current.status
    offered   = [for a in coalesce(data.remediation_incident.current.actions, []) : a.action_type]
    executed  = [for e in data.remediation_incident.current.executions : "${e.action_type}: ${e.message}"]
    not_known = data.remediation_incident.current.problems
  }
}
