# Import an execution by its identifier in the history.
terraform import remediation_incident_resolution.done 4f9c2a17-42
