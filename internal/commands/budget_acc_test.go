package commands_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

// The budgets of a plan with 20 executions, in bytes.
const (
	planBudget   = 50_000
	reviewBudget = 15_000
)

// twenty returns a configuration with 20 executions of all kinds of playbooks, and the environment that it needs.
func twenty(t *testing.T) (config string, env []string) {
	t.Helper()
	server, project := elastictest.WithFiles(t), acctest.NewProject(t)
	prometheus, incidents := prometheustest.Start(t), incidenttest.Start(t, incidenttest.Observed)
	prometheus.Show("error_rate", 0.5)
	project.Run()
	var b strings.Builder
	b.WriteString(head(approvers + "\n  prometheus { url = \"" + prometheus.URL + "\" }"))
	add := func(kind, name, arguments string, after ...string) {
		for i, address := range after {
			after[i] = "remediation_" + address + ".preview.digest"
		}
		if after != nil {
			arguments += "\n  after = [" + strings.Join(after, ", ") + "]"
		}
		fmt.Fprintf(&b, "resource \"remediation_%s\" %q {\n  %s\n}\n", kind, name, arguments)
	}
	add("dbt_deps", "packages", `incident_id = "INC-7"`)
	for i := range 6 {
		add("cache_clear", fmt.Sprintf("kb%d", i), fmt.Sprintf("index_name = %q",
			server.Cached(t, fmt.Sprintf("twenty%d", i)).Index))
	}
	add("synonyms_refresh", "kb", fmt.Sprintf("index_name = %q\n  synonym_filter = \"rules\"\n  "+
		"probe_texts = [\"notebook\"]", server.Searched(t, "synonyms", true).Alias))
	add("dbt_run", "emails", "models = [\"triage_daily\"]\n  upstream = true", "dbt_deps.packages")
	add("canary_split", "down", "version = \"v2\"\n  target_percent = 5\n  gradual = false")
	add("planner_rollback", "back", "from_version = \"v2\"\n  immediate = true\n  approved_by = \"lead@example.com\"",
		"canary_split.down")
	add("planner_deploy", "next", "version = \"v2\"\n  initial_percent = 1", "canary_split.down",
		"planner_rollback.back")
	for i, wait := range []string{"", `wait = "10m"`, "fail = true", `wait = "1h"`, `wait = "5m"`} {
		add("metric_gate", fmt.Sprintf("gate%d", i), wait+"\n  guardrail {\n    name  = \"errors\"\n    query = "+
			"\"error_rate\"\n    max   = "+fmt.Sprintf("0.%d", i+4)+"\n  }")
	}
	for i := 7; i < 10; i++ {
		id := strconv.Itoa(i)
		incidents.Put(id, incidenttest.Incident{Status: "open", Severity: "sev1", Summary: "Triage is late"})
		add("incident_resolution", "incident"+id, fmt.Sprintf("incident_id = %q", id))
	}
	env = append(server.Environment(server.URL()), project.Environment()...)
	return b.String(), append(env, "REMEDIATION_INCIDENTS_URL="+incidents.URL,
		"REMEDIATION_INCIDENTS_TOKEN="+incidenttest.Token)
}

// TestAccTwentyExecutions plans 20 executions: the text and the review stay within their budgets, and another plan ten
// minutes later, on unchanged targets, says the same in every byte.
func TestAccTwentyExecutions(t *testing.T) {
	t.Parallel()
	folder, err := acctest.Build("./internal/acctest/later")
	if err != nil {
		t.Fatal(err)
	}
	config, env := twenty(t)
	r := rig{Workspace: acctest.NewWorkspaceOf(t, folder, append(env, "REMEDIATION_TEST_AHEAD=0s")...), t: t,
		binary: filepath.Join(acctest.Provider(t), "terraform-provider-remediation")}
	r.Write("planner.json", `{"revision": 1, "stable": "v1",
		"versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`)
	r.Write("main.tf", config)
	first := r.Must("plan", "-no-color", "-parallelism=1", "-out=saved")
	firstJSON := r.Must("show", "-json", "saved")
	if n := len(r.usual(first)); !strings.Contains(first, "Plan: 20 to add") || n >= planBudget {
		t.Errorf("the plan has %d bytes, the limit is %d:\n%s", n, planBudget, r.usual(first))
	}
	r.Write("plan.json", r.usual(firstJSON))
	review := r.ok("review", "plan.json")
	if n := strings.Count(review, "<details>"); len(review) >= reviewBudget || n != 20 {
		t.Errorf("the review has %d bytes and %d dry runs, the limit is %d:\n%s", len(review), n, reviewBudget, review)
	}
	r.Environment("REMEDIATION_TEST_AHEAD=10m")
	second := r.Must("plan", "-no-color", "-parallelism=1", "-out=saved")
	if first != second {
		t.Errorf("ten minutes later, the plan says:\n%s\ninstead of:\n%s", second, first)
	}
	if was, now := withoutTime(t, firstJSON), withoutTime(t, r.Must("show", "-json", "saved")); was != now {
		t.Errorf("ten minutes later, the saved plan has:\n%s\ninstead of:\n%s", now, was)
	}
}

// usual shortens names of the tests to the length of names in practice.
func (r rig) usual(text string) string {
	text = regexp.MustCompile(`remediation-test-(\w+?)-[0-9a-f]{16}`).ReplaceAllString(text, "$1")
	return regexp.MustCompile(`/[^\s"]*?/TestAcc\w+/\d+`).ReplaceAllString(text, "/srv/remediation")
}

// withoutTime returns the JSON of a saved plan without what differs between two plans that are the same.
func withoutTime(t *testing.T, plan string) string {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(plan), &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "timestamp")
	delete(all, "relevant_attributes") // Terraform lists them in any order
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
