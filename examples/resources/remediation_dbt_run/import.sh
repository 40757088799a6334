# Import an execution by its identifier in the history.
terraform import remediation_dbt_run.triage 4f9c2a17-42
