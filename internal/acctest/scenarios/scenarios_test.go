// Package scenarios_test runs the modules of examples/scenarios, in both branches of each condition, on the real
// components that they change.
package scenarios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// rig is a working directory with an incident service, whose incidents 7 and 8 are open, and a Prometheus.
type rig struct {
	*acctest.Workspace
	service    *incidenttest.Server
	prometheus *prometheustest.Server
}

// newRig is a rig whose working directory is a copy of a scenario.
func newRig(t *testing.T, scenario string, gauges map[string]float64, env ...string) rig {
	t.Helper()
	r := newServices(t, gauges, env...)
	from := filepath.Join(acctest.Root(t), "examples", "scenarios", scenario)
	if err := os.CopyFS(r.Dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return r
}

// newServices is a rig with an empty working directory.
func newServices(t *testing.T, gauges map[string]float64, env ...string) rig {
	t.Helper()
	return newServicesOf(t, acctest.Provider(t), gauges, env...)
}

// newServicesOf is newServices with the provider in a folder.
func newServicesOf(t *testing.T, provider string, gauges map[string]float64, env ...string) rig {
	t.Helper()
	prom, service := prometheustest.Start(t), incidenttest.Start(t, incidenttest.Observed)
	for name, v := range gauges {
		prom.Show(name, v)
	}
	service.Put("8", incidenttest.Incident{Status: "open", Severity: "sev1", Summary: "The other branch"})
	env = append(env, "PROMETHEUS_URL="+prom.URL, "REMEDIATION_INCIDENTS_URL="+service.URL,
		"REMEDIATION_INCIDENTS_TOKEN="+incidenttest.Token)
	return rig{acctest.NewWorkspaceOf(t, provider, env...), service, prom}
}

// branches runs the module's own tests, at least one per branch. The journal of a test run is in the working folder.
func (r rig) branches(t *testing.T) {
	t.Helper()
	out, code := r.Run("test", "-no-color")
	if code != 0 || !regexp.MustCompile(`[2-9] passed, 0 failed`).MatchString(out) {
		t.Fatalf("exit code %d\n%s", code, out)
	}
}

// notes returns the notes of an incident, or its status if it is not resolved.
func (r rig) notes(id string) string {
	i := r.service.Get(id)
	if i.Status != "resolved" {
		return i.Status
	}
	return fmt.Sprint(i.Metadata["resolution_notes"])
}

func (r rig) wantNotes(t *testing.T, id string, parts ...string) {
	t.Helper()
	notes := r.notes(id)
	for _, part := range parts {
		if !strings.Contains(notes, part) {
			t.Errorf("the notes of incident %s lack %q: %s", id, part, notes)
		}
	}
	for _, change := range r.service.Changes() {
		if strings.Contains(change, "/actions/") {
			t.Errorf("the service was asked to run something: %s", change)
		}
	}
}

func TestAccDataQualityDrop(t *testing.T) {
	t.Parallel()
	project := acctest.NewProject(t)
	utils := project.NewPackage()
	project.Run()
	utils.Commit(5, "new_queues")
	r := newRig(t, "data-quality-drop", map[string]float64{"quality_score": 95},
		append(project.Environment(), "DBT_PROJECT_DIR="+project.Dir)...)
	r.branches(t)
	if got := project.Queues(); got != "5" {
		t.Errorf("the models were built with the old package: %s queues", got)
	}
	r.wantNotes(t, "7", "refresh_dbt_dependencies", "rerun_dbt (models: triage_results)", "Result: quality_score is 95")
	if got := r.notes("8"); got != "open" {
		t.Errorf("incident 8 is %s", got)
	}
}
