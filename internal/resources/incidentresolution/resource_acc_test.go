package incidentresolution_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

const address = "remediation_incident_resolution.done"

type rig struct {
	*acctest.Workspace
	*incidenttest.Server
}

func newRig(t *testing.T, shape incidenttest.Shape) rig {
	t.Helper()
	s := incidenttest.Start(t, shape)
	r := rig{acctest.NewWorkspace(t, "REMEDIATION_INCIDENTS_URL="+s.URL,
		"REMEDIATION_INCIDENTS_TOKEN="+incidenttest.Token), s}
	r.Write("planner.json", `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 75}, "v2": {"percent": 25}}}`)
	return r
}

// config contains the canary, and resolves the incident; more is put into the resolution.
func config(incident, more string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
}

resource "remediation_canary_split" "contain" {
  incident_id    = %[1]q
  version        = "v2"
  target_percent = 5
  gradual        = false
}

resource "remediation_incident_resolution" "done" {
  incident_id = %[1]q
  %[2]s
  depends_on  = [remediation_canary_split.contain]
}
`, incident, more)
}

func flat(out string) string { return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ") }

func (r rig) detail(name string) string {
	result, _ := r.Attributes(address)["result"].(map[string]any)
	details, _ := result["details"].(map[string]any)
	return fmt.Sprint(details[name])
}

// golden compares the resource's part of a plan with a golden file.
func (r rig) golden(t *testing.T, out string) {
	t.Helper()
	_, out, _ = strings.Cut(out, "# "+address)
	out = strings.ReplaceAll(out, strings.TrimPrefix(r.URL, "http://"), "SERVICE/api")
	for pattern, with := range map[string]string{`sha256:[0-9a-f]{64}`: "sha256:...", `"[0-9a-f]{64}"`: `"..."`,
		`As of \d\d:\d\d`: "As of 14:03"} {
		out = regexp.MustCompile(pattern).ReplaceAllString(out, with)
	}
	acctest.Golden(t, "first_run.txt", out)
}

// TestAccResolvesWithNotes plans with reads only, and applies a remediation with the resolution that follows it.
func TestAccResolvesWithNotes(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed)
	r.Write("main.tf", config("7", ""))
	r.golden(t, r.Must("plan", "-no-color"))
	if changes := r.Changes(); changes != nil {
		t.Errorf("plan sent %q", changes)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	now := r.Get("7")
	const want = "Executed: adjust_canary_split (gradual: false; target_percent: 5; version: v2). Result: v2 has 5% " +
		"of the traffic"
	if notes := fmt.Sprint(now.Metadata["resolution_notes"]); now.Status != "resolved" || !strings.HasPrefix(notes,
		want) ||
		!strings.Contains(notes, "Duration: 0 seconds.") {
		t.Errorf("the service has %+v", now)
	}
	if n := len(r.Changes()); n != 3 || r.detail("sent") != "acknowledge, mitigate, resolve" {
		t.Errorf("%d changes, sent %s", n, r.detail("sent"))
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
}

// TestAccServiceThatIsDownBlocksNoRemediation stops the service before the plan.
func TestAccServiceThatIsDownBlocksNoRemediation(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed)
	r.Spoil("", incidenttest.Fault{Status: 503, Body: "down"})
	r.Write("main.tf", config("7", ""))
	if out := flat(r.Must("plan", "-no-color")); !strings.Contains(out, "Apply reads the incident before") {
		t.Errorf("the plan has no warning:\n%s", out)
	}
	out := flat(r.MustFail("apply", "-auto-approve", "-no-color"))
	if status := r.Attributes("remediation_canary_split.contain")["status"]; status != "success" {
		t.Errorf("the remediation is %v", status)
	}
	if !strings.Contains(out, "The incident service returned a server error") || r.Changes() != nil {
		t.Errorf("sent %q:\n%s", r.Changes(), out)
	}
	r.Repair()
	r.Must("apply", "-auto-approve", "-no-color")
	if now := r.Get("7"); now.Status != "resolved" || len(r.Changes()) != 3 {
		t.Errorf("the service has %+v after %q", now, r.Changes())
	}
}

func TestAccIncidentThatTheServiceDoesNotHave(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed)
	for incident, want := range map[string]string{"99": "does not know incident 99",
		"INC-7": `does not accept the identifier "INC-7"`} {
		r.Write("main.tf", config(incident, ""))
		if out := flat(r.MustFail("plan", "-no-color")); !strings.Contains(out, want) ||
			!strings.Contains(out, "incident_id = ") {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
}

// TestAccLostNotesAreKept resolves an incident whose metadata is not empty: the observed service loses the notes then.
func TestAccLostNotesAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed)
	r.Put("7", incidenttest.Incident{Status: "mitigated", Metadata: map[string]any{"ack_notes": "looking"}})
	r.Write("main.tf", config("7", `notes = "Canary contained at 5%."`))
	out := r.Must("apply", "-auto-approve", "-no-color")
	if got := r.detail("notes"); got != "Canary contained at 5%." || r.detail("notes_kept_by_service") != "false" {
		t.Errorf("result.details has the notes %q\n%s", got, out)
	}
}
