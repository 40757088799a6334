package incidents_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

func start(t *testing.T, shape incidenttest.Shape) (*incidenttest.Server, *incidents.Client) {
	t.Helper()
	s := incidenttest.Start(t, shape)
	return s, incidents.New(incidents.Config{URL: s.URL, Token: incidenttest.Token})
}

func TestReadsBothShapes(t *testing.T) {
	t.Parallel()
	for _, shape := range incidenttest.Shapes() {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			s, c := start(t, shape)
			s.Put("8", incidenttest.Incident{Status: "resolved", Metadata: map[string]any{"resolution_notes": "done"}})
			i, err := c.Incident(t.Context(), "7")
			if err != nil || i.ID != "7" || i.Status != incidents.Open || i.Severity != "sev2" ||
				i.Summary != "Quality dropped to 78%" || i.ResolutionNotes() != "" {
				t.Errorf("incident 7: %+v, %v", i, err)
			}
			if i, err := c.Incident(t.Context(), "8"); err != nil || i.ResolutionNotes() != "done" {
				t.Errorf("incident 8: %+v, %v", i, err)
			}
			actions, err := c.Actions(t.Context(), "7")
			if err != nil || len(actions) != 1 || actions[0].ActionType != "rerun_dbt" || actions[0].RequiresApproval {
				t.Errorf("actions: %+v, %v", actions, err)
			}
			history, err := c.History(t.Context(), "7")
			if err != nil || len(history) != 1 || history[0].Number() != "2" || history[0].Status != "success" {
				t.Errorf("history: %+v, %v", history, err)
			}
			if changes := s.Changes(); changes != nil {
				t.Errorf("reads sent %q", changes)
			}
		})
	}
}

func TestReadErrorsSayWhat(t *testing.T) {
	t.Parallel()
	const login = "<html><body>Please log in</body></html>"
	for name, c := range map[string]struct {
		id    string
		fault *incidenttest.Fault
		want  error
		says  string
	}{
		"unknown":             {"99", nil, incidents.ErrNotFound, "Incident not found"},
		"an id it can't take": {"INC-7", nil, incidents.ErrID, "valid integer"},
		"a login page": {"7", &incidenttest.Fault{Status: 200, Body: login}, incidents.ErrMalformed,
			"web page"},
		"half an answer":           {"7", &incidenttest.Fault{Half: true}, incidents.ErrMalformed, "form"},
		"an answer of another API": {"7", &incidenttest.Fault{Status: 200, Body: `{"a":1}`}, incidents.ErrMalformed, "form"},
		"credentials refused": {"7", &incidenttest.Fault{Status: 403, Body: "Forbidden", Type: "text/plain"},
			incidents.ErrForbidden, "Forbidden"},
		"a limit": {"7", &incidenttest.Fault{Status: 429, RetryAfter: "3600", Body: `{"detail":"slow down"}`},
			incidents.ErrUnreachable, "Retry-After: 3600"},
		"a page of a proxy":     {"7", &incidenttest.Fault{Status: 404, Body: login}, incidents.ErrMalformed, "404"},
		"an error as specified": {"7", &incidenttest.Fault{Status: 404, Body: `{"error":{"code":"X","message":"no such"}}`}, incidents.ErrNotFound, "no such"},
		"an error of the server": {"7", &incidenttest.Fault{Status: 500, Body: "Internal Server Error"},
			incidents.ErrUnreachable, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := start(t, incidenttest.Observed)
			if c.fault != nil {
				s.Spoil("", *c.fault)
			}
			_, err := client.Incident(t.Context(), c.id)
			p := problem.Of(err, "")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || p.What == "" || p.Next == "" ||
				len(p.Path) == 0 {
				t.Errorf("error %v, want %v with %q", err, c.want, c.says)
			}
		})
	}
	down := incidents.New(incidents.Config{URL: "http://127.0.0.1:1/api"})
	if _, err := down.Incident(t.Context(), "7"); !errors.Is(err, incidents.ErrUnreachable) {
		t.Errorf("nothing listens: %v", err)
	}
	if _, err := incidents.New(incidents.Config{}).Incident(t.Context(), "7"); !errors.Is(err,
		incidents.ErrNotConfigured) {
		t.Errorf("not configured: %v", err)
	}
}

