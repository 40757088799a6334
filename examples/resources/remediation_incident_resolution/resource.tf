# The canary is contained, and the incident is resolved with notes about it, such as "Executed: adjust_canary_split
# (target_percent: 5; version: v1.2.3-canary). Result: ...".
resource "remediation_canary_split" "contain" {
  incident_id    = "7"
  version        = "v1.2.3-canary"
  target_percent = 5
}

resource "remediation_incident_resolution" "done" {
  incident_id = "7"
  depends_on  = [remediation_canary_split.contain]
}
