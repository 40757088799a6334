package provider_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

var replans = flag.Int("replans", 3, "plans of each playbook on a target that does not change")

// TestPlansAgainKeepDigestAndPayload plans every playbook again and again, each time with a new provider, as the jobs
// of a pipeline do, and then after others have executed it on the same target. What was reviewed and signed stays
// valid.
func TestPlansAgainKeepDigestAndPayload(t *testing.T) {
	t.Parallel()
	on, project := elastictest.Shared(t), acctest.NewProject(t)
	cached, searched := on.Cached(t, "cached"), on.Searched(t, "searched", false)
	search := values{"elasticsearch": values{"endpoints": list{on.URL()}}}
	metrics, service := prometheustest.Start(t), incidenttest.Start(t, incidenttest.Specified)
	metrics.Show("error_rate", 0.01)
	service.Put("INC-1", incidenttest.Incident{Status: "open"})
	dbt := values{"dbt": values{"executable": acctest.DBT(t), "project_dir": project.Dir, "profiles_dir": project.Dir}}
	for name, tt := range map[string]struct {
		block, values values
		planner       string
		signs         bool
	}{
		"remediation_canary_split": {values: values{"version": "v2", "target_percent": 50}, planner: splitFile,
			signs: true},
		"remediation_planner_rollback": {values: values{"from_version": "v2", "to_version": "v1", "immediate": true},
			planner: splitFile, signs: true},
		"remediation_planner_deploy": {values: values{"version": "v3", "initial_percent": 10}, signs: true,
			planner: `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 100}, "v3": {"percent": 0}}}`},
		"remediation_cache_clear": {block: search, planner: splitFile,
			values: values{"index_name": cached.Index, "cache_types": list{"fielddata"}}},
		"remediation_synonyms_refresh": {block: search, planner: splitFile, signs: true,
			values: values{"index_name": searched.Alias, "synonym_filter": "rules", "reindex": true,
				"probe_texts": list{"laptop"}}},
		"remediation_dbt_run": {block: dbt, planner: splitFile, signs: true,
			values: values{"models": list{"inbox_emails"}, "full_refresh": true}},
		"remediation_dbt_deps": {block: dbt, planner: splitFile},
		"remediation_metric_gate": {block: values{"prometheus": values{"url": metrics.URL}}, planner: splitFile,
			values: values{"guardrail": list{values{"name": "errors", "query": "error_rate", "max": 1}}}},
		"remediation_incident_resolution": {planner: splitFile, values: values{"incident_id": "INC-1"},
			block: values{"incidents": values{"url": service.URL, "token": incidenttest.Token}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "planner.json")
			if err := os.WriteFile(file, []byte(tt.planner), 0o600); err != nil {
				t.Fatal(err)
			}
			block := with(values{"journal": values{"path": filepath.Join(dir, "journal.db")},
				"planner": values{"file": values{"path": file}}}, tt.block)
			first, approved := "", ""
			for n := range 2 * *replans {
				if n == *replans {
					executed(t, filepath.Join(dir, "journal.db"), first)
				}
				at := inprocess.New(t, provider.New("test")())
				if a := at.Provider(block); len(a.Errors()) > 0 {
					t.Fatal(text(a.Diagnostics))
				}
				a := at.Resource(name, tt.values)
				preview, _ := a.Planned["preview"].(map[string]any)
				if len(a.Errors()) > 0 || preview["digest"] == nil ||
					(preview["approval_payload"] != nil) != tt.signs {
					t.Fatalf("plan %d shows %v:\n%s", n, preview, text(a.Diagnostics))
				}
				binds := fmt.Sprint(preview["digest"], preview["approval_payload"])
				now := fmt.Sprint(a.Planned["dry_run"], "\n", binds, preview["record"])
				if n == 0 {
					first, approved = now, binds
				}
				if now != first && n < *replans || binds != approved {
					t.Fatalf("plan %d shows\n%s\nwant\n%s", n, now, first)
				}
			}
		})
	}
}

// executed adds executions by others to the journal: of the playbook and on the target that a plan shows.
func executed(t *testing.T, path, shown string) {
	t.Helper()
	var number, playbook, target string
	if _, err := fmt.Sscanf(shown, "%s execution of %s on %s", &number, &playbook, &target); err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	s, err := sqlite.Open(t.Context(), path, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	const executions = 3
	about := journal.Subject{Playbook: playbook, Target: target, Request: "another"}
	if err := errors.Join(journaltest.Work(t.Context(), s, about, executions), s.Close()); err != nil {
		t.Fatal(err)
	}
}
