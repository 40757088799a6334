# The identifier of an execution, as the history lists it.
terraform import remediation_canary_split.canary 42
