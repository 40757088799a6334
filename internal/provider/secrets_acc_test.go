package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// credential is a sensitive setting, and a resource that uses it.
type credential struct {
	// attribute is its path, and variable the environment variable that can replace it, or empty.
	attribute, variable string
	// block is the provider block. SECRET is replaced with the secret, SERVER with the address of the server that
	// receives it.
	block string
	// resource is a resource that uses the setting.
	resource string
	// secure makes the server ask for a client certificate.
	secure bool
}

const (
	moveSplit  = `resource "remediation_canary_split" "NAME" { version = "v2", target_percent = PERCENT, gradual = false, approved_by = "lead-PERCENT@example.com" MORE }`
	clearCache = `resource "remediation_cache_clear" "NAME" { index_name = "kb", cache_types = ["query"], triggers = { percent = "PERCENT" } }`
	resolve    = `resource "remediation_incident_resolution" "NAME" { incident_id = "PERCENT", notes = "Contained." }`
	runModels  = `resource "remediation_dbt_run" "NAME" { models = ["triage_results"], triggers = { percent = "PERCENT" } }`
)

func allCredentials() []credential {
	search := func(rest, path string) string {
		return `elasticsearch {
  endpoints = ["SERVER/` + path + `-NAME"]
  ` + strings.ReplaceAll(rest, ", ", "\n  ") + "\n}"
	}
	return []credential{
		{attribute: "planner.http.token", variable: "REMEDIATION_PLANNER_TOKEN", resource: moveSplit,
			block: `planner {
  http {
    url   = "SERVER/control"
    token = SECRET
  }
}`},
		{attribute: "planner.applylens.token", variable: "REMEDIATION_PLANNER_TOKEN", resource: moveSplit,
			block: `planner {
  applylens {
    url            = "SERVER/guard"
    stable_version = "v1"
    canary_version = "v2"
    token          = SECRET
  }
}`},
		{attribute: "prometheus.token", variable: "PROMETHEUS_TOKEN",
			block: `prometheus {
  url   = "SERVER/prometheus"
  token = SECRET
}, planner {
  file { path = "NAME.json" }
}`,
			resource: strings.ReplaceAll(moveSplit, "MORE", `, guardrail {
  name  = "up"
  query = "up"
  max   = 1
}`)},
		{attribute: "incidents.token", variable: "REMEDIATION_INCIDENTS_TOKEN", resource: resolve,
			block: `incidents {
  url   = "SERVER/incident-service/api"
  token = SECRET
}`},
		{attribute: "notify.url", variable: "REMEDIATION_NOTIFY_URL", resource: moveSplit, block: `planner {
  http { url = "SERVER/control-notify" }
}, notify { url = "SERVER/hooks?key=${urlencode(SECRET)}" }`},
		{attribute: "approval.forge.token", variable: "REMEDIATION_FORGE_TOKEN", resource: moveSplit, block: `planner {
  file { path = "NAME.json" }
}, approval {
  aliases = {
    "lead-25@example.com" = ["lead-25"]
    "lead-40@example.com" = ["lead-40"]
    "lead-50@example.com" = ["lead-50"]
  }
  forge {
    kind         = "gitea"
    url          = "SERVER/forge"
    repository   = "acme/search"
    pull_request = 12
    commit       = "` + headOfPull + `"
    token        = SECRET
  }
}`},
		{attribute: "elasticsearch.api_key", variable: "ELASTICSEARCH_API_KEY", resource: clearCache,
			block: search("api_key = SECRET", "elasticsearch")},
		{attribute: "elasticsearch.password", variable: "ELASTICSEARCH_PASSWORD", resource: clearCache,
			block: search(`username = "elastic", password = SECRET`, "elasticsearch")},
		{attribute: "elasticsearch.bearer_token", variable: "ELASTICSEARCH_BEARER_TOKEN", resource: clearCache,
			block: search("bearer_token = SECRET", "elasticsearch-plain")},
		{attribute: "elasticsearch.es_client_authentication", variable: "ELASTICSEARCH_ES_CLIENT_AUTHENTICATION",
			resource: clearCache,
			block:    search(`bearer_token = "no canary", es_client_authentication = SECRET`, "elasticsearch")},
		{attribute: "elasticsearch.headers", resource: clearCache,
			block: search("headers = { X-Canary = SECRET }", "elasticsearch-plain")},
		{attribute: "elasticsearch.key_data", resource: clearCache, secure: true,
			block: search(`ca_data = file("ca.pem"), cert_data = file("cert.pem"), key_data = SECRET`,
				"elasticsearch")},
		{attribute: "dbt.environment", resource: runModels,
			block: `dbt { environment = { CANARY_PASSWORD = SECRET } }`},
	}
}

// passedToDBT are credentials of the environment that are passed to dbt without any setting.
func passedToDBT() []string {
	return []string{"DBT_ENV_SECRET_CANARY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"}
}

