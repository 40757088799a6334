output "escalate" {
  description = "Whether neither step helped, so that somebody has to look for inefficient queries."
  value = (remediation_metric_gate.after_caches.passed ? false :
  !coalesce(remediation_metric_gate.after_synonyms.passed, false))
}

output "steps" {
  description = "What each step did."
  value = {
    caches         = remediation_cache_clear.caches.result.message
    after_caches   = remediation_metric_gate.after_caches.result.message
    synonyms       = remediation_synonyms_refresh.synonyms.result.message
    after_synonyms = remediation_metric_gate.after_synonyms.result.message
    resolve        = one(remediation_incident_resolution.resolve[*].result.message)
  }
}
