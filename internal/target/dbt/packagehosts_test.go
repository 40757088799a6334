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

func TestSourcesOfPackages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		hosts  []string
		secret string
	}{
		"git: https://github.com/a/b.git":                              {[]string{"github.com"}, ""},
		"git: \"https://u:{{ env_var('X') }}@git.example.com:1/b\"":    {[]string{"git.example.com:1"}, ""},
		"git: \"https://u:{{ env_var('X', 'y') }}@git.example.com/b\"": {[]string{"git.example.com"}, ""},
		"git: \"https://{{ var('host') }}/b\"":                         {[]string{"computed"}, ""},
		"git: git@github.com:a/b.git":                                  {[]string{"github.com"}, ""},
		"package: dbt-labs/dbt_utils\n    version: 1.0.0":              {[]string{packageHub}, ""},
		"local: ../other":                        {nil, ""},
		"local: ../a:b":                          {nil, ""},
		"tarball: http://a.example.com/b.tar.gz": {[]string{"a.example.com"}, ""},
		"git: \"https://u:{{ env_var('DBT_ENV_SECRET_A') }}@e.com/b\"": {[]string{"e.com"}, "DBT_ENV_SECRET_A"},
		// What the text of the file doesn't show.
		`git: "https://u:{{ env_var(\"DBT_ENV_SECRET_A\") }}@e.com/b"`:     {[]string{"e.com"}, "DBT_ENV_SECRET_A"},
		`git: "https://u:{{ \x65nv_var('DBT_ENV_SECRET_A') }}@e.com/b"`:    {[]string{"e.com"}, "DBT_ENV_SECRET_A"},
		`git: "https://u:{{ env_var(var='DBT_ENV_SECRET_A') }}@e.com/b"`:   {[]string{"e.com"}, anySecret},
		`git: "https://u:{{ env_var('DBT_ENV_' ~ 'SECRET_A') }}@e.com/b"`:  {[]string{"e.com"}, anySecret},
		`git: "{{ 'https://' ~ env_var('DBT_ENV_SECRET_A') ~ '@e.com' }}"`: {[]string{"computed"}, "DBT_ENV_SECRET_A"},
		`local: "{{ var('x') }}"`:                        {[]string{unreadHost}, anySecret},
		`git: "{% set a = 'https://e.com' %}{{ a }}"`:    {[]string{"computed"}, anySecret},
		`git: "https:\x2f\x2fe.com/b"`:                   {[]string{"e.com"}, ""},
		"git: e.com:x.git":                               {[]string{"e.com"}, ""},
		"git: &a https://e.com/b\n  - git: *a":           {[]string{"e.com"}, ""},
		"git: https://a.com/b\n    git: https://e.com/b": {[]string{"a.com", "e.com"}, ""},
		"git: [": {nil, anySecret},
	} {
		hosts, secret := sourcesIn([]byte("packages:\n  - "+text+"\n"), true)
		if !slices.Equal(hosts, want.hosts) || secret != want.secret {
			t.Errorf("%s: got %q and %q, want %q and %q", text, hosts, secret, want.hosts, want.secret)
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
	for _, tt := range []struct {
		listed   bool
		variable string // of the configuration
	}{{}, {listed: true}, {true, "http_proxy"}, {true, "GIT_CONFIG_COUNT"}, {true, "SSL_CERT_FILE"}} {
		received.Store(false)
		listed, sent := tt.listed, tt.listed && tt.variable == ""
		cfg := shop(t)
		if tt.variable != "" {
			cfg.Environment = map[string]string{tt.variable: "0"}
		}
		write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - git: \"http://u:"+
			"{{ env_var('DBT_ENV_SECRET_GIT') }}@"+host+"/x.git\"\n    revision: main\n")
		cfg.PackageHost = func(to, name string) string {
			if listed && to == host {
				return ""
			}
			return name + " would go to " + to
		}
		_, err := cli(t, cfg).PreviewDeps(t.Context(), Deps{})
		if err == nil || received.Load() != sent {
			t.Errorf("%+v: the secret was sent: %t, %v", tt, received.Load(), err)
		}
		if listed && !sent {
			wantProblem(t, err, ErrEnvironment, tt.variable, "Nothing has been sent")
		}
		if !listed && !strings.Contains(err.Error(), "DBT_ENV_SECRET_GIT would go to "+host) {
			t.Errorf("got %v", err)
		}
	}
}
