package dbt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// packageHub is where dbt looks up packages by their names, unless hubVariable is set in its environment.
const (
	packageHub  = "hub.getdbt.com"
	hubVariable = "DBT_PACKAGE_HUB_URL"
)

var (
	template    = regexp.MustCompile(`(?s)\{[{%].*?[%}]\}`)
	readsSecret = regexp.MustCompile(`env_var\s*\(\s*['"](DBT_ENV_SECRET_?\w*)`)
	urlHost     = regexp.MustCompile(`://([^/\s"']+)`)
	sshHost     = regexp.MustCompile(`^(?:[^@/\s]+@)?([\w.-]+):`)
	// plainTemplate is a template that reads one variable by a name that is written out. Only such a template shows
	// that it reads no secret: Jinja can compute the name of a variable, and the function, in many ways.
	plainTemplate = regexp.MustCompile(`^\{\{-?\s*(?:env_)?var\s*\(\s*(?:'[\w.]+'|"[\w.]+")\s*` +
		`(?:,\s*(?:'[^']*'|"[^"]*")\s*)?\)\s*-?\}\}$`)
)

// What a message names where a file doesn't say it.
const (
	anySecret    = "a secret that a template may read"
	unreadHost   = "an address that the provider can't read"
	computedHost = "computed"
)

// checkPackageHosts refuses files that name packages if resolving them would open an address that may not be opened, or
// would send a secret from the environment to one that the runner doesn't list. A plan resolves packages, and the files
// may come from a pull request.
func (c *CLI) checkPackageHosts(files []string) error {
	if c.cfg.PackageHost == nil {
		return nil
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		hosts, secret := sourcesIn(data, filepath.Base(path) != projectFile)
		if hosts, err = c.withHub(hosts); err != nil {
			return err
		}
		if len(hosts) == 0 && secret != "" {
			hosts = []string{unreadHost}
		}
		for _, host := range hosts {
			why := c.cfg.PackageHost(host, secret)
			if name := c.reroutes(); why == "" && secret != "" && name != "" {
				why = fmt.Sprintf("%s would be sent to %s, and %s, which the configuration sets, can lead it elsewhere",
					secret, host, name)
			}
			if why != "" {
				return &problem.Problem{
					What: "The packages of the dbt project are not resolved",
					Why:  fmt.Sprintf("%s: %s.", filepath.Base(path), why),
					Next: "Nothing has been sent. Use packages of hosts that the runner lists, or have the host added.",
					Path: []string{"dbt", "project_dir"}, Err: errors.Join(ErrEnvironment, access.ErrRefused),
				}
			}
		}
	}
	return nil
}

// reroutes returns a variable of the configuration that can lead a request for packages to another server, or that
// makes it accept any certificate: a proxy, a certificate authority, or a setting of git or Python. It returns "" if
// there is none.
func (c *CLI) reroutes() string {
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Environment)) {
		upper := strings.ToUpper(name)
		if loadsCode(name) || strings.HasSuffix(upper, "_PROXY") || slices.Contains([]string{"SSL_CERT_FILE",
			"SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}, upper) {
			return name
		}
	}
	return ""
}

// packagesOf waits until dbt has resolved or fetched the packages that files name, and stops it when that takes too
// long: a host that accepts a connection and never answers would hold up the plan forever.
func (c *CLI) packagesOf(ctx context.Context, run *Run, files []string) (ending, error) {
	limited, cancel := context.WithTimeoutCause(ctx, c.cfg.PackagesTimeout, errPackagesTimeout)
	defer cancel()
	end := run.end(limited)
	if errors.Is(end.ctxErr, errPackagesTimeout) {
		return end, c.packagesTimedOut(files)
	}
	return end, end.failure()
}

// errPackagesTimeout is the cause of a context in which packages took too long.
var errPackagesTimeout = errors.New("the packages took too long")

