package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// TestDBTProfileHosts checks to which hosts a plan connects with the password of a dbt profile.
func TestDBTProfileHosts(t *testing.T) {
	project, home, named, other := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	const plain = "a: {host: db.example.com, password: \"{{ env_var('DBT_ENV_SECRET_PASSWORD') }}\"}"
	for dir, text := range map[string]string{
		project: plain, filepath.Join(home, ".dbt"): plain, named: plain, other: plain,
		filepath.Join(project, "inside"): plain,
		filepath.Join(other, "vars"):     "a: {host: \"{{ var('host') }}\"}",
		filepath.Join(other, "env"):      "a: {host: \"{{ env_var('DBT_ENV_CUSTOM_ENV_HOST') }}\"}",
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "profiles.yml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(project, link); err != nil {
		t.Fatal(err)
	}
	author := map[string]string{"DBT_ENV_CUSTOM_ENV_HOST": "evil.example.org"}
	for name, tt := range map[string]struct {
		dir, variable, listed string
		environment           map[string]string
		hosts                 access.Hosts
		why                   string
	}{
		"in the home folder":                   {dir: filepath.Join(home, ".dbt")},
		"of the environment":                   {dir: named, variable: named},
		"in the project":                       {dir: project, why: "is in the project"},
		"below the project":                    {dir: filepath.Join(project, "inside"), why: "is in the project"},
		"by a link":                            {dir: link, variable: link, why: "is in the project"},
		"in the project, named":                {dir: project, variable: project, why: "is in the project"},
		"in the project, listed":               {dir: project, listed: "db.example.com"},
		"in the project, listed by the policy": {dir: project, hosts: access.Hosts{"db.example.com"}},
		"not listed by the policy": {dir: named, variable: named, hosts: access.Hosts{},
			why: "not among the hosts"},
		"of the configuration": {dir: other, why: "the configuration names the folder"},
		"with a host of dbt's variables": {dir: filepath.Join(other, "vars"), variable: filepath.Join(other, "vars"),
			why: "reads dbt variables"},
		"with a host of the author": {dir: filepath.Join(other, "env"), variable: filepath.Join(other, "env"),
			environment: author, why: "reads DBT_ENV_CUSTOM_ENV_HOST"},
		"with a host of the runner's environment": {dir: filepath.Join(other, "env"),
			variable: filepath.Join(other, "env")},
	} {
		r := runner{hosts: tt.hosts, getenv: func(name string) string {
			return map[string]string{"DBT_PROFILES_DIR": tt.variable, hostsVariable: tt.listed}[name]
		}}
		why := r.mayConnect(dbt.Config{ProjectDir: project, Environment: tt.environment})(tt.dir, "db.example.com")
		if (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s: want %q, got %q", name, tt.why, why)
		}
	}
}
