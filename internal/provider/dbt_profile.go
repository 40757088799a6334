package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// readsVars matches var('x') in a profile, but not env_var('x').
var readsVars = regexp.MustCompile(`(^|[^\w])var\s*\(`)

// mayConnect returns a function that says why a plan must not connect to the host in a dbt profile. The function
// returns "" if the plan may. A plan runs on pull requests, and the profile's password may be one of the runner's: it
// is only sent where the runner allows it. A profile in ~/.dbt or in the folder that DBT_PROFILES_DIR names is the
// runner's, unless the folder is in the project or the author of the change chooses a part of it. The runner must list
// the host of any other profile.
func (r runner) mayConnect(cfg dbt.Config) func(profilesDir, host string) string {
	return func(profilesDir, host string) string {
		if err := r.hosts.Check(host); err != nil {
			return err.Error()
		}
		if r.trusts(destination{address: host}) {
			return ""
		}
		whose := r.profileOf(cfg, profilesDir)
		if whose == "" {
			return ""
		}
		return fmt.Sprintf("%s, so the runner has to list the host: set %s=%s in its environment", whose,
			hostsVariable, host)
	}
}

// packageHost says why a plan must not resolve packages from a host, or returns "" if it may; see dbt.Config. A secret
// from the runner's environment is sent only to hosts that the runner lists.
func (r runner) packageHost(host, secret string) string {
	if err := r.hosts.Check(host); err != nil {
		return err.Error()
	}
	if secret == "" || r.trusts(destination{address: host}) {
		return ""
	}
	return fmt.Sprintf("%s would be sent to %s, so the runner has to list the host: set %s=%s in its environment",
		secret, host, hostsVariable, host)
}

// profileOf says which part of the profile the author of a change decides, or returns "" if the profile is the
// runner's.
func (r runner) profileOf(cfg dbt.Config, profilesDir string) string {
	dir := resolved(profilesDir)
	if inside, err := filepath.Rel(resolved(cfg.ProjectDir), dir); err == nil && filepath.IsLocal(inside) {
		return "profiles.yml is in the project"
	}
	home, _ := os.UserHomeDir() // without one, there is no ~/.dbt
	named := r.getenv("DBT_PROFILES_DIR")
	if (home == "" || dir != resolved(filepath.Join(home, ".dbt"))) && (named == "" || dir != resolved(named)) {
		return "the configuration names the folder of profiles.yml"
	}
	text, err := os.ReadFile(filepath.Join(dir, "profiles.yml"))
	if err != nil {
		return "profiles.yml can't be read"
	}
	for name := range cfg.Environment {
		if strings.Contains(string(text), name) {
			return "profiles.yml reads " + name + ", which the configuration sets"
		}
	}
	if readsVars.Match(text) {
		return "profiles.yml reads dbt variables, which the configuration can set"
	}
	return ""
}

// resolved returns the absolute path with links resolved, as far as that is possible.
func resolved(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
