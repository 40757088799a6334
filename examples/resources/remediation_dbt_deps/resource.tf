# dbt can't find a macro after somebody changed packages.yml: install the packages again.
resource "remediation_dbt_deps" "packages" {
  incident_id = "INC-2041"
}

# Run the models with these packages. The plan shows both steps, and one apply runs them.
resource "remediation_dbt_run" "triage" {
  incident_id = "INC-2041"
  models      = ["triage_results"]
  after       = [remediation_dbt_deps.packages.preview.digest]
}
