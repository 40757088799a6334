# The identifier of an execution, as the history lists it.
terraform import remediation_synonyms_refresh.knowledge_base 42
