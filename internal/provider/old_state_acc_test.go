package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

// statesFolder has a state of each schema that was committed, one per folder, with the configuration that made it.
const statesFolder = "testdata/states"

// nowhere is an address at which nothing listens.
const nowhere = "http://127.0.0.1:1"

// anywhere is a provider block whose systems don't exist: a plan with nothing to do opens none of them.
const anywhere = `
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
provider "remediation" {
  dbt { executable = "/nonexistent/dbt" }
  elasticsearch { endpoints = ["http://127.0.0.1:1"] }
  incidents { url = "http://127.0.0.1:1/api" }
}
provider "remediation" {
  alias = "deploy"
  planner {
    file { path = "deploy.json" }
  }
}
provider "remediation" {
  alias = "rollback"
  planner {
    file { path = "rollback.json" }
  }
}
`

// TestAccOldStatesPlanNothing plans with the state of each older schema. An upgrade of the provider plans no change,
// and neither does a state that lacks every attribute that was null: an older schema may not have had it.
func TestAccOldStatesPlanNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("REMEDIATION_WRITE_STATE") != "" {
		writeState(t)
	}
	for _, folder := range stateFolders(t) {
		for name, change := range map[string]func(attributes map[string]any){
			"as it was": func(map[string]any) {},
			"without what is null": func(attributes map[string]any) {
				maps.DeleteFunc(attributes, func(_ string, v any) bool { return v == nil })
			},
		} {
			t.Run(filepath.Base(folder)+" "+name, func(t *testing.T) {
				t.Parallel()
				w := acctest.NewWorkspace(t)
				w.Write("main.tf", anywhere)
				w.Write("planner.json", splitFile)
				w.Write("resources.tf", read(t, filepath.Join(folder, "resources.tf")))
				w.Write("terraform.tfstate", withAttributes(t, read(t, filepath.Join(folder, "state.json")), change))
				if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
					t.Errorf("exit code %d, want a plan with nothing to do:\n%s", code, out)
				}
			})
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // test data
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withAttributes changes the attributes of every resource in a state.
func withAttributes(t *testing.T, text string, change func(map[string]any)) string {
	t.Helper()
	type instance map[string]json.RawMessage
	var state map[string]json.RawMessage
	var resources []map[string]json.RawMessage
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	encode := func(v any) json.RawMessage {
		text, err := json.MarshalIndent(v, "", "  ")
		must(err)
		return text
	}
	must(json.Unmarshal([]byte(text), &state))
	must(json.Unmarshal(state["resources"], &resources))
	for _, r := range resources {
		var instances []instance
		must(json.Unmarshal(r["instances"], &instances))
		for _, i := range instances {
			var attributes map[string]any
			must(json.Unmarshal(i["attributes"], &attributes))
			change(attributes)
			i["attributes"] = encode(attributes)
		}
		r["instances"] = encode(instances)
	}
	state["resources"] = encode(resources)
	return string(encode(state)) + "\n"
}

// writeState applies one resource of each kind and keeps the state as the newest fixture.
func writeState(t *testing.T) {
	t.Helper()
	on := elastictest.Shared(t)
	cached, searched := on.Cached(t, "cached"), on.Searched(t, "searched", true)
	project := acctest.NewProject(t)
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"rate": 0.1}`))
	}))
	t.Cleanup(metrics.Close)
	service := incidenttest.Start(t, incidenttest.Specified)
	resources := fmt.Sprintf(`resource "remediation_canary_split" "v2" {
  incident_id    = "INC-1"
  version        = "v2"
  target_percent = 5
  gradual        = false
  triggers       = { n = "1" }
  timeouts {
    create = "5m"
  }
}

resource "remediation_planner_rollback" "v2" {
  from_version = "v2"
  to_version   = "v1"
  immediate    = true
  approved_by  = "lead@example.com"
  provider     = remediation.rollback
}

resource "remediation_planner_deploy" "v3" {
  provider = remediation.deploy
  version  = "v3"
}

resource "remediation_dbt_deps" "inbox" {}

resource "remediation_dbt_run" "emails" {
  models       = ["inbox_emails"]
  full_refresh = true
  vars         = { days = 4 }
  approval {
    approved_by = "lead@example.com"
    ticket      = "CHG-1"
  }
  depends_on = [remediation_dbt_deps.inbox]
}

resource "remediation_cache_clear" "search" {
  index_name  = %q
  cache_types = ["fielddata"]
}

resource "remediation_synonyms_refresh" "search" {
  index_name     = %q
  synonym_filter = "rules"
  probe_texts    = ["laptop"]
}

resource "remediation_canary_split" "skipped" {
  version        = "v2"
  target_percent = 1
  run_if         = false
}

resource "remediation_metric_gate" "errors" {
  incident_id = "7"
  guardrail {
    name = "errors"
    http {
      url          = "%s/errors"
      json_pointer = "/rate"
    }
    max = 0.5
  }
}

resource "remediation_incident_resolution" "done" {
  incident_id = "7"
  notes       = "Contained."
  depends_on  = [remediation_metric_gate.errors]
}
`, cached.Index, searched.Alias, nowhere)
	w := acctest.NewWorkspace(t, slices.Concat(project.Environment(), on.Environment(on.URL()),
		[]string{"REMEDIATION_INCIDENTS_URL=" + service.URL, "REMEDIATION_INCIDENTS_TOKEN=" + incidenttest.Token})...)
	w.Write("planner.json", splitFile)
	w.Write("rollback.json", splitFile)
	w.Write("deploy.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 100},
		"v3": {"percent": 0}}}`)
	w.Write("resources.tf", strings.ReplaceAll(resources, nowhere, metrics.URL))
	w.Write("main.tf", strings.NewReplacer("dbt { executable = \"/nonexistent/dbt\" }", "",
		"elasticsearch { endpoints = [\""+nowhere+"\"] }", "",
		"incidents { url = \""+nowhere+"/api\" }", "").Replace(anywhere))
	w.Must("apply", "-auto-approve", "-no-color")
	before, err := filepath.Glob(filepath.Join(statesFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(statesFolder, fmt.Sprintf("%03d", len(before)+1))
	state := strings.NewReplacer(w.Dir, "/workspace", project.Dir, "/project", filepath.Dir(project.Warehouse),
		"/warehouse", acctest.DBT(t), "/usr/bin/dbt", metrics.URL, nowhere, strings.TrimSuffix(service.URL, "/api"),
		nowhere).Replace(read(t, filepath.Join(w.Dir, "terraform.tfstate")))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"resources.tf": resources, "state.json": state,
		"schema.txt": schemas(t)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
