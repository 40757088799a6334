# The configuration of `make demo`: an incident in a mail triage system, with a real dbt project on DuckDB.

terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}

variable "run" {
  description = "Change this to run the models again."
  type        = string
  default     = "1"
}

variable "full_refresh" {
  description = "Rebuild the incremental models from scratch. This needs an approval."
  type        = bool
  default     = false
}

variable "approved_by" {
  description = "Who approved what the plan shows."
  type        = string
  default     = null
}

provider "remediation" {
  dbt {
    project_dir = "${path.module}/dbt"
  }

  approval {
    approvers = ["*@example.com"]
  }

  # What a model of this small project takes and costs, instead of the catalog's 300 s and USD 0.05.
  estimates {
    dbt_seconds_per_model  = 30
    dbt_cost_per_model_usd = 0.01
  }
}

# Quality dropped after a missed run: run the two models again.
resource "remediation_dbt_run" "triage" {
  incident_id  = "INC-2041"
  models       = ["inbox_emails", "triage_results"]
  full_refresh = var.full_refresh
  approved_by  = var.approved_by
  triggers     = { run = var.run }
}
