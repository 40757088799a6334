# dbt can't find a macro after somebody changed packages.yml: install the packages again.
resource "remediation_dbt_deps" "packages" {
  incident_id = "INC-2041"
}

# Run the models once the packages are installed, and again whenever they are reinstalled.
resource "remediation_dbt_run" "triage" {
  incident_id = "INC-2041"
  models      = ["triage_results"]
  triggers    = { packages = remediation_dbt_deps.packages.id }
}
