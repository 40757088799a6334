package resolution_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/resolution"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

const wantNotes = "Executed: rerun_dbt (models: inbox_emails). Result: Quality recovered to 95%. Duration: 12 minutes."

// ran is what the journal has about the incident of the documented example.
func ran(context.Context, string) ([]resolution.Execution, error) {
	return []resolution.Execution{
		{ActionType: "rerun_dbt", Params: json.RawMessage(`{"models":["inbox_emails"]}`), Ended: "success",
			Message: "Rebuilt 1 model", Seconds: 720},
		{ActionType: "check_metrics", Check: true, Passed: true, Ended: "success",
			Message: "Quality recovered to 95%", Seconds: 900},
	}, nil
}

// rig is a service, and what an execution journaled.
type rig struct {
	*incidenttest.Server
	action    playbook.Action
	journaled []json.RawMessage
}

func newRig(t *testing.T, shape incidenttest.Shape, inputs string) *rig {
	t.Helper()
	r := &rig{Server: incidenttest.Start(t, shape)}
	client := incidents.New(incidents.Config{URL: r.URL, Token: incidenttest.Token})
	action, err := resolution.New(client, ran).Bind(json.RawMessage(inputs))
	if err != nil {
		t.Fatal(err)
	}
	r.action = action
	return r
}

func (r *rig) job() playbook.Job {
	return playbook.Job{ID: 4, Name: "4f9c2a17-4", Checkpoint: func(ctx context.Context, step any) error {
		text, err := json.Marshal(step)
		r.journaled = append(r.journaled, text)
		return errors.Join(err, context.Cause(ctx))
	}}
}

func (r *rig) run(t *testing.T) (playbook.Report, error) {
	t.Helper()
	job := r.job()
	var err error
	if job.Preview, err = r.action.Preview(t.Context()); err != nil {
		return playbook.Report{}, err
	}
	if changes := r.Changes(); changes != nil {
		t.Fatalf("the preview sent %q", changes)
	}
	work, err := r.action.Dispatch(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return work.Wait(t.Context())
}

// sentOnce fails if a change arrived twice, or if the service was asked to execute something.
func (r *rig) sentOnce(t *testing.T) {
	t.Helper()
	times := map[string]int{}
	for _, change := range r.Changes() {
		path := strings.Fields(change)[1]
		if times[path]++; times[path] > 1 || strings.Contains(path, "actions") {
			t.Errorf("sent %d times: %s", times[path], change)
		}
	}
}

// TestResolves expects every status in turn, and that the observed service keeps the notes: they are sent with the
// resolution only, because it loses notes that are added to other notes.
func TestResolves(t *testing.T) {
	t.Parallel()
	for _, shape := range incidenttest.Shapes() {
		for from, want := range map[string]string{"open": "acknowledge, mitigate, resolve",
			"acknowledged": "mitigate, resolve", "mitigated": "resolve"} {
			t.Run(string(shape)+"/"+from, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, shape, `{"incident_id":"7"}`)
				r.Put("7", incidenttest.Incident{Status: from})
				out, err := r.run(t)
				if err != nil || out.Message != "Resolved incident 7" || out.Details["sent"] != want ||
					out.Details["notes_kept_by_service"] != "true" {
					t.Errorf("%+v, %v", out, err)
				}
				now := r.Get("7")
				if now.Status != "resolved" || now.Metadata["resolution_notes"] != wantNotes || len(now.Metadata) != 1 {
					t.Errorf("the service has %+v", now)
				}
				r.sentOnce(t)
				for _, seen := range r.Seen() {
					if seen.Method != http.MethodGet && seen.Origin != "remediation-4f9c2a17-4" {
						t.Errorf("%s does not name the execution: %q", seen, seen.Origin)
					}
				}
				if len(r.journaled) != strings.Count(want, ",")+1 {
					t.Errorf("journaled %s", r.journaled)
				}
			})
		}
	}
}

func TestLostNotesAreKeptInTheResult(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed, `{"incident_id":"7","notes":"Restarted by hand."}`)
	r.Put("7", incidenttest.Incident{Status: "acknowledged", Metadata: map[string]any{"ack_notes": "on it"}})
	out, err := r.run(t)
	if err != nil || !strings.Contains(out.Message, "did not keep the notes") ||
		out.Details["notes"] != "Restarted by hand." || out.Details["notes_kept_by_service"] != "false" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestResolvedIncidentIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"resolved", "closed"} {
		r := newRig(t, incidenttest.Observed, `{"incident_id":"7"}`)
		r.Put("7", incidenttest.Incident{Status: status})
		preview, err := r.action.Preview(t.Context())
		if err != nil || len(preview.Warnings) != 1 || !strings.Contains(preview.Warnings[0], status+" already") {
			t.Errorf("%s: warnings %q, %v", status, preview.Warnings, err)
		}
		out, err := r.run(t)
		if err != nil || !strings.Contains(out.Message, status+" already") || out.Details["notes"] != wantNotes ||
			r.Changes() != nil {
			t.Errorf("%s: %+v, sent %q, %v", status, out, r.Changes(), err)
		}
	}
}

func TestFaultsOfChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb  string
		fault incidenttest.Fault
		// want is nil if the incident is resolved anyway.
		want error
		says string
	}{
		"500 after it was made": {"resolve", incidenttest.Fault{Status: 500, After: true}, nil, ""},
		"cut after it was made": {"mitigate", incidenttest.Fault{After: true}, nil, ""},
		"half an answer":        {"resolve", incidenttest.Fault{Half: true}, nil, ""},
		"a login page after": {"mitigate", incidenttest.Fault{Status: 200, Body: "<html>", After: true},
			nil, ""},
		"500 and not made": {"mitigate", incidenttest.Fault{Status: 500}, incidents.ErrFailed,
			"failed after"},
		"cut and not made": {"mitigate", incidenttest.Fault{}, playbook.ErrUncertain, "not repeated"},
		"502 and not made": {"resolve", incidenttest.Fault{Status: 502}, playbook.ErrUncertain,
			"not repeated"},
		"429 with Retry-After": {"acknowledge", incidenttest.Fault{Status: 429, RetryAfter: "9"},
			incidents.ErrUnreachable, "Retry-After: 9"},
		"403": {"acknowledge", incidenttest.Fault{Status: 403, Body: "Forbidden"},
			incidents.ErrForbidden, "Forbidden"},
		"accepted, and nothing done": {"mitigate", incidenttest.Fault{Status: 200, Body: "{}"}, nil, "did not perform it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, incidenttest.Observed, `{"incident_id":"7"}`)
			r.Spoil(c.verb, c.fault)
			out, err := r.run(t)
			r.sentOnce(t)
			if c.want == nil && c.says == "" {
				if err != nil || r.Get("7").Status != "resolved" {
					t.Errorf("%+v, %v", out, err)
				}
				return
			}
			if !errors.Is(err, c.want) && c.want != nil || err == nil || !strings.Contains(err.Error(), c.says) ||
				out.Details["notes"] != wantNotes || !strings.Contains(out.Message, "Incident 7 is ") {
				t.Errorf("%+v, %v, want %v with %q", out, err, c.want, c.says)
			}
		})
	}
}

// TestChangeThatCanNotBeReadBack stops the service after a change that it answered with 500.
func TestChangeThatCanNotBeReadBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed, `{"incident_id":"7"}`)
	job := r.job()
	journal := job.Checkpoint
	job.Checkpoint = func(ctx context.Context, step any) error {
		r.Spoil("", incidenttest.Fault{Status: http.StatusForbidden}) // reads fail from now on
		return journal(ctx, step)
	}
	work, err := r.action.Dispatch(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.Wait(t.Context()); !errors.Is(err, playbook.ErrUncertain) {
		t.Errorf("error %v, want ErrUncertain", err)
	}
	if len(r.Changes()) != 1 {
		t.Errorf("sent %q", r.Changes())
	}
}

func TestServiceThatIsDownDoesNotStopAPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed, `{"incident_id":"7"}`)
	for name, f := range map[string]incidenttest.Fault{"403": {Status: 403}, "a login page": {Status: 200,
		Body: "<html>"},
		"half": {Half: true}} {
		r.Spoil("", f)
		preview, err := r.action.Preview(t.Context())
		if err != nil || len(preview.Warnings) != 1 || !strings.Contains(preview.Warnings[0], "Apply reads") {
			t.Errorf("%s: %q, %v", name, preview.Warnings, err)
		}
	}
}

func TestIncidentsThatTheServiceDoesNotHave(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]error{"99": incidents.ErrNotFound, "INC-7": incidents.ErrID} {
		r := newRig(t, incidenttest.Observed, fmt.Sprintf(`{"incident_id":%q}`, id))
		_, err := r.action.Preview(t.Context())
		if p := problem.Of(err, ""); !errors.Is(err, want) || strings.Join(p.Path, ".") != "incident_id" {
			t.Errorf("%s: %v at %v", id, err, p.Path)
		}
	}
}

