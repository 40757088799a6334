package incidentresolution_test

import (
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

// sentOnce fails if the service received a change twice, or was asked to run something.
func (r rig) sentOnce(t *testing.T) {
	t.Helper()
	times := map[string]int{}
	for _, change := range r.Changes() {
		path := strings.Fields(change)[1]
		if times[path]++; times[path] > 1 || strings.Contains(path, "actions") {
			t.Errorf("sent %d times: %s", times[path], change)
		}
	}
}

// TestAccServiceStopsInTheMiddle stops the service with one of the three changes, which it has made or not. The apply
// reports that it can't know, the next one sends nothing, and only new triggers continue.
func TestAccServiceStopsInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"acknowledge", "mitigate", "resolve"} {
		for name, made := range map[string]bool{"made": true, "lost": false} {
			t.Run(verb+" "+name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, incidenttest.Specified)
				r.Spoil(verb, incidenttest.Fault{After: made, Stop: true})
				r.Write("main.tf", config("7", ""))
				out := flat(r.MustFail("apply", "-auto-approve", "-no-color"))
				if !strings.Contains(out, "It is not known whether incident 7 was changed by \""+verb+"\"") ||
					!strings.Contains(out, "was sent once and is not repeated") {
					t.Errorf("the apply does not say so:\n%s", out)
				}
				if got := r.Attributes(address)["status"]; got != "unknown" {
					t.Errorf("status %v", got)
				}
				sent := len(r.Changes())
				r.Repair()
				if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); len(r.Changes()) != sent ||
					!strings.Contains(out, "change triggers to run it again") {
					t.Errorf("the next apply sent %q:\n%s", r.Changes()[sent:], out)
				}
				r.sentOnce(t)
				r.Write("main.tf", config("7", `triggers = { run = "2" }`))
				r.Must("apply", "-auto-approve", "-no-color")
				if now := r.Get("7"); now.Status != "resolved" {
					t.Errorf("the service has %+v", now)
				}
				if made {
					r.sentOnce(t) // what was made is seen, and not sent again under the new triggers either
				}
			})
		}
	}
}

// TestAccBadAnswers resolves an incident at a service that answers badly to one change.
func TestAccBadAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verb  string
		fault incidenttest.Fault
		// says is the error. Empty: the apply reads back that the change was made, and continues.
		says string
	}{
		"500 after acting":  {"resolve", incidenttest.Fault{Status: 500, Body: "Internal Server Error", After: true}, ""},
		"half an answer":    {"mitigate", incidenttest.Fault{Half: true}, ""},
		"HTML after acting": {"mitigate", incidenttest.Fault{Status: 200, Body: "<html>", Type: "text/html", After: true}, ""},
		"HTML instead": {"acknowledge", incidenttest.Fault{Status: 200, Body: "<html>", Type: "text/html"},
			"was sent once and is not repeated"},
		"429": {"mitigate", incidenttest.Fault{Status: 429, RetryAfter: "3600"}, "Retry-After: 3600"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, incidenttest.Specified)
			r.Spoil(tt.verb, tt.fault)
			r.Write("main.tf", config("7", ""))
			out, code := r.Run("apply", "-auto-approve", "-no-color")
			if (code == 0) != (tt.says == "") || !strings.Contains(flat(out), tt.says) {
				t.Errorf("exit code %d, want %q:\n%s", code, tt.says, out)
			}
			r.sentOnce(t)
			if tt.says != "" {
				r.Repair()
				r.Write("main.tf", config("7", `triggers = { run = "2" }`))
				r.Must("apply", "-auto-approve", "-no-color")
			}
			if now := r.Get("7"); now.Status != "resolved" || now.Metadata["resolution_notes"] == nil {
				t.Errorf("the service has %+v", now)
			}
		})
	}
}

// TestAccIncidentThatNeedsNothing covers an incident that is resolved already, and one for which nothing was executed.
func TestAccIncidentThatNeedsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Specified)
	r.Put("8", incidenttest.Incident{Status: "resolved"})
	r.Put("9", incidenttest.Incident{Status: "open"})
	r.Write("main.tf", config("8", ""))
	if out := flat(r.Must("plan", "-no-color")); !strings.Contains(out,
		"The incident is resolved already. Apply sends nothing") {
		t.Errorf("the plan lacks the warning:\n%s", out)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	foreign := strings.Replace(config("8", ""), "incident_id = \"8\"\n  \n", "incident_id = \"9\"\n", 1)
	r.Write("main.tf", foreign)
	if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out,
		"no execution for incident 9") {
		t.Errorf("an incident of somebody else:\n%s", out)
	}
	if r.Changes() != nil {
		t.Errorf("sent %q", r.Changes())
	}
}
