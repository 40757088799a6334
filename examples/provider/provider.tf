terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}

# Everything has a default: with dbt on the PATH and the project in the working directory, an empty block is enough.
provider "remediation" {
  dbt {
    project_dir = "dbt"
  }

  journal {
    path = ".remediation/journal.db"
  }

  approval {
    approvers = ["*@example.com"]
  }
}
