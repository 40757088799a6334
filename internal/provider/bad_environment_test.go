package provider_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// TestBadEnvironment checks that values from the environment are validated like those from the configuration. A message
// never repeats a secret.
func TestBadEnvironment(t *testing.T) {
	const secret = "s3cret-of-a-file"
	for name, tt := range map[string]struct {
		env   map[string]string
		block values
		at    string
	}{
		"Prometheus": {map[string]string{"PROMETHEUS_URL": "http://admin:" + secret + "@prom:9090"}, nil,
			"prometheus.url"},
		"its token": {map[string]string{"PROMETHEUS_URL": "http://prom:9090", "PROMETHEUS_TOKEN": secret +
			"\n"}, nil, "prometheus.token"},
		"incident service": {map[string]string{"REMEDIATION_INCIDENTS_URL": "ftp://a/" + secret}, nil, "incidents.url"},
		"incident token": {map[string]string{"REMEDIATION_INCIDENTS_TOKEN": secret + "\n"},
			values{"incidents": values{"url": "http://a"}}, "incidents.token"},
		"control API": {map[string]string{"REMEDIATION_PLANNER_URL": "planner"}, plannerOf("http", values{}),
			"planner.http.url"},
		"its token ": {map[string]string{"REMEDIATION_PLANNER_TOKEN": secret + "\r\n"},
			plannerOf("http", values{"url": "http://a"}), "planner.http.token"},
		"guard API's token": {map[string]string{"REMEDIATION_PLANNER_TOKEN": "\t" + secret}, guardAPI(nil),
			"planner.applylens.token"},
		"forge's token": {map[string]string{"REMEDIATION_FORGE_TOKEN": secret + "\x1b"}, pull(nil),
			"approval.forge.token"},
		"endpoints": {map[string]string{"ELASTICSEARCH_ENDPOINTS": "https://a:9200,https://elastic:" + secret +
			"%zz@b:9200"}, nil, "elasticsearch.endpoints[1]"},
		"API key": {map[string]string{"ELASTICSEARCH_API_KEY": secret + "\n"}, cluster(nil),
			"elasticsearch.api_key"},
		"bearer token": {map[string]string{"ELASTICSEARCH_BEARER_TOKEN": secret + "\x00"}, cluster(nil),
			"elasticsearch.bearer_token"},
		"shared secret": {map[string]string{"ELASTICSEARCH_BEARER_TOKEN": "token",
			"ELASTICSEARCH_ES_CLIENT_AUTHENTICATION": secret + "\n"}, cluster(nil),
			"elasticsearch.es_client_authentication"},
		"password": {map[string]string{"ELASTICSEARCH_USERNAME": "u", "ELASTICSEARCH_PASSWORD": secret + "\n"},
			cluster(nil), "elasticsearch.password"},
		"two kinds": {map[string]string{"ELASTICSEARCH_USERNAME": "u", "ELASTICSEARCH_API_KEY": secret},
			cluster(nil), "elasticsearch.api_key"},
		"CA": {map[string]string{"ELASTICSEARCH_CA_FILE": "/nowhere/ca.pem"}, cluster(nil),
			"elasticsearch.ca_file"},
		"dbt target": {map[string]string{"DBT_TARGET": "--full-refresh"}, nil, "dbt.target"},
		"two journals": {map[string]string{"REMEDIATION_JOURNAL_PATH": "a.db", "REMEDIATION_JOURNAL_INDEX": "b"},
			values{"journal": nil}, "journal"},
		"a journal's index": {map[string]string{"REMEDIATION_JOURNAL_INDEX": "B*"}, values{"journal": nil},
			"journal.elasticsearch.index"},
		"the logs'":     {map[string]string{"REMEDIATION_LOGS_BASE_URL": "ftp://a"}, nil, "logs.base_url"},
		"the journal's": {map[string]string{"REMEDIATION_JOURNAL_KEEP": "1h"}, nil, "journal.keep"},
		"the journal": {map[string]string{"REMEDIATION_JOURNAL_PATH": "/"}, values{"journal": nil},
			"journal.path"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, v := range tt.env {
				// an environment variable can't contain this
				if variable != "ELASTICSEARCH_BEARER_TOKEN" || !strings.Contains(v, "\x00") {
					t.Setenv(variable, v)
				} else {
					t.Setenv(variable, strings.ReplaceAll(v, "\x00", "\x7f"))
				}
			}
			block := with(values{"journal": values{"path": filepath.Join(t.TempDir(), "journal.db")}}, tt.block)
			answer := inprocess.New(t, provider.New("test")()).Provider(block)
			found := answer.Errors()
			if len(found) != 1 || inprocess.Path(found[0].Attribute) != tt.at {
				t.Errorf("want one at %s, got:\n%s", tt.at, text(answer.Diagnostics))
			}
			if strings.Contains(text(answer.Diagnostics), secret) {
				t.Errorf("the secret is repeated:\n%s", text(answer.Diagnostics))
			}
		})
	}
}

// TestAccBadInputAsTerraformShowsIt checks what a person sees of three of them: the place, the reason, and the next
// step.
func TestAccBadInputAsTerraformShowsIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config string
		says   []string
	}{
		// No line: an older Terraform shows the head of the block, a newer one the attribute.
		"a window of the policy": {`
provider "remediation" {
  approval {
    freeze {
      name       = "weekend"
      recurrence = "FREQ=WEEKLY;BYDAY=FR"
      duration   = "64h"
      time_zone  = "Europe/Nowhere"
    }
  }
}

data "remediation_playbooks" "all" {}
`, []string{"on main.tf line", `, in provider "remediation"`, "Error: Invalid freeze window", `Window "weekend": unknown time zone Europe/Nowhere.`, "Correct the window.",
			"Provider setting: approval.freeze[0].time_zone"}},
		"an element of a list": {`
resource "remediation_dbt_run" "triage" {
  models = [
    "inbox_emails",
    "--full-refresh",
  ]
}
`, []string{"Error: A selector is not valid", `on main.tf line 10, in resource`, `"--full-refresh",`, `in models: it begins with -, and dbt would take it for a flag.`, "Write one selector per element"}},
		"a number that is none": {`
resource "remediation_canary_split" "canary" {
  version        = "v2"
  target_percent = "NaN"
}
`, []string{"on main.tf line 9, in resource", `target_percent = "NaN"`, "a number is required"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t)
			w.Write("main.tf", "terraform {\n  required_providers {\n    remediation = { source = "+
				"\"applylens/remediation\" }\n  }\n}\n"+tt.config)
			out := w.MustFail("plan", "-no-color")
			flat := strings.Join(strings.Fields(strings.ReplaceAll(out, "│", "")), " ")
			for _, want := range tt.says {
				if !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
					t.Errorf("no %q in:\n%s", want, out)
				}
			}
		})
	}
}
