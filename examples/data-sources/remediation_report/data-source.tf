data "remediation_report" "incident" {
  incident_id = "INC-2041"
}

resource "local_file" "report" {
  filename = "remediation-INC-2041.html"
  content  = data.remediation_report.incident.html
}
