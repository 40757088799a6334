package planner_test

import (
	"slices"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

func TestAddressesOfOneRouterHaveOneIdentity(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		one, other string
		same       bool
	}{
		"case":          {"https://Planner.Example.com/api/", "https://planner.example.com:443/api", true},
		"loopback":      {"http://localhost:8080", "http://127.0.0.1:8080/", true},
		"loopback 6":    {"http://localhost:8080", "http://[::1]:8080", true},
		"trailing dot":  {"http://planner.example.com.", "http://planner.example.com:80", true},
		"another port":  {"http://localhost:8080", "http://localhost:8081", false},
		"another path":  {"http://localhost:8080/a", "http://localhost:8080/b", false},
		"another host":  {"http://10.0.0.1", "http://10.0.0.2", false},
		"scheme's port": {"http://planner.example.com", "https://planner.example.com", false},
	} {
		if got := planner.AddressOf(tt.one) == planner.AddressOf(tt.other); got != tt.same {
			t.Errorf("%s: %+v and %+v", name, planner.AddressOf(tt.one), planner.AddressOf(tt.other))
		}
	}
}

func TestStatesAreComparedAsJSON(t *testing.T) {
	t.Parallel()
	a, b := planner.State(`{"v1": {"weight": 5}, "v2": 1}`), planner.State(`{"v2":1,"v1":{"weight":5}}`)
	if !planner.SameState(a, b) || planner.SameState(a, planner.State(`{"v1": {"weight": 6}, "v2": 1}`)) ||
		planner.SameState(nil, nil) {
		t.Error("states are compared otherwise")
	}
}

func TestAliasesOfThisMachine(t *testing.T) {
	t.Parallel()
	for base, want := range map[string][]string{
		"http://localhost:8080/api":   {"http://127.0.0.1:8080/api", "http://[::1]:8080/api"},
		"tcp://127.0.0.1:9999":        {"tcp://localhost:9999", "tcp://[::1]:9999"},
		"https://planner.example.com": {"https://planner.example.com:443"},
		"https://Planner.Example.COM.:0443//api/./v1/": {"https://planner.example.com:443/api/v1",
			"https://planner.example.com/api/v1"},
		"http://0.0.0.0:80": {"http://localhost:80", "http://localhost", "http://127.0.0.1:80", "http://127.0.0.1",
			"http://[::1]:80", "http://[::1]"},
		"unix:///run/haproxy.sock": nil,
	} {
		if got := planner.Aliases(base); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", base, got, want)
		}
	}
}
