# A canary split in a planner file, which a router would watch: from 10% to 25% in three steps.

terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}

variable "approved_by" {
  description = "Who approved what the plan shows."
  type        = string
  default     = null
}

provider "remediation" {
  planner {
    file {
      path = "planner.json"
    }
  }

  journal {
    path = "../.remediation/journal.db"
  }

  approval {
    approvers = ["*@example.com"]
  }
}

resource "remediation_canary_split" "canary" {
  incident_id      = "INC-2041"
  version          = "v1.2.3-canary"
  target_percent   = 25
  gradual_duration = "6s" # minutes, outside of a demo
  steps            = 3
  approved_by      = var.approved_by
}

output "result" {
  value = remediation_canary_split.canary.result.message
}
