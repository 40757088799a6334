package notify_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/notify"
)

// noticed are notices of every event, with messages as the engine writes them.
func noticed() map[engine.Event]engine.Notice {
	began := engine.Notice{At: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC), Execution: "4f9c2a17-12",
		Playbook: "adjust_canary_split", Target: "planner:http:planner.example.com", Incident: "7", Status: "pending",
		Digest:  "sha256:52097f51eb6207ce8d4945a72e7cc527ffeeaeb09c5bc545690484fc9a6d39ed",
		Message: "Will move v2 from 25% to 5% of the traffic."}
	ended := func(status, message string) engine.Notice {
		n := began
		n.Status, n.Message, n.LogsURL = status, message, "https://logs.example.com/12/execution.log"
		return n
	}
	refused := began
	refused.Execution, refused.Status = "", "dry_run_failed"
	refused.Message = "Will move v2 from 25% to 40% of the traffic: an approval is needed from *@example.com."
	return map[engine.Event]engine.Notice{
		engine.EventStart:   began,
		engine.EventSuccess: ended("success", "v2 has 5% of the traffic"),
		engine.EventFailure: ended("failed", "The control API fails: status 502: <html>Bad Gateway & more</html>"),
		engine.EventRollback: ended("failed", "Guardrail errors was breached: 0.5 is above the maximum of 0.05. The "+
			"change was rolled back."),
		engine.EventHold: ended("cancelled", "Guardrail errors was breached: 0.5 is above the maximum of 0.05."),
		engine.EventPastEstimate: ended("running", "Execution 12 of adjust_canary_split has run for more than 20 min, "+
			"twice its estimate. It continues until 2026-03-02T03:00:00Z. Look at its log, and escalate to the team "+
			"that owns the system."),
		engine.EventEscalation:     ended("failed", "3 executions for incident 7 in a row did not succeed."),
		engine.EventApprovalNeeded: refused,
	}
}

// TestBodyOfEachEvent compares what a webhook gets with golden files, one per format.
func TestBodyOfEachEvent(t *testing.T) {
	t.Parallel()
	for _, format := range []notify.Format{notify.JSON, notify.Slack} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			var all strings.Builder
			for _, event := range engine.Events() {
				n, ok := noticed()[event]
				if !ok {
					t.Errorf("no notice of %s", event)
				}
				n.Event = event
				fmt.Fprintf(&all, "# %s\n%s\n\n", event, sent(t, format, n))
			}
			acctest.Golden(t, string(format)+".txt", all.String())
		})
	}
}

// TestBadVerdictIsNoSuccess sends the end of a gate whose metric is out of bounds: the gate itself has succeeded.
func TestBadVerdictIsNoSuccess(t *testing.T) {
	t.Parallel()
	n := noticed()[engine.EventSuccess]
	n.Event, n.Check, n.Playbook, n.Target = engine.EventSuccess, true, "check_metrics", "metrics:accuracy"
	n.Message = "Failed: accuracy: 0.5 is below the minimum of 0.8"
	const want = `"Checked: check_metrics on metrics:accuracy (incident 7)\nFailed: `
	if body := sent(t, notify.Slack, n); !strings.Contains(body, want) {
		t.Error(body)
	}
}

// sent returns the body of the one request that a notice makes, indented.
func sent(t *testing.T, format notify.Format, n engine.Notice) string {
	t.Helper()
	hook := listen(t, 200)
	s := notify.New(clock.System{}, nil, []notify.Webhook{{URL: hook.URL, Format: format}})
	s.Notify(t.Context(), n)
	s.Flush(t.Context())
	if len(hook.got()) != 1 {
		t.Fatalf("%d requests", len(hook.got()))
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(json.RawMessage(hook.got()[0])); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