func (c *CLI) packagesTimedOut(files []string) error {
	var all []string
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		hosts, _ := sourcesIn(data, filepath.Base(path) != projectFile)
		all = append(all, hosts...)
	}
	slices.Sort(all)
	all, err := c.withHub(slices.Compact(all))
	if err != nil {
		return err
	}
	from := ""
	if len(all) > 0 {
		from = " from " + strings.Join(all, ", ")
	}
	return c.mask(&problem.Problem{
		What: "dbt's packages can't be resolved in time",
		Why: fmt.Sprintf("dbt deps did not get the packages%s within %s, and was stopped.", from,
			text.Duration(c.cfg.PackagesTimeout)),
		Next: "Nothing has been changed. Check that these hosts can be reached and answer, then plan again.",
		Err:  errors.Join(ErrPackages, ErrTimeout),
	})
}

// withHub replaces dbt's package hub with the one that the environment of dbt names, if it names one.
func (c *CLI) withHub(hosts []string) ([]string, error) {
	at := slices.Index(hosts, packageHub)
	if at < 0 {
		return hosts, nil
	}
	env, err := c.environment(os.Environ(), nil)
	if err != nil {
		return nil, err
	}
	for _, pair := range env {
		if name, value, _ := strings.Cut(pair, "="); name == hubVariable && value != "" {
			hosts[at] = unreadHost
			if m := urlHost.FindStringSubmatch(value); m != nil {
				hosts[at] = m[1][strings.LastIndex(m[1], "@")+1:]
			}
		}
	}
	return hosts, nil
}

// sourcesIn returns the hosts from which the packages in a file are fetched, with their ports, and a secret that the
// file reads, or "". strict assumes that a template reads a secret unless it is plain: dbt_project.yml has templates
// that no address contains. dbt renders each value after it has read the YAML, so escapes of YAML are resolved first.
func sourcesIn(data []byte, strict bool) (hosts []string, secret string) {
	values, err := scalars(data)
	if err != nil {
		if strict {
			return nil, anySecret
		}
		return nil, "" // dbt reports the error
	}
	for _, v := range values {
		if secret == "" {
			secret = secretIn(v.text, strict)
		}
		switch {
		case v.key == "package":
			hosts = append(hosts, packageHub)
		case strict && v.key == "local" && template.MatchString(v.text):
			// The files of that package are not read.
			hosts, secret = append(hosts, unreadHost), cmp.Or(secret, anySecret)
		default:
			hosts = append(hosts, v.hosts()...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), secret
}

// secretIn returns the secret that the templates of a value read, or "".
func secretIn(text string, strict bool) string {
	if m := readsSecret.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	for _, t := range template.FindAllString(text, -1) {
		if strict && !plainTemplate.MatchString(t) {
			return anySecret
		}
	}
	return ""
}

// scalar is a value of a YAML file, and the key that it or its list stands under.
type scalar struct{ key, text string }

// scalars returns the values of a YAML file. It accepts repeated keys, which dbt accepts.
func scalars(data []byte) ([]scalar, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	const deepest = 100 // an alias may refer to what contains it
	var all []scalar
	var walk func(n *yaml.Node, key string, depth int)
	walk = func(n *yaml.Node, key string, depth int) {
		switch {
		case n == nil || depth > deepest:
		case n.Kind == yaml.AliasNode:
			walk(n.Alias, key, depth+1)
		case n.Kind == yaml.ScalarNode:
			all = append(all, scalar{key, n.Value})
		case n.Kind == yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i+1], n.Content[i].Value, depth+1)
			}
		default:
			for _, child := range n.Content {
				walk(child, key, depth+1)
			}
		}
	}
	walk(&root, "", 0)
	return all, nil
}

// hosts returns the hosts that a value names. A host that a template computes is "computed".
func (v scalar) hosts() (hosts []string) {
	text := template.ReplaceAllString(v.text, computedHost)
	for _, m := range urlHost.FindAllStringSubmatch(text, -1) {
		hosts = append(hosts, m[1][strings.LastIndex(m[1], "@")+1:])
	}
	fetched := v.key == "git" || v.key == "tarball" || v.key == "private"
	if m := sshHost.FindStringSubmatch(text); m != nil && len(hosts) == 0 && (fetched || strings.Contains(text, "@")) {
		hosts = append(hosts, m[1])
	}
	if fetched && len(hosts) == 0 && text != v.text {
		hosts = append(hosts, computedHost)
	}
	return hosts
}