// TestEveryCredentialHasACanary walks the schema: a sensitive setting, or an environment variable of one, that is added
// fails here until the tests below look for it.
func TestEveryCredentialHasACanary(t *testing.T) {
	t.Parallel()
	documented := regexp.MustCompile("Environment: `([A-Z_]+)`")
	found := map[string]string{}
	for at, a := range sensitive("", inprocess.New(t, provider.New("test")()).Schema.Provider.Block) {
		found[at] = ""
		if m := documented.FindStringSubmatch(a.Description); m != nil {
			found[at] = m[1]
		}
	}
	tried := map[string]string{}
	for _, c := range allCredentials() {
		tried[c.attribute] = c.variable
	}
	for at, variable := range found {
		if got, ok := tried[at]; !ok || got != variable {
			t.Errorf("no canary in %s (or its environment variable %q)", at, variable)
		}
	}
	for at := range tried {
		if _, ok := found[at]; !ok {
			t.Errorf("%s is not sensitive: Terraform would show it", at)
		}
	}
	named := regexp.MustCompile(`(?i)(token|password|secret|api_key|key_data|headers|client_authentication|environment)$`)
	for _, leaf := range leaves("", inprocess.New(t, provider.New("test")()).Schema.Provider.Block) {
		if _, ok := found[strings.TrimPrefix(leaf, ".")]; !ok && named.MatchString(leaf) {
			t.Errorf("%s looks like a credential and is not sensitive", leaf)
		}
	}
}

// sensitive are the sensitive attributes by their path.
func sensitive(under string, block *tfprotov6.SchemaBlock) map[string]*tfprotov6.SchemaAttribute {
	found := map[string]*tfprotov6.SchemaAttribute{}
	for _, a := range block.Attributes {
		at := strings.TrimPrefix(under+"."+a.Name, ".")
		if a.Sensitive {
			found[at] = a
		}
	}
	for _, b := range block.BlockTypes {
		maps.Copy(found, sensitive(strings.TrimPrefix(under+"."+b.TypeName, "."), b.Block))
	}
	return found
}

// TestAccSecretsStayOut plans, applies, fails and applies again with a canary in every credential, against systems that
// repeat credentials in their errors, and looks for the canaries in everything that was written or printed.
func TestAccSecretsStayOut(t *testing.T) {
	t.Parallel()
	all := allCredentials()
	only := func(attributes ...string) []credential {
		return slices.DeleteFunc(slices.Clone(all),
			func(c credential) bool { return !slices.Contains(attributes, c.attribute) })
	}
	for name, tt := range map[string]struct {
		credentials []credential
		environment bool
	}{
		"configured": {all, false},
		"in the environment": {only("planner.http.token", "planner.applylens.token", "prometheus.token",
			"approval.forge.token", "incidents.token", "elasticsearch.api_key",
			"dbt.environment"), true},
		"a user in the environment":   {only("elasticsearch.password"), true},
		"a token in the environment":  {only("elasticsearch.bearer_token"), true},
		"a secret in the environment": {only("elasticsearch.es_client_authentication"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHoard(t, tt.credentials, tt.environment)
			h.live()
			h.search()
		})
	}
}

// TestAccWhatTerraformItselfKeeps checks what SECURITY.md says: a saved plan contains variables and the configuration
// as written, in clear text, and credentials occur nowhere else in it.
func TestAccWhatTerraformItselfKeeps(t *testing.T) {
	t.Parallel()
	literal, variable := newCanary("literal"), newCanary("variable")
	w := acctest.NewWorkspace(t, "TF_VAR_token="+variable.value)
	w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

variable "token" {
  type      = string
  sensitive = true
}

provider "remediation" {
  prometheus {
    url   = "http://127.0.0.1:9"
    token = %q
  }
}

provider "remediation" {
  alias      = "variable"
  prometheus {
    url   = "http://127.0.0.1:9"
    token = var.token
  }
}

data "remediation_playbooks" "a" {}

data "remediation_playbooks" "b" {
  provider = remediation.variable
}
`, literal.value))
	w.Must("plan", "-no-color", "-out=saved.tfplan")
	var shown map[string]json.RawMessage
	if err := json.Unmarshal([]byte(w.Must("show", "-json", "saved.tfplan")), &shown); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(shown["variables"]), variable.core) ||
		!strings.Contains(string(shown["configuration"]), literal.core) {
		t.Error("Terraform keeps less than SECURITY.md says")
	}
	s := &searcher{t: t, canaries: []canary{literal, variable}}
	for part, text := range shown {
		if part != "variables" && part != "configuration" {
			s.text("part "+part+" of the plan", string(text))
		}
	}
	w.Must("apply", "-no-color", "saved.tfplan")
	s.spared = func(name string) bool {
		return regexp.MustCompile(`(main\.tf|\.tfplan|!tfplan|!tfconfig/.*)$`).MatchString(name)
	}
	s.below(w.Dir)
}
