package incident_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

// shown is the data source as an output.
type shown struct {
	Status     *string          `json:"status"`
	Severity   *string          `json:"severity"`
	Actions    []map[string]any `json:"actions"`
	History    []map[string]any `json:"service_history"`
	Executions []map[string]any `json:"executions"`
	Problems   []string         `json:"problems"`
}

func config(service string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  incidents { url = %q }
}

resource "remediation_canary_split" "contain" {
  incident_id    = "7"
  version        = "v2"
  target_percent = 5
  gradual        = false
}

data "remediation_incident" "it" {
  incident_id = "7"
  depends_on  = [remediation_canary_split.contain]
}

output "incident" { value = data.remediation_incident.it }
`, service)
}

func apply(t *testing.T, w *acctest.Workspace) (shown, string) {
	t.Helper()
	out := w.Must("apply", "-auto-approve", "-no-color")
	var s shown
	if err := json.Unmarshal([]byte(w.Must("output", "-json", "incident")), &s); err != nil {
		t.Fatal(err)
	}
	return s, out
}

// TestAccIncidentWithTheJournal reads everything, then everything but the service's history, then nothing of the
// service.
func TestAccIncidentWithTheJournal(t *testing.T) {
	t.Parallel()
	for _, shape := range incidenttest.Shapes() {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			service, w := incidenttest.Start(t, shape), acctest.NewWorkspace(t)
			w.Write("planner.json",
				`{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 75}, "v2": {"percent": 25}}}`)
			w.Write("main.tf", config(service.URL))
			s, _ := apply(t, w)
			if s.Status == nil || *s.Status != "open" || *s.Severity != "sev2" || len(s.Problems) != 0 {
				t.Errorf("incident: %+v", s)
			}
			if len(s.Actions) != 1 || s.Actions[0]["action_type"] != "rerun_dbt" ||
				s.Actions[0]["params"] != `{"models":["inbox_emails"]}` {
				t.Errorf("actions: %v", s.Actions)
			}
			if len(s.History) != 1 || s.History[0]["id"] != "2" ||
				s.History[0]["approved_by"] != "engineer@example.com" {
				t.Errorf("the service's history: %v", s.History)
			}
			if len(s.Executions) != 1 || s.Executions[0]["action_type"] != "adjust_canary_split" ||
				s.Executions[0]["status"] != "success" {
				t.Errorf("executions: %v", s.Executions)
			}

			service.Spoil("history", incidenttest.Fault{Status: 500, Body: "Internal Server Error", Type: "text/plain"})
			s, out := apply(t, w)
			if s.Status == nil || s.History != nil || len(s.Problems) != 1 ||
				!strings.Contains(s.Problems[0], "The service's history could not be read") ||
				!strings.Contains(out, "is incomplete") {
				t.Errorf("a broken history: %+v\n%s", s, out)
			}

			service.Spoil("", incidenttest.Fault{Status: 503})
			s, _ = apply(t, w)
			if s.Status != nil || s.Actions != nil || len(s.Executions) != 1 || len(s.Problems) != 1 {
				t.Errorf("a service that is down: %+v", s)
			}
			if changes := service.Changes(); changes != nil {
				t.Errorf("sent %q", changes)
			}
		})
	}
}
