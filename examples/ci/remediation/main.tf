# The configuration that the workflows plan and apply. The journal and all credentials come from the environment.
terraform {
  required_version = ">= 1.5"

  required_providers {
    remediation = { source = "applylens/remediation" }
  }

  # Add a remote backend: plan and apply run on different machines, and both need the state.
}

variable "forge" {
  description = "The forge with the pull request: github, gitlab, or gitea. The workflow sets it."
  type        = string
}

provider "remediation" {
  # The control API of the router. Its address and token come from REMEDIATION_PLANNER_URL and REMEDIATION_PLANNER_TOKEN.
  planner {
    http {}
  }

  approval {
    approvers = ["*@example.com"]
    aliases   = { "lead@example.com" = ["lead"] } # the login at the forge

    # An approval counts only if its approver has approved the pull request at its head commit.
    forge {
      kind = var.forge
    }
  }
}

# The canary does well: move it from 10% to 25% of the traffic. More traffic needs an approval.
resource "remediation_canary_split" "canary" {
  incident_id      = "INC-2043"
  version          = "v2"
  target_percent   = 25
  gradual_duration = "10m"
  approved_by      = "lead@example.com"
}
