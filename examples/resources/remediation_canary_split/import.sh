# Import an execution by its identifier in the history.
terraform import remediation_canary_split.canary 4f9c2a17-42
