package dbtdeps_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

// chain refreshes the packages, then rebuilds a model that calls a macro of the package, and the package's own models.
// The two arguments are added to the two steps.
const chain = `
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

resource "remediation_dbt_deps" "packages" {
  incident_id = "INC-2041"
  upgrade     = true
  %s
}

resource "remediation_dbt_run" "models" {
  incident_id  = "INC-2041"
  models       = ["triage_results", "package:triage_utils"]
  full_refresh = true
  approved_by  = "manager@example.com"
  after        = [remediation_dbt_deps.packages.preview.digest]
  %s
}
`

// beside previews the second step with the data source, and compares.
const beside = `
data "remediation_preview" "models" {
  action_type = "rerun_dbt"
  params      = jsonencode({ models = ["triage_results", "package:triage_utils"], full_refresh = true })
  approved_by = "manager@example.com"
  after       = [local.packages]
}

locals {
  packages = remediation_dbt_deps.packages.preview.digest
}

output "differ" {
  value = join(",", [for k in ["target", "command", "digest", "risk", "affected", "approval_required",
    "approval_reasons", "rollback_available", "identity", "content", "undo"] :
    k if jsonencode(remediation_dbt_run.models.preview[k]) != jsonencode(data.remediation_preview.models[k])])
}
`

// newChained makes a project whose package has a newer version than the one that is installed: the macro of the package
// differs, and it has the model new_queues instead of old_queues.
func newChained(t *testing.T) (*acctest.Project, *acctest.Package) {
	t.Helper()
	project := acctest.NewProject(t)
	utils := project.NewPackage()
	project.Run()
	utils.Commit(5, "new_queues")
	return project, utils
}

// shown replaces what differs between runs. How long Terraform reads a data source is in front of the plan.
func shown(out string, replaced ...string) string {
	out = out[max(0, strings.Index(out, "Terraform used the selected providers")):]
	out = strings.NewReplacer(replaced...).Replace(out)
	for _, p := range [][2]string{
		{`sha256:[0-9a-f]{64}`, "sha256:..."}, {`"[0-9a-f]{64}"`, `"..."`}, {`shown=[0-9a-f]{8}`, "shown=..."},
		{`As of \d\d:\d\d`, "As of 03:00"}, {`[0-9a-f]{40}`, "COMMIT"}, {`dbt 1\.\d+\.\d+`, "dbt 1.11.0"},
		{`"1\.\d+\.\d+"`, `"1.11.0"`},
	} {
		out = regexp.MustCompile(p[0]).ReplaceAllString(out, p[1])
	}
	return out
}

