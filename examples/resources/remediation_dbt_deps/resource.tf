# A macro is not found after somebody changed packages.yml: install the packages anew.
resource "remediation_dbt_deps" "packages" {
  incident_id = "INC-2041"
}

# Run the models once the packages are there, and again whenever they were installed anew.
resource "remediation_dbt_run" "triage" {
  incident_id = "INC-2041"
  models      = ["triage_results"]
  triggers    = { packages = remediation_dbt_deps.packages.id }
}
