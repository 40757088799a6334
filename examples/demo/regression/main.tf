# The second act of `make demo`: the canary regresses. It is contained, watched, and rolled back only if that did not
# help. Then the incident is resolved with notes about what ran. The demo itself serves the metric and the incidents.

terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}

variable "service" {
  description = "Address of the demo's own service."
  type        = string
}

variable "approved_by" {
  description = "Who approved the rollback that the plan shows."
  type        = string
  default     = null
}

provider "remediation" {
  planner {
    file {
      path = "../canary/planner.json"
    }
  }

  incidents {
    url = "${var.service}/api"
  }

  journal {
    path = "../.remediation/journal.db"
  }

  approval {
    approvers = ["*@example.com"]
  }
}

resource "remediation_canary_split" "contain" {
  incident_id    = "2041"
  version        = "v1.2.3-canary"
  target_percent = 5
  gradual        = false
}

resource "remediation_metric_gate" "watch" {
  incident_id = "2041"
  wait        = "2s" # 10 minutes, outside of a demo
  after       = [remediation_canary_split.contain.preview.digest]

  guardrail {
    name = "accuracy"
    http {
      url          = "${var.service}/metrics"
      json_pointer = "/canary_accuracy"
    }
    min = 0.85
  }
}

resource "remediation_planner_rollback" "regression" {
  incident_id  = "2041"
  from_version = "v1.2.3-canary"
  immediate    = true
  approved_by  = var.approved_by
  run_if       = !remediation_metric_gate.watch.passed
  after = [
    remediation_canary_split.contain.preview.digest,
    remediation_metric_gate.watch.preview.digest,
  ]
}

resource "remediation_incident_resolution" "resolved" {
  incident_id = "2041"
  depends_on  = [remediation_planner_rollback.regression]
}

output "result" {
  value = {
    contain  = remediation_canary_split.contain.result.message
    watch    = remediation_metric_gate.watch.result.message
    rollback = remediation_planner_rollback.regression.result.message
    resolve  = remediation_incident_resolution.resolved.result.message
  }
}
