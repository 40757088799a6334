# P95 latency is over budget and results are stale: clear the caches of the knowledge base.
resource "remediation_cache_clear" "knowledge_base" {
  incident_id = "INC-2042"
  index_name  = "knowledge_base"
  cache_types = ["query", "request", "fielddata"]

  # Change this to clear them again.
  triggers = { run = "1" }
}

# Clear only the field data of one field, in every index that matches a pattern.
resource "remediation_cache_clear" "tags" {
  incident_id = "INC-2042"
  index_name  = "knowledge_*"
  cache_types = ["fielddata"]
  fields      = ["tags"]
}
