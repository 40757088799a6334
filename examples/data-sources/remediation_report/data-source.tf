data "remediation_report" "incident" {
  incident_id = "INC-2041"
}

# terraform output -raw report > remediation-INC-2041.html
output "report" {
  value = data.remediation_report.incident.html
}
