package provider_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// complete are configurations of every playbook resource that are valid without more.
func complete() map[string]values {
	return map[string]values{
		"remediation_dbt_run":             {"models": list{"inbox_emails"}},
		"remediation_dbt_deps":            {},
		"remediation_cache_clear":         {"index_name": "kb"},
		"remediation_synonyms_refresh":    {"index_name": "kb", "synonym_filter": "rules"},
		"remediation_canary_split":        {"version": "v2", "target_percent": 25},
		"remediation_planner_rollback":    {"from_version": "v2"},
		"remediation_planner_deploy":      {"version": "v2"},
		"remediation_metric_gate":         {"guardrail": list{values{"name": "errors", "query": "q", "max": 1}}},
		"remediation_incident_resolution": {"incident_id": "7"},
	}
}

// policies are the inputs of every resource whose unknown values leave the preview known, or a part of it.
func policies() []string {
	return []string{"incident_id", "triggers", "run_if", "after", "approved_by", "expected_digest", "on_drift"}
}

// TestUnknownInputsAreWarnedAbout makes each input of each playbook unknown: there is no preview, and one warning at
// the input says why, before anything is read or written.
func TestUnknownInputsAreWarnedAbout(t *testing.T) {
	t.Parallel()
	schemas := inprocess.New(t, provider.New("test")()).Schema.ResourceSchemas
	if len(schemas) != len(complete()) {
		t.Errorf("%d resources, and %d configurations of them", len(schemas), len(complete()))
	}
	rail := func(more values) values {
		return values{"guardrail": list{with(values{"name": "errors", "query": "q", "max": 1}, more)}}
	}
	for resource, base := range complete() {
		cases := map[string]values{
			"guardrail":        {"guardrail": inprocess.Unknown{}},
			"guardrail[0].max": rail(values{"max": inprocess.Unknown{}}),
			"timeouts.create":  {"timeouts": values{"create": inprocess.Unknown{}}},
			"on_destroy":       {"on_destroy": inprocess.Unknown{}},
		}
		for _, a := range schemas[resource].Block.Attributes {
			own := !slices.Contains(policies(), a.Name) || resource == "remediation_incident_resolution" &&
				a.Name == "incident_id"
			if own && (a.Optional || a.Required) {
				cases[a.Name] = values{a.Name: inprocess.Unknown{}}
			}
		}
		for at, more := range cases {
			t.Run(resource+" "+at, func(t *testing.T) {
				t.Parallel()
				unknownAt(t, resource, with(base, more), at)
			})
		}
	}
}

func unknownAt(t *testing.T, resource string, configured values, at string) {
	t.Helper()
	dir := t.TempDir()
	server := inprocess.New(t, provider.New("test")())
	server.Provider(values{"journal": values{"path": filepath.Join(dir, "journal.db")}})
	answer := server.Resource(resource, configured)
	if len(answer.Diagnostics) != 1 {
		t.Fatalf("want one warning, got:\n%s", text(answer.Diagnostics))
	}
	d := answer.Diagnostics[0]
	if d.Severity != tfprotov6.DiagnosticSeverityWarning || inprocess.Path(d.Attribute) != at ||
		!strings.HasSuffix(d.Summary, " can't be previewed yet: "+at+" is not known") ||
		!strings.Contains(d.Detail, "The execution is previewed during apply, before it runs.") {
		t.Errorf("got at %s:\n%s", inprocess.Path(d.Attribute), text(answer.Diagnostics))
	}
	if answer.Planned["preview"] != nil || answer.Planned["dry_run"] != nil {
		t.Errorf("there is a preview: %v", answer.Planned)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

// TestUnknownProviderBlockIsWarnedAbout makes an address in the provider block unknown.
func TestUnknownProviderBlockIsWarnedAbout(t *testing.T) {
	t.Parallel()
	server := inprocess.New(t, provider.New("test")())
	server.Provider(values{"prometheus": values{"url": inprocess.Unknown{}}})
	answer := server.Resource("remediation_canary_split", complete()["remediation_canary_split"])
	if len(answer.Diagnostics) != 1 || answer.Diagnostics[0].Severity != tfprotov6.DiagnosticSeverityWarning ||
		!strings.HasSuffix(answer.Diagnostics[0].Summary, "the provider block is not known") {
		t.Errorf("got:\n%s", text(answer.Diagnostics))
	}
}
