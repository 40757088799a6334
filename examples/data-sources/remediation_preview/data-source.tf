data "remediation_preview" "triage" {
  action_type = "rerun_dbt"
  params = jsonencode({
    models = ["inbox_emails", "triage_results"]
  })
}

output "dry_run" {
  value = data.remediation_preview.triage.dry_run
}
