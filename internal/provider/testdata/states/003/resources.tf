resource "remediation_canary_split" "v2" {
  incident_id    = "INC-1"
  version        = "v2"
  target_percent = 5
  gradual        = false
  triggers       = { n = "1" }
  timeouts {
    create = "5m"
  }
}

resource "remediation_planner_rollback" "v2" {
  from_version = "v2"
  to_version   = "v1"
  immediate    = true
  approved_by  = "lead@example.com"
  provider     = remediation.rollback
}

resource "remediation_planner_deploy" "v3" {
  provider = remediation.deploy
  version  = "v3"
}

resource "remediation_dbt_deps" "inbox" {}

resource "remediation_dbt_run" "emails" {
  models       = ["inbox_emails"]
  full_refresh = true
  vars         = { days = 4 }
  approval {
    approved_by = "lead@example.com"
    ticket      = "CHG-1"
  }
  depends_on = [remediation_dbt_deps.inbox]
}

resource "remediation_cache_clear" "search" {
  index_name  = "remediation-test-cached-18ec27b4dcba015b"
  cache_types = ["fielddata"]
}

resource "remediation_synonyms_refresh" "search" {
  index_name     = "remediation-test-searched-18ec27b4eb0b1dbc-all"
  synonym_filter = "rules"
  probe_texts    = ["laptop"]
}

resource "remediation_canary_split" "skipped" {
  version        = "v2"
  target_percent = 1
  run_if         = false
}

resource "remediation_metric_gate" "errors" {
  incident_id = "7"
  guardrail {
    name = "errors"
    http {
      url          = "http://127.0.0.1:1/errors"
      json_pointer = "/rate"
    }
    max = 0.5
  }
}

resource "remediation_incident_resolution" "done" {
  incident_id = "7"
  notes       = "Contained."
  depends_on  = [remediation_metric_gate.errors]
}