func TestNothingExecutedIsRefused(t *testing.T) {
	t.Parallel()
	s := incidenttest.Start(t, incidenttest.Observed)
	none := func(context.Context, string) ([]resolution.Execution, error) { return nil, nil }
	action, err := resolution.New(incidents.New(incidents.Config{URL: s.URL, Token: incidenttest.Token}),
		none).Bind(json.RawMessage(`{"incident_id":"7"}`))
	if err != nil {
		t.Fatal(err)
	}
	work, err := action.Dispatch(t.Context(), playbook.Job{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "no execution for incident 7") {
		t.Errorf("error %v", err)
	}
	if len(s.Seen()) != 0 {
		t.Errorf("sent %v", s.Seen())
	}
}

// TestAdoption continues an execution whose process died around a change.
func TestAdoption(t *testing.T) {
	t.Parallel()
	r := newRig(t, incidenttest.Observed, `{"incident_id":"7"}`)
	job := r.job()
	if _, err := r.action.Adopt(t.Context(), job); !errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("not dispatched: %v", err)
	}
	job.RemoteID = "resolve_incident"
	if _, err := r.action.Adopt(t.Context(), job); !errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("nothing journaled: %v", err)
	}
	job.Progress = json.RawMessage(`{"sending":"mitigate","notes":"as written before"}`)
	if _, err := r.action.Adopt(t.Context(), job); err == nil || errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("the incident is still open: %v, want an unknown outcome", err)
	}
	r.Spoil("", incidenttest.Fault{Status: http.StatusForbidden})
	if _, err := r.action.Adopt(t.Context(), job); !errors.Is(err, playbook.ErrLater) {
		t.Errorf("the incident can't be read: %v, want ErrLater", err)
	}
	r.Repair()
	r.Put("7", incidenttest.Incident{Status: "mitigated"})
	work, err := r.action.Adopt(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	out, err := work.Wait(t.Context())
	if err != nil || r.Get("7").Metadata["resolution_notes"] != "as written before" || len(r.Changes()) != 1 {
		t.Errorf("%+v, sent %q, %v", out, r.Changes(), err)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	documented, err := ran(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	for want, all := range map[string][]resolution.Execution{
		wantNotes: documented,
		"":        {{ActionType: "resolve_incident", Ended: "failed"}, {ActionType: "check_metrics", Check: true}},
		"Executed: adjust_canary_split (target_percent: 5; version: v2), rollback_planner (from_version: v2; " +
			"failed). Result: The planner refused. Duration: 90 seconds.": {
			{ActionType: "adjust_canary_split", Params: json.RawMessage(`{"target_percent":5,"version":"v2"}`),
				Ended: "success", Message: "Moved v2 to 5%", Seconds: 60},
			{ActionType: "rollback_planner", Params: json.RawMessage(`{"from_version":"v2","restore":{"a":1}}`),
				Ended: "failed", Message: "The planner refused.", Seconds: 30},
			{ActionType: "check_metrics", Check: true, Ended: "success", Message: "accuracy is 0.7"},
		},
		"Executed: clear_cache. Result: Cleared. Duration: 3 hours.": {{ActionType: "clear_cache", Ended: "success",
			Message: "Cleared", Seconds: 10800}},
	} {
		if got := resolution.Write(all); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	many := make([]resolution.Execution, 14)
	for i := range many {
		many[i] = resolution.Execution{ActionType: fmt.Sprintf("a%d", i), Ended: "success"}
	}
	if got := resolution.Write(many); !strings.HasPrefix(got, "Executed: 4 earlier, a4, a5") {
		t.Error(got)
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	for params, path := range map[string]string{
		`{"incident_id":""}`: "incident_id", `{"incident_id":".."}`: "incident_id", `{"incident_id":"a\nb"}`: "incident_id",
		`{"incident_id":"7","notes":" "}`: "notes", `{"incident_id":"7","notes":"a\u001b[31m"}`: "notes",
		fmt.Sprintf(`{"incident_id":"7","notes":%q}`, strings.Repeat("a", 10_001)): "notes",
	} {
		err := resolution.Describe().Check(json.RawMessage(params))
		if p := problem.Of(err, ""); err == nil || strings.Join(p.Path, ".") != path {
			t.Errorf("%.60s: %v", params, err)
		}
	}
	if err := resolution.Describe().Check(json.RawMessage(`{"incident_id":"7","notes":"one\n\n two\t3"}`)); err != nil {
		t.Error(err)
	}
}
