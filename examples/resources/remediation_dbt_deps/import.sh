# The identifier of an execution, as the history lists it.
terraform import remediation_dbt_deps.packages 42
