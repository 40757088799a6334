package provider_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// TestAccLifecycle goes through a resource's life with Terraform's own test framework: what is known at plan, what each
// change does, and what an import brings back.
func TestAccLifecycle(t *testing.T) {
	t.Parallel()
	const address = "remediation_dbt_run.triage"
	project := acctest.NewProject(t)
	journal := filepath.Join(t.TempDir(), "journal.db")
	config := func(more string) string {
		return fmt.Sprintf(`
provider "remediation" {
  dbt {
    executable   = %q
    project_dir  = %q
    profiles_dir = %q
  }
  journal { path = %q }
}

resource "remediation_dbt_run" "triage" {
  models = ["inbox_emails"]
  %s
}
`, acctest.DBT(t), project.Dir, project.Dir, journal, more)
	}
	value := tfjsonpath.New[string]
	executions := func(n int64) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, value("status"), knownvalue.StringExact("success")),
			statecheck.ExpectKnownValue(address, value("history"), knownvalue.ListSizeExact(int(n))),
		}
	}
	plan := func(checks ...plancheck.PlanCheck) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: checks,
			PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"remediation": providerserver.NewProtocol6WithError(provider.New("test")()),
		},
		Steps: []resource.TestStep{
			{
				Config: config(""), ConfigStateChecks: executions(1),
				ConfigPlanChecks: plan(
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate),
					plancheck.ExpectKnownValue(address, value("preview").AtMapKey("selected_models"),
						knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("inbox_emails")})),
					plancheck.ExpectKnownValue(address, value("dry_run"),
						knownvalue.StringRegexp(regexp.MustCompile(`^1st execution of rerun_dbt`))),
					plancheck.ExpectUnknownValue(address, value("result")),
					plancheck.ExpectUnknownValue(address, value("history")),
				),
			},
			{
				Config: config(`approved_by = "lead@example.com"`), ConfigStateChecks: executions(1),
				ConfigPlanChecks: plan(
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, value("history"), knownvalue.ListSizeExact(1)),
				),
			},
			{
				Config: config(`triggers = { run = "2" }`), ConfigStateChecks: executions(2),
				ConfigPlanChecks: plan(
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(address, value("dry_run"),
						knownvalue.StringRegexp(regexp.MustCompile(
							`(?s)^2nd execution .*Last +execution [0-9a-f]{8}-\d+ succeeded at `))),
				),
			},
			{
				ResourceName: address, ImportState: true, ImportStateVerify: true,
				ImportStateIdFunc: func(s *terraform.State) (string, error) {
					return s.RootModule().Resources[address].Primary.ID, nil
				},
				// The history belongs to the request. The text shows the timeouts, which an execution doesn't store.
				ImportStateVerifyIgnore: []string{"dry_run"},
			},
		},
	})
}
