# Import an execution by its identifier in the history.
terraform import remediation_cache_clear.knowledge_base 4f9c2a17-42
