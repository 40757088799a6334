# The identifier of an execution, as the history lists it.
terraform import remediation_cache_clear.knowledge_base 42
