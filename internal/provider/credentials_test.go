package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// TestCredentialsGoWhereTheRunnerSays sends a token of the environment to an address that a pull request chose.
func TestCredentialsGoWhereTheRunnerSays(t *testing.T) {
	t.Parallel()
	const address = "https://prometheus.example.com:9090"
	for name, tt := range map[string]struct {
		env     map[string]string
		address string
		refused bool
	}{
		"no credential":                {nil, address, false},
		"address of the configuration": {map[string]string{"TOKEN": "x"}, address, true},
		"address of the environment":   {map[string]string{"TOKEN": "x", "URL": address}, "", false},
		"the environment's address":    {map[string]string{"TOKEN": "x", "URL": address}, address + "/", false},
		"another than the environment's": {map[string]string{"TOKEN": "x", "URL": address},
			"https://evil.example.org", true},
		"a listed host": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com"}, address, false},
		"a listed host and port": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "a, prometheus.example.com:9090"}, address, false},
		"another port": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com:80"}, address, true},
		"a host that begins like a listed": {map[string]string{"TOKEN": "x",
			"REMEDIATION_HOSTS": "prometheus.example.com"}, "https://prometheus.example.com.evil.org", true},
	} {
		err := checkDestination(func(name string) string { return tt.env[name] },
			destination{where: "prometheus.url", address: tt.address, variable: "URL"}, "OTHER", "TOKEN")
		if (err != nil) != tt.refused {
			t.Errorf("%s: %v", name, err)
		}
		if tt.refused && !strings.Contains(err.Error(), "set REMEDIATION_HOSTS=") {
			t.Errorf("%s: the message lacks the line to set: %v", name, err)
		}
	}
}

// TestAUserOfTheConfigurationGetsNoPasswordOfTheEnvironment for an endpoint of the configuration.
func TestAUserOfTheConfigurationGetsNoPasswordOfTheEnvironment(t *testing.T) {
	t.Setenv("ELASTICSEARCH_PASSWORD", "a-password")
	b := block{Elasticsearch: &elasticsearchBlock{Endpoints: []string{"https://evil.example.org"},
		Username: types.StringValue("elastic")}}
	if _, err := b.elasticsearch(); err == nil || !strings.Contains(err.Error(), "ELASTICSEARCH_PASSWORD is set") {
		t.Errorf("got %v", err)
	}
	t.Setenv("REMEDIATION_HOSTS", "evil.example.org")
	if cfg, err := b.elasticsearch(); err != nil || cfg.Password == "" {
		t.Errorf("listed: %v", err)
	}
}