// TestAccDependenciesThenModelsInOneApply refreshes packages that really change, and rebuilds models with them.
func TestAccDependenciesThenModelsInOneApply(t *testing.T) {
	t.Parallel()
	c, _ := newChained(t)
	w := acctest.NewWorkspace(t, c.Environment()...)
	w.Write("main.tf", fmt.Sprintf(chain, "", "")+beside)
	before := packages(t, c.Dir)
	out := w.Must("plan", "-no-color", "-out=p")
	acctest.Golden(t, "chain.txt", shown(out, c.Dir, "PROJECT", c.Warehouse, "WAREHOUSE", w.Dir, "WORK"))
	if packages(t, c.Dir) != before {
		t.Error("the plan changed the project")
	}
	left, err := filepath.Glob(filepath.Join(w.Dir, ".remediation", "dbt", "scratch", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("the plan left %q, %v", left, err)
	}
	w.Must("apply", "-no-color", "p")
	if got := c.Queues(); got != "5" {
		t.Errorf("the table has %s queues", got)
	}
	for _, address := range []string{"remediation_dbt_deps.packages", "remediation_dbt_run.models"} {
		if got := w.Attributes(address)["status"]; got != "success" {
			t.Errorf("%s is %v", address, got)
		}
	}
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
}

// TestAccDependenciesThatMove changes packages between plan and apply: nothing is built with what nobody reviewed.
func TestAccDependenciesThatMove(t *testing.T) {
	t.Parallel()
	c, utils := newChained(t)
	w := acctest.NewWorkspace(t, c.Environment()...)
	w.Write("main.tf", fmt.Sprintf(chain, "", ""))
	before := packages(t, c.Dir)
	w.Must("plan", "-no-color", "-out=p")
	utils.Commit(7, "newest_queues")
	out := flat(w.MustFail("apply", "-no-color", "p"))
	if !strings.Contains(out, "versions.triage_utils: was") || strings.Contains(out, "bug in the provider") {
		t.Errorf("the refusal does not name the package:\n%s", out)
	}
	if packages(t, c.Dir) != before || c.Queues() != "3" {
		t.Error("packages were installed, or models built")
	}

	// The packages are as reviewed, and what calls them is not.
	w.Must("plan", "-no-color", "-out=p")
	c.Write("models/triage_results.sql", "{{ config(materialized='table') }}\nselect 1 as id, 2 as queue\n")
	out = flat(w.MustFail("apply", "-no-color", "p"))
	if !strings.Contains(out, "content.nodes.model.inbox.triage_results: was") || c.Queues() != "3" {
		t.Errorf("models that nobody reviewed:\n%s", out)
	}
	w.Must("apply", "-no-color", "-auto-approve") // a second run shows, approves and runs it
}

// TestAccPackagesOutOfReach plans while the host of the packages can't be reached.
func TestAccPackagesOutOfReach(t *testing.T) {
	t.Parallel()
	c, utils := newChained(t)
	away := utils.Dir + "-away"
	hide := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	w := acctest.NewWorkspace(t, c.Environment()...)
	// The newest versions can't be looked up.
	w.Write("main.tf", fmt.Sprintf(chain, "", ""))
	hide(utils.Dir, away)
	out := flat(w.MustFail("plan", "-no-color"))
	for _, want := range []string{"dbt can't resolve or fetch the packages", utils.Dir, "can be reached"} {
		if !strings.Contains(out, want) {
			t.Errorf("the error lacks %q:\n%s", want, out)
		}
	}
	// The lock file says which versions, but they can't be fetched: the models are shown in a second run.
	hide(away, utils.Dir)
	c.Deps("--lock", "--upgrade")
	w.Write("main.tf", strings.Replace(fmt.Sprintf(chain, "", ""), "upgrade     = true", "", 1))
	hide(utils.Dir, away)
	out = flat(w.Must("plan", "-no-color", "-out=p"))
	for _, want := range []string{"It can't be previewed now: it comes after refresh_dbt_dependencies",
		"The packages can't be installed in a copy of the project", "dbt can't resolve or fetch the packages",
		"previewed during apply"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	hide(away, utils.Dir)
	out = flat(w.MustFail("apply", "-no-color", "p"))
	if !strings.Contains(out, "rerun_dbt needs an approval") || c.Queues() != "3" {
		t.Errorf("an approval of what nobody saw:\n%s", out)
	}
	w.Must("apply", "-no-color", "-auto-approve")
	if got := c.Queues(); got != "5" {
		t.Errorf("the table has %s queues", got)
	}
}

// conditional adds two gates, by which the steps are decided during apply.
func conditional(prometheus, first, second string) string {
	return fmt.Sprintf(chain, first, second) + fmt.Sprintf(`
provider "remediation" {
  prometheus { url = %q }
}

resource "remediation_metric_gate" "packages" {
  guardrail {
    name  = "packages"
    query = "packages"
    max   = 1
  }
}

resource "remediation_metric_gate" "models" {
  guardrail {
    name  = "models"
    query = "models"
    max   = 1
  }
}
`, prometheus)
}

// TestAccDependenciesThatMayBeSkipped decides during apply whether the steps run.
func TestAccDependenciesThatMayBeSkipped(t *testing.T) {
	t.Parallel()
	const first, second = "run_if = !remediation_metric_gate.packages.passed",
		"run_if = !remediation_metric_gate.models.passed"
	const ahead = "what refresh_dbt_dependencies will leave"
	for name, tt := range map[string]struct {
		packages, models float64
		second           string
		// plan and apply are what they say; apply is empty where it succeeds. built is how many queues there are then.
		plan, apply, built string
	}{
		"the first is skipped": {0, 2, second, ahead, "An earlier step of rerun_dbt has not run", "3"},
		"the second always runs": {2, 0, "", "it comes after refresh_dbt_dependencies, which may be skipped",
			"rerun_dbt needs an approval", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := newChained(t)
			prom := prometheustest.Start(t)
			prom.Show("packages", tt.packages)
			prom.Show("models", tt.models)
			w := acctest.NewWorkspace(t, c.Environment()...)
			w.Write("main.tf", conditional(prom.URL, first, tt.second))
			if out := flat(w.Must("plan", "-no-color", "-out=p")); !strings.Contains(out, tt.plan) {
				t.Errorf("the plan lacks %q:\n%s", tt.plan, out)
			}
			out, code := w.Run("apply", "-no-color", "p")
			if (code == 0) != (tt.apply == "") || !strings.Contains(flat(out), tt.apply) ||
				strings.Contains(out, "bug in the provider") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			if got := c.Queues(); got != tt.built {
				t.Errorf("the table has %s queues", got)
			}
		})
	}
}
