package dbt

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// inherited are the variables of this process that dbt gets; a star matches any ending.
var inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
	"SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", // what Python needs on Windows
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"DBT_ENV_SECRET_*", "DBT_ENV_CUSTOM_ENV_*",
	"AWS_*", "AZURE_*", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CONFIG", "SNOWFLAKE_HOME",
	"KRB5_CONFIG", "KRB5CCNAME", "ODBCINI", "ODBCSYSINI", "PGPASSFILE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGSSLCERT",
	"PGSSLKEY",
	"SSH_AUTH_SOCK", "GIT_SSH_COMMAND",
}

// flagVariables are the variables, without their prefix DBT_ or DBT_ENGINE_, that set flags of dbt 1.11
// (dbt/cli/params.py) which change what runs, or which this package sets or depends on. All other flags
// (DBT_PARTIAL_PARSE, DBT_WARN_ERROR, ...) are allowed.
var flagVariables = []string{
	"ARTIFACT_STATE_PATH", "DEFER", "DEFER_STATE", "DEFER_TO_STATE", "EMPTY", "EVENT_TIME_END", "EVENT_TIME_START",
	"EXCLUDE_RESOURCE_TYPES",
	"EXPORT_SAVED_QUERIES", "FAIL_FAST", "FAVOR_STATE", "FAVOR_STATE_MODE", "FULL_REFRESH", "INCLUDE_SAVED_QUERY",
	"INDIRECT_SELECTION",
	"INTROSPECT", "LOG_FORMAT", "LOG_FORMAT_FILE", "LOG_LEVEL", "LOG_LEVEL_FILE", "LOG_PATH", "NO_PRINT",
	"PARTIAL_PARSE_FILE_PATH",
	"PRINT", "PROFILE", "PROFILES_DIR", "PROJECT_DIR", "QUIET", "RESOURCE_TYPES", "SAMPLE",
	"SEND_ANONYMOUS_USAGE_STATS",
	"SHOW_RESOURCE_REPORT", "SINGLE_THREADED", "STATE", "STORE_FAILURES", "TARGET", "TARGET_PATH",
	"UPLOAD_TO_ARTIFACTS_INGEST_API",
	"USE_COLORS", "USE_COLORS_FILE", "WRITE_JSON",
}

// elsewhere are the variables by which PostgreSQL's client connects to another server, or starts a session with other
// settings, than the profile says. A plan shows what the profile says, and the digest binds that.
var elsewhere = []string{"PGHOST", "PGHOSTADDR", "PGOPTIONS", "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR"}

// credential matches the names of inherited variables whose values are secrets.
var credential = regexp.MustCompile(`(?i)SECRET|TOKEN|PASSWORD|ACCESS_KEY`)

// environment returns the whole environment of a dbt process, sorted. own overrides Config.Environment, which
// overrides parent.
func (c *CLI) environment(parent []string, own map[string]string) ([]string, error) {
	if err := c.cfg.Check(); err != nil {
		return nil, err
	}
	env := passed(parent)
	maps.Copy(env, c.cfg.Environment)
	maps.Copy(env, own)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, nil
}

// passed returns the variables of parent that dbt inherits.
func passed(parent []string) map[string]string {
	env := map[string]string{}
	for _, entry := range parent {
		name, value, _ := strings.Cut(entry, "=")
		if isInherited(name) {
			env[name] = value
		}
	}
	return env
}

// withoutCredentials replaces the values of credentials that dbt inherits for its adapters, such as AWS_SESSION_TOKEN.
// A plan connects with none of them, and the project of a pull request could show them in pieces that can't be masked:
// in a relation's name, or in an error. Listing.Content contains only whether each is set. dbt itself keeps models from
// reading DBT_ENV_SECRET_*.
func withoutCredentials(parent []string) []string {
	out := make([]string, len(parent))
	for i, entry := range parent {
		name, value, _ := strings.Cut(entry, "=")
		if out[i] = entry; value != "" && isSecretName(name) && !strings.HasPrefix(name, "DBT_ENV_") {
			out[i] = name + "=" + withheld
		}
	}
	return out
}

