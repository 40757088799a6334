package provider

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

// TestCredentialsGoWhereTheRunnerSays sends a token of the environment to an address that a pull request chose.
func TestCredentialsGoWhereTheRunnerSays(t *testing.T) {
	t.Parallel()
	const address = "https://prometheus.example.com:9090"
	for name, tt := range map[string]struct {
		env     map[string]string
		address string
		refused bool
		hosts   access.Hosts
	}{
		"no credential":                {nil, address, false, nil},
		"address of the configuration": {map[string]string{"TOKEN": "x"}, address, true, nil},
		"address of the environment":   {map[string]string{"TOKEN": "x", "URL": address}, "", false, nil},
		"the environment's address":    {map[string]string{"TOKEN": "x", "URL": address}, address + "/", false, nil},
		"another than the environment's": {map[string]string{"TOKEN": "x", "URL": address},
			"https://evil.example.org", true, nil},
		"a listed host": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com"}, address, false, nil},
		"a listed host and port": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "a, prometheus.example.com:9090"}, address, false, nil},
		"another port": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com:80"}, address, true, nil},
		"a host that begins like a listed": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com"}, "https://prometheus.example.com.evil.org", true, nil},
		"a host of the policy": {map[string]string{"TOKEN": "x"}, address, false,
			access.Hosts{"prometheus.example.com"}},
		"not a host of the policy": {map[string]string{"TOKEN": "x"}, address, true, access.Hosts{}},
	} {
		r := runner{getenv: func(name string) string { return tt.env[name] }, hosts: tt.hosts}
		err := r.entrust(destination{where: "prometheus.url", address: tt.address, variable: "URL"}, "OTHER", "TOKEN")
		if (err != nil) != tt.refused {
			t.Errorf("%s: %v", name, err)
		}
		if tt.refused && !strings.Contains(err.Error(), "set REMEDIATION_HOSTS=") {
			t.Errorf("%s: the message lacks the line to set: %v", name, err)
		}
	}
}

// TestConfiguredUserGetsNoPasswordFromTheEnvironment for an endpoint of the configuration.
func TestConfiguredUserGetsNoPasswordFromTheEnvironment(t *testing.T) {
	t.Setenv("ELASTICSEARCH_PASSWORD", "a-password")
	r := runner{getenv: os.Getenv}
	b := block{Elasticsearch: &elasticsearchBlock{Endpoints: []string{"https://evil.example.org"},
		Username: types.StringValue("elastic")}}
	if _, err := b.elasticsearch(r); err == nil || !strings.Contains(err.Error(), "ELASTICSEARCH_PASSWORD is set") {
		t.Errorf("got %v", err)
	}
	t.Setenv("REMEDIATION_HOSTS", "evil.example.org")
	if cfg, err := b.elasticsearch(r); err != nil || cfg.Password == "" {
		t.Errorf("listed: %v", err)
	}
}

// TestConfigurationDoesNotWeakenTheRunnersCredential checks that the author of a change can't decide which server
// certificates count, or as whom the cluster acts, if the credential comes from the environment.
func TestConfigurationDoesNotWeakenTheRunnersCredential(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, own := range map[string]elasticsearchBlock{
		"insecure": {Insecure: types.BoolValue(true)},
		"ca_data":  {CAData: types.StringValue(string(certificate))},
		"headers":  {Headers: map[string]string{"ES-Security-Runas-User": "admin"}},
	} {
		t.Setenv("ELASTICSEARCH_ENDPOINTS", "https://search.example.com")
		t.Setenv("ELASTICSEARCH_INSECURE", "")
		t.Setenv("ELASTICSEARCH_API_KEY", "a2V5OnNlY3JldA==")
		b := block{Elasticsearch: &own}
		r := runner{getenv: os.Getenv}
		if _, err := b.elasticsearch(r); err == nil || !strings.Contains(err.Error(), "environment of the runner") {
			t.Errorf("%s: got %v", name, err)
		}
		t.Setenv("ELASTICSEARCH_API_KEY", "")
		own.APIKey = types.StringValue("b3duOmtleQ==")
		if _, err := b.elasticsearch(r); err != nil {
			t.Errorf("%s with a credential of one's own: %v", name, err)
		}
		own.APIKey = types.StringNull()
	}
	t.Setenv("ELASTICSEARCH_API_KEY", "a2V5OnNlY3JldA==")
	t.Setenv("ELASTICSEARCH_INSECURE", "true")
	b := block{Elasticsearch: &elasticsearchBlock{Insecure: types.BoolValue(true),
		Headers: map[string]string{"X-Tenant": "a"}}}
	if _, err := b.elasticsearch(runner{getenv: os.Getenv}); err != nil {
		t.Errorf("insecure by the runner: %v", err)
	}
}
