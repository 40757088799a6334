# Both branches on a real Elasticsearch and a real Prometheus: the bound decides which one is taken. Set
# ELASTICSEARCH_ENDPOINTS, PROMETHEUS_URL, REMEDIATION_INCIDENTS_URL, and TF_VAR_index_name.

variables {
  synonym_filter = "rules"
  latency_query  = "p95_latency_ms"
  watch          = "1s"
}

run "caches_helped" {
  variables {
    incident_id    = "7"
    max_latency_ms = 5000
  }

  assert {
    condition     = remediation_cache_clear.caches.status == "success" && !output.escalate
    error_message = "Clearing the caches should help."
  }

  assert {
    condition = (remediation_synonyms_refresh.synonyms.status == "skipped" &&
    remediation_metric_gate.after_synonyms.status == "skipped")
    error_message = "The second step should be skipped."
  }

  assert {
    condition     = remediation_incident_resolution.resolve[0].status == "success"
    error_message = "The incident should be resolved."
  }
}

run "nothing_helped" {
  variables {
    incident_id    = "8"
    max_latency_ms = 500
    triggers       = { run = "2" }
  }

  assert {
    condition     = remediation_synonyms_refresh.synonyms.status == "success" && output.escalate
    error_message = "The synonyms should be loaded, and the incident escalated."
  }

  assert {
    condition     = remediation_incident_resolution.resolve[0].status == "skipped"
    error_message = "The incident should stay open."
  }
}
