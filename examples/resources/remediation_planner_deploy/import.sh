# The identifier of an execution, as the history lists it.
terraform import remediation_planner_deploy.canary 42
