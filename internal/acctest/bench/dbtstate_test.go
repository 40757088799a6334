package bench_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// stateOfDBTRun is how many bytes of state a dbt run of five models may take after its first execution.
const stateOfDBTRun = 5000

// TestAccStateOfADBTRunStaysSmall counts the bytes of state of a dbt run of five models, in the file as Terraform
// writes it. The path of the warehouse counts as long as one in practice.
func TestAccStateOfADBTRunStaysSmall(t *testing.T) {
	t.Parallel()
	project := acctest.NewProject(t)
	models := []string{"inbox_emails", "triage_results", "triage_daily", "triage_weekly", "triage_monthly"}
	for _, name := range models[3:] {
		project.Write("models/"+name+".sql", "select queue, count(*) as emails from {{ ref('triage_results') }} "+
			"group by 1\n")
	}
	w := acctest.NewWorkspace(t, project.Environment()...)
	first := stateAfter(t, w, requires("remediation")+withLogs+fmt.Sprintf(
		"resource \"remediation_dbt_run\" \"x\" {\n  models = [%s]\n}\n", `"`+strings.Join(models, `", "`)+`"`))
	state := read(t, w, "terraform.tfstate")
	const usual = "/srv/analytics/warehouse.duckdb"
	first += strings.Count(state, project.Warehouse) * (len(usual) - len(project.Warehouse))
	small(t, "the first execution", first, stateOfDBTRun)
	if strings.Contains(state, "success in") {
		t.Errorf("state lists models that succeeded, which the journal has:\n%s", state)
	}
}
