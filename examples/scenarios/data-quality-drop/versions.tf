terraform {
  required_providers {
    remediation = {
      source = "applylens/remediation"
    }
  }
}
