package provider_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/inprocess"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// endpoint is an address that a pull request can change, and a resource whose plan uses it. SERVER is the address of
// the server that records what it receives.
type endpoint struct {
	variable string // of the credential
	block    values
	resource string
	values   values
}

const stolen = "stolen-credential-of-the-runner"

// endpoints are all addresses to which the provider sends a credential.
func endpoints(t *testing.T, server string) map[string]endpoint {
	t.Helper()
	moves := values{"version": "v2", "target_percent": 5, "gradual": false}
	file := filepath.Join(t.TempDir(), "planner.json")
	token := filepath.Join(t.TempDir(), "token")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	for path, text := range map[string]string{file: splitFile, token: stolen, kubeconfig: fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: a, user: {tokenFile: %q}}]
`, server+"/kubernetes", token)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plannerFile := values{"file": values{"path": file}}
	elasticsearch := values{"endpoints": list{server + "/elasticsearch"}}
	clears := values{"index_name": "kb", "cache_types": list{"query"}}
	guarded := values{"guardrail": list{values{"name": "up", "query": "up", "max": 1}}}
	raises := values{"version": "v2", "target_percent": 50, "gradual": false, "approved_by": "lead-50@example.com"}
	const split, cache = "remediation_canary_split", "remediation_cache_clear"
	return map[string]endpoint{
		"Elasticsearch": {"ELASTICSEARCH_API_KEY", values{"elasticsearch": elasticsearch}, cache, clears},
		"Elasticsearch, bearer token": {"ELASTICSEARCH_BEARER_TOKEN", values{"elasticsearch": elasticsearch}, cache,
			clears},
		"Elasticsearch, a user of the configuration": {"ELASTICSEARCH_PASSWORD", values{
			"elasticsearch": with(elasticsearch, values{"username": "elastic"})}, cache, clears},
		"journal": {"ELASTICSEARCH_API_KEY", values{"elasticsearch": elasticsearch, "planner": plannerFile,
			"journal": values{"elasticsearch": values{}}}, split, moves},
		"control API": {"REMEDIATION_PLANNER_TOKEN", values{"planner": values{"http": values{
			"url": server + "/control"}}}, split, moves},
		"guard API": {"REMEDIATION_PLANNER_TOKEN", values{"planner": values{"applylens": values{
			"url": server + "/guard", "stable_version": "v1", "canary_version": "v2"}}}, split, moves},
		"Kubernetes": {"", values{"planner": values{"gateway_api": values{"namespace": "n", "http_route": "r",
			"backends": values{"v1": "a", "v2": "b"}, "kubeconfig": kubeconfig}}}, split, moves},
		"incidents": {"REMEDIATION_INCIDENTS_TOKEN", values{"planner": plannerFile, "incidents": values{
			"url": server + "/incidents"}}, "remediation_incident_resolution", values{"incident_id": "INC-1"}},
		"Prometheus": {"PROMETHEUS_TOKEN", values{"planner": plannerFile, "prometheus": values{
			"url": server + "/prometheus"}}, split, with(moves, guarded)},
		"incident service": {"REMEDIATION_INCIDENTS_TOKEN", values{"incidents": values{
			"url": server + "/incident-service/api"}}, "remediation_incident_resolution", values{"incident_id": "25"}},
		"forge": {"REMEDIATION_FORGE_TOKEN", values{"planner": plannerFile, "approval": values{"forge": values{
			"kind": "github", "url": server + "/forge", "repository": "acme/search", "pull_request": 12,
			"commit": headOfPull}}}, split, raises},
	}
}

// TestAttackAnotherEndpoint plans a pull request that changes one address, with the runner's credential for it in the
// environment. The server there receives the credential only if the runner lists the host.
func TestAttackAnotherEndpoint(t *testing.T) {
	for name := range endpoints(t, "http://127.0.0.1") {
		for kind, listed := range map[string]bool{"listed": true, "not listed": false} {
			t.Run(name+", "+kind, func(t *testing.T) {
				server := newIndiscreet(t, false)
				address := server.URL
				if name == "Kubernetes" { // its client sends a token with TLS only
					secure := httptest.NewTLSServer(server.Config.Handler)
					t.Cleanup(secure.Close)
					address = secure.URL
				}
				try := endpoints(t, address)[name]
				if try.variable != "" {
					t.Setenv(try.variable, stolen)
				}
				if listed {
					t.Setenv("REMEDIATION_HOSTS", "127.0.0.1")
				}
				block := with(values{"journal": values{"path": filepath.Join(t.TempDir(), "journal.db")}}, try.block)
				at := inprocess.New(t, provider.New("test")())
				said := at.Provider(block)
				if len(said.Errors()) == 0 {
					said = at.Resource(try.resource, try.values)
				}
				if server.saw(stolen) != listed {
					t.Errorf("the credential was sent: %t, and the host is listed: %t\n%s", !listed, listed,
						text(said.Diagnostics))
				}
				if !listed && !strings.Contains(text(said.Diagnostics), "REMEDIATION_HOSTS") {
					t.Errorf("the message doesn't say what to set:\n%s", text(said.Diagnostics))
				}
			})
		}
	}
}