// withheld is what a plan passes to dbt instead of a credential.
const withheld = "not-passed-at-plan"

func isInherited(name string) bool {
	return slices.ContainsFunc(inherited, func(pattern string) bool {
		prefix, star := strings.CutSuffix(pattern, "*")
		return name == pattern || star && strings.HasPrefix(name, prefix)
	})
}

// Check refuses, without any I/O, settings that change what the displayed command line runs: variables that are flags
// or lead the connection elsewhere, variables that make a program load code if the runner's policy lists the allowed
// programs, and a target that dbt would read as a flag. Errors are problems that wrap ErrEnvironment or
// ErrUnknownTarget, with the attribute's path.
func (c Config) Check() error {
	if strings.HasPrefix(c.Target, "-") || (c.Target != "" && check.Label(c.Target) != "") {
		return &problem.Problem{
			What: "Invalid dbt target", Why: fmt.Sprintf("%q begins with - or contains invisible characters.",
				c.Target),
			Next: "Specify one of the profile's targets.", Path: []string{"dbt", "target"}, Err: ErrUnknownTarget,
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		why := ""
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || check.OneLine(name) != "":
			why = fmt.Sprintf("%q is not a valid variable.", name)
		case strings.Contains(c.Environment[name], "\x00"):
			why = "The value of " + name + " contains a null character, which ends it."
		case c.Executables != nil && loadsCode(name):
			why = name + " makes a program load code from elsewhere, and the runner's policy lists the programs " +
				"that may be started."
		default:
			why = notShown(name)
		}
		if why == "" {
			continue
		}
		return &problem.Problem{
			What: "A variable can't be passed to dbt",
			Why:  why,
			Next: "Remove it; use the attributes of the provider's dbt block and of the resource instead.",
			Path: []string{"dbt", "environment", problem.Key(name)},
			Err:  ErrEnvironment,
		}
	}
	return nil
}

// notShown returns why a variable would change what runs without being shown and approved, or "".
func notShown(name string) string {
	switch {
	case isFlag(name):
		return name + " is a flag of dbt: it would change what runs without being part of the command that is shown " +
			"and approved."
	case slices.Contains(elsewhere, name):
		return name + " makes PostgreSQL's client connect differently than the profile says, which is what is shown " +
			"and approved."
	default:
		return ""
	}
}

// loadsCode reports whether a variable makes dbt, Python, git, or a shell load or start something else.
func loadsCode(name string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc([]string{"PYTHON", "LD_", "DYLD_", "GIT_", "COVERAGE_"},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) }) ||
		slices.Contains([]string{"PATH", "HOME", "BASH_ENV", "ENV", "SHELL", "XDG_CONFIG_HOME", "VIRTUAL_ENV"}, name)
}

func isFlag(name string) bool {
	short, ok := strings.CutPrefix(strings.ToUpper(name), "DBT_")
	if !ok {
		return false
	}
	short = strings.TrimPrefix(short, "ENGINE_")
	// dbt's recorder can replay an earlier run instead of running.
	return slices.Contains(flagVariables, short) || strings.HasPrefix(short, "RECORDER_")
}

// secretsOf returns the secrets in the configured environment and among the variables that dbt inherits from parent.
func secretsOf(configured map[string]string, parent []string) []string {
	var secrets []string
	for name, value := range configured {
		if !isInherited(name) || isSecretName(name) || strings.HasPrefix(name, "DBT_ENV_") {
			secrets = append(secrets, value)
		}
	}
	for name, value := range passed(parent) {
		if isSecretName(name) {
			secrets = append(secrets, value)
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				secrets = append(secrets, password)
			}
		}
	}
	return secrets
}

func isSecretName(name string) bool { return credential.MatchString(name) }

// mask masks secrets in the texts of p.
func (c *CLI) mask(p *problem.Problem) *problem.Problem {
	masked := *p
	masked.What, masked.Why, masked.Next = c.secrets.String(p.What), c.secrets.String(p.Why), c.secrets.String(p.Next)
	return &masked
}
