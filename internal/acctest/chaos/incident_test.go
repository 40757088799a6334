package chaos_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
)

// resolveIncident resolves another open incident in each round.
func resolveIncident(t *testing.T) *world {
	t.Helper()
	l, service := &ledger{}, incidenttest.New(incidenttest.Observed)
	s := httptest.NewServer(l.over(service, func(r *http.Request, _ []byte) string {
		if r.Method == http.MethodGet {
			return ""
		}
		return r.URL.Path
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	id := func(n int) string { return strconv.Itoa(100 + n) }
	return &world{
		name: "resolve_incident", playbook: "resolve_incident", resource: "remediation_incident_resolution",
		provider: fmt.Sprintf("incidents {\n    url   = %q\n    token = %q\n  }", s.URL+"/api", incidenttest.Token),
		ledger:   l, takes: 60 * time.Millisecond, steps: 3,
		begin: func(_ *testing.T, n int) string {
			service.Put(id(n), incidenttest.Incident{Status: "open"})
			return fmt.Sprintf("incident_id = %q\n  notes = \"Round %d.\"", id(n), n)
		},
		amiss: func(_ *testing.T, n int) string {
			if now := service.Get(id(n)); now.Status != "resolved" {
				return "the incident is " + now.Status
			}
			return ""
		},
	}
}
