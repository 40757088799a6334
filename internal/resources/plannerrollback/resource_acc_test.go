package plannerrollback_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

type version struct {
	Percent float64 `json:"percent"`
	Down    bool    `json:"down"`
}

type rig struct{ *acctest.Workspace }

const head = `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
}
`

func newRig(t *testing.T) rig {
	t.Helper()
	r := rig{acctest.NewWorkspace(t)}
	r.Write("planner.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}, "v0": {"percent": 0, "down": true}}}`)
	return r
}

func (r rig) versions(t *testing.T) map[string]version {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir, "planner.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Versions map[string]version }
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d.Versions
}

func flat(out string) string { return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ") }

func rollback(more string) string {
	return head + fmt.Sprintf("resource \"remediation_planner_rollback\" \"canary\" {\n  from_version = \"v2\"\n  "+
		"to_version = \"v1\"\n  %s\n}\n", more)
}

func deploy(more string) string {
	return head + fmt.Sprintf("resource \"remediation_planner_deploy\" \"canary\" {\n  version = \"v2\"\n  %s\n}\n",
		more)
}

func TestAccGradualRollbackAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", rollback("gradual_duration = \"2s\"\n  steps = 2\n  on_destroy = \"rollback\"\n  approved_by "+
		"= \"lead@example.com\""))
	if out := r.Must("plan", "-no-color"); !strings.Contains(out, "v2 is decommissioned at the end") ||
		!strings.Contains(out, "Traffic of stable v1: 90% to 100%") {
		t.Errorf("plan:\n%s", out)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if v := r.versions(t); !v["v2"].Down || v["v1"].Percent != 100 {
		t.Errorf("versions %v", v)
	}
	undo, _ := r.Attributes("remediation_planner_rollback.canary")["rollback_action"].(map[string]any)
	if undo["action_type"] != "deploy_planner" || undo["params"] != `{"initial_percent":10,"version":"v2"}` {
		t.Errorf("rollback_action %v", undo)
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	// The undo needs an approval too, and the first name was used for the rollback. An apply that runs nothing sets
	// another name.
	r.Write("main.tf", rollback("gradual_duration = \"2s\"\n  steps = 2\n  on_destroy = \"rollback\"\n  approved_by "+
		"= \"boss@example.com\""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Must("destroy", "-auto-approve", "-no-color")
	if v := r.versions(t); v["v2"].Down || v["v2"].Percent != 10 {
		t.Errorf("after the destroy: %v", v)
	}
}

func TestAccImmediateRollbackNeedsAnApproval(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", rollback("immediate = true"))
	if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out),
		"an immediate rollback moves all traffic from v2 to v1 at once") {
		t.Errorf("refusal:\n%s", out)
	}
	if v := r.versions(t); v["v2"].Percent != 10 {
		t.Errorf("versions %v", v)
	}
	r.Write("main.tf", rollback("immediate = true\n  approved_by = \"lead@example.com\""))
	r.Must("apply", "-auto-approve", "-no-color")
	if v := r.versions(t); !v["v2"].Down {
		t.Errorf("versions %v", v)
	}
	p, _ := r.Attributes("remediation_planner_rollback.canary")["preview"].(map[string]any)
	if p["estimated_duration_seconds"] != 30.0 || p["risk"] != "high" {
		t.Errorf("preview %v", p)
	}
}

func TestAccDeploy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("planner.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 100}, "v2": {"percent": 0, "down": true}}}`)
	r.Write("main.tf", deploy("initial_percent = 5"))
	if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out),
		"v2 gets 5% of the traffic at once") {
		t.Errorf("refusal:\n%s", out)
	}
	r.Write("main.tf", deploy("initial_percent = 5\n  approved_by = \"lead@example.com\"\n  on_destroy = \"rollback\""))
	r.Must("apply", "-auto-approve", "-no-color")
	if v := r.versions(t); v["v2"].Down || v["v2"].Percent != 5 {
		t.Errorf("versions %v", v)
	}
	r.Write("main.tf", deploy("initial_percent = 5\n  approved_by = \"boss@example.com\"\n  on_destroy = \"rollback\""))
	r.Must("apply", "-auto-approve", "-no-color") // approves the undo, and runs nothing
	r.Must("destroy", "-auto-approve", "-no-color")
	if v := r.versions(t); !v["v2"].Down || v["v2"].Percent != 0 {
		t.Errorf("after the destroy: %v", v)
	}
}

func TestAccBadInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	swap := func(from, to string) string {
		return strings.NewReplacer(`"v2"`, fmt.Sprintf("%q", from), `"v1"`, fmt.Sprintf("%q", to)).Replace(rollback(""))
	}
	for name, tt := range map[string]struct{ main, says string }{
		"same versions":      {swap("v2", "v2"), "from_version and to_version are both v2"},
		"unknown from":       {swap("v9", "v1"), "The planner knows: v0, v1, v2"},
		"unknown to":         {swap("v2", "v9"), `There is no version "v9"`},
		"to is gone":         {swap("v2", "v0"), "Version v0 is not deployed"},
		"from is the stable": {swap("v1", "v2"), "Version v1 is not a canary"},
		"no duration":        {rollback(`gradual_duration = "0s"`), "gradual_duration is 0s"},
		"deployed already":   {deploy("initial_percent = 5"), "Version v2 is deployed already"},
		"unknown deployment": {strings.Replace(deploy(""), "v2", "v9", 1), `There is no version "v9"`},
		"two planners": {strings.Replace(rollback(""), `    file`, "    http { url = \"http://localhost\" }\n    file",
			1), "The block has file and http"},
		"no planner": {strings.Replace(rollback(""), `    file { path = "planner.json" }`, "", 1),
			"The block is empty"},
		"no address": {strings.Replace(rollback(""), `file { path = "planner.json" }`,
			`http { url = "planner" }`, 1), "Invalid web address"},
	} {
		r.Write("main.tf", tt.main)
		if out := r.MustFail("plan", "-no-color"); !strings.Contains(flat(out), tt.says) {
			t.Errorf("%s: the error lacks %q:\n%s", name, tt.says, out)
		}
	}
	if v := r.versions(t); v["v2"].Percent != 10 {
		t.Errorf("versions %v", v)
	}
}

// TestAccRollbackRunsWhateverItsMetricShows rolls a canary back on a real router. Its guardrail is in breach, or its
// Prometheus is down. A rollback that does not help fails, and never gives the canary its traffic back.
func TestAccRollbackRunsWhateverItsMetricShows(t *testing.T) {
	t.Parallel()
	prom := prometheustest.Start(t)
	prom.Show("error_rate", 0.5)
	for name, tt := range map[string]struct{ prometheus, wait, status string }{
		"in breach":         {prom.URL, "", "success"},
		"Prometheus down":   {"http://" + spawn.Address(t), "", "success"},
		"it does not help":  {prom.URL, "wait = \"2s\"", "failed"},
		"no reading at end": {"http://" + spawn.Address(t), "wait = \"1s\"", "success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, r := haproxytest.Start(t), newRig(t)
			main := rollback(fmt.Sprintf("immediate = true\n  approved_by = \"lead@example.com\"\n  guardrail {\n    "+
				"name = \"errors\"\n    query = \"error_rate\"\n    max = 0.05\n    on_breach = \"rollback\"\n    "+
				"%s\n  }", tt.wait))
			r.Write("main.tf", strings.Replace(main, `file { path = "planner.json" }`, fmt.Sprintf(
				"haproxy {\n      address = %q\n      backend = \"planner\"\n      servers = "+
					"{ v1 = \"srv1\", v2 = \"srv2\" }\n    }\n  }\n  prometheus {\n    url = %q", proxy.Socket,
				tt.prometheus), 1))
			out, code := r.Run("apply", "-auto-approve", "-no-color")
			status := r.Attributes("remediation_planner_rollback.canary")["status"]
			if (code == 0) != (tt.status == "success") || status != tt.status {
				t.Errorf("exit code %d, status %v:\n%s", code, status, out)
			}
			const maintenance = "admin 1 weight 0" // SRV_ADMF_FMAINT
			if got := proxy.Configured(t); !strings.Contains(got, "srv2 "+maintenance) {
				t.Errorf("the canary is still in rotation:\n%s", got)
			}
		})
	}
}
