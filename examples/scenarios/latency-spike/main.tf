# 1. Clear the caches. The next queries fill them again, with a brief spike.
resource "remediation_cache_clear" "caches" {
  incident_id = var.incident_id
  triggers    = var.triggers
  index_name  = var.index_name
  cache_types = var.cache_types
}

# 2. Watch the latency. Only the last reading counts: the caches have to fill first.
resource "remediation_metric_gate" "after_caches" {
  incident_id = var.incident_id
  triggers    = var.triggers
  wait        = var.watch
  after       = [remediation_cache_clear.caches.preview.digest]

  guardrail {
    name          = "p95_latency_ms"
    query         = var.latency_query
    max           = var.max_latency_ms
    initial_delay = var.watch
  }
}

# 3. Only if that did not help: load the synonyms again, without a reindex.
resource "remediation_synonyms_refresh" "synonyms" {
  incident_id    = var.incident_id
  triggers       = var.triggers
  index_name     = var.index_name
  synonym_filter = var.synonym_filter
  run_if         = !remediation_metric_gate.after_caches.passed
  after = [
    remediation_cache_clear.caches.preview.digest,
    remediation_metric_gate.after_caches.preview.digest,
  ]
}

# 4. Watch again.
resource "remediation_metric_gate" "after_synonyms" {
  incident_id = var.incident_id
  triggers    = var.triggers
  wait        = var.watch
  run_if      = !remediation_metric_gate.after_caches.passed
  after       = [remediation_synonyms_refresh.synonyms.preview.digest]

  guardrail {
    name          = "p95_latency_ms_after_synonyms"
    query         = var.latency_query
    max           = var.max_latency_ms
    initial_delay = var.watch
  }
}

# 5. Resolve the incident if one of the two steps helped. Otherwise it stays open: look for inefficient queries.
resource "remediation_incident_resolution" "resolve" {
  count = var.resolve ? 1 : 0

  incident_id = var.incident_id
  triggers    = var.triggers
  run_if = (remediation_metric_gate.after_caches.passed ? true :
  coalesce(remediation_metric_gate.after_synonyms.passed, false))
}