// TestReadWaitsForRetryAfter expects a second attempt after the time that the service names.
func TestReadWaitsForRetryAfter(t *testing.T) {
	t.Parallel()
	s, c := start(t, incidenttest.Observed)
	s.Spoil("", incidenttest.Fault{Status: http.StatusTooManyRequests, RetryAfter: "0", Times: 1})
	if i, err := c.Incident(t.Context(), "7"); err != nil || i.Status != incidents.Open || len(s.Seen()) != 2 {
		t.Errorf("%+v after %d requests, %v", i, len(s.Seen()), err)
	}
}

// TestChangesAreSentOnce expects exactly one request, whatever the answer, and an error that says whether the change
// may have been made.
func TestChangesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault incidenttest.Fault
		want  error
	}{
		"500 after it was made":  {incidenttest.Fault{Status: 500, After: true}, incidents.ErrFailed},
		"503":                    {incidenttest.Fault{Status: 503}, incidents.ErrFailed},
		"504":                    {incidenttest.Fault{Status: 504, After: true}, incidents.ErrUncertain},
		"a cut connection":       {incidenttest.Fault{After: true}, incidents.ErrUncertain},
		"half an answer":         {incidenttest.Fault{Half: true}, incidents.ErrUncertain},
		"a login page":           {incidenttest.Fault{Status: 200, Body: "<html>"}, incidents.ErrUncertain},
		"429 with Retry-After":   {incidenttest.Fault{Status: 429, RetryAfter: "0"}, incidents.ErrUnreachable},
		"403 as plain text":      {incidenttest.Fault{Status: 403, Body: "Forbidden"}, incidents.ErrForbidden},
		"400 in the wrong state": {incidenttest.Fault{Status: 400, Body: `{"detail":"no"}`}, incidents.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := start(t, incidenttest.Observed)
			s.Spoil("mitigate", c.fault)
			change := incidents.Change{Verb: incidents.Mitigate, Origin: "remediation-4"}
			if err := client.Apply(t.Context(), "7", change); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if n := len(s.Seen()); n != 1 || s.Seen()[0].Origin != "remediation-4" {
				t.Errorf("%d requests: %+v", n, s.Seen())
			}
		})
	}
}

func TestTokenIsNeededForChangesAndNeverShown(t *testing.T) {
	t.Parallel()
	s := incidenttest.Start(t, incidenttest.Observed)
	without := incidents.New(incidents.Config{URL: s.URL})
	if err := without.Apply(t.Context(), "7", incidents.Change{Verb: incidents.Mitigate}); !errors.Is(err,
		incidents.ErrForbidden) {
		t.Errorf("without a token: %v", err)
	}
	s.Spoil("", incidenttest.Fault{Status: 500, Body: "token was " + incidenttest.Token})
	_, err := incidents.New(incidents.Config{URL: s.URL, Token: incidenttest.Token}).Incident(t.Context(), "7")
	if err == nil || strings.Contains(err.Error(), incidenttest.Token) {
		t.Errorf("error %v", err)
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	for from, want := range map[incidents.Status]string{
		incidents.Open: "acknowledge mitigate resolve", incidents.Acknowledged: "mitigate resolve",
		incidents.Mitigated: "resolve", incidents.Resolved: "", incidents.Closed: "",
	} {
		verbs, ok := incidents.Remaining(from)
		var got []string
		for _, v := range verbs {
			got = append(got, string(v))
		}
		if strings.Join(got, " ") != want || !ok {
			t.Errorf("from %s: %v, want %s", from, got, want)
		}
	}
	if verbs, ok := incidents.Remaining("triaged"); ok || verbs != nil {
		t.Errorf("an unknown status: %v", verbs)
	}
}

func TestCheckID(t *testing.T) {
	t.Parallel()
	for id, bad := range map[string]bool{"7": false, "INC-7": false, "..": true, ".": true, "": true, "a\nb": true} {
		if why := incidents.CheckID(id); (why != "") != bad {
			t.Errorf("%q: %q", id, why)
		}
	}
}
