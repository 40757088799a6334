package dbt

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHostsOfPackages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"packages:\n  - git: https://github.com/a/b.git":                           {"github.com"},
		"packages:\n  - git: \"https://u:{{ env_var('X') }}@git.example.com:1/b\"": {"git.example.com:1"},
		"packages:\n  - git: \"https://{{ var('host') }}/b\"":                      {"computed"},
		"packages:\n  - git: git@github.com:a/b.git":                               {"github.com"},
		"packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.0.0":           {packageHub},
		"packages:\n  - {package: dbt-labs/dbt_utils, version: 1.0.0}":             {packageHub},
		"packages:\n  - local: ../other":                                           nil,
		"packages:\n  - tarball: http://a.example.com/b.tar.gz":                    {"a.example.com"},
	} {
		if got := hostsIn(text); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestAttackPackagesThatSendASecret previews packages of a server that asks for a password, which the project takes
// from a secret of the runner's environment.
func TestAttackPackagesThatSendASecret(t *testing.T) {
	const secret = "secret-of-the-runner"
	t.Setenv("DBT_ENV_SECRET_GIT", secret)
	var received atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, encoded, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if said, err := base64.StdEncoding.DecodeString(encoded); err == nil && strings.Contains(string(said), secret) {
			received.Store(true)
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, listed := range []bool{false, true} {
		received.Store(false)
		cfg := shop(t)
		write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - git: \"http://u:"+
			"{{ env_var('DBT_ENV_SECRET_GIT') }}@"+host+"/x.git\"\n    revision: main\n")
		cfg.PackageHost = func(to, name string) string {
			if listed && to == host {
				return ""
			}
			return name + " would go to " + to
		}
		_, err := cli(t, cfg).PreviewDeps(t.Context(), Deps{})
		if err == nil || received.Load() != listed {
			t.Errorf("listed %t: the secret was sent: %t, %v", listed, received.Load(), err)
		}
		if !listed && !strings.Contains(err.Error(), "DBT_ENV_SECRET_GIT would go to "+host) {
			t.Errorf("got %v", err)
		}
	}
}
