package dbt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// packageHub is where dbt looks up packages by their names.
const packageHub = "hub.getdbt.com"

var (
	template      = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	readsSecret   = regexp.MustCompile(`env_var\s*\(\s*['"](DBT_ENV_SECRET_?\w*)`)
	urlHost       = regexp.MustCompile(`://([^/\s"']+)`)
	sshHost       = regexp.MustCompile(`[\w.-]+@([\w.-]+):`)
	packageOfName = regexp.MustCompile(`(?m)^\s*(?:-\s*|\{\s*)?["']?package["']?\s*:|[{,]\s*package\s*:`)
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
		secret := ""
		if m := readsSecret.FindSubmatch(data); m != nil {
			secret = string(m[1])
		}
		hosts := hostsIn(string(data))
		if len(hosts) == 0 && secret != "" {
			hosts = []string{"an address that the provider can't read"}
		}
		for _, host := range hosts {
			if why := c.cfg.PackageHost(host, secret); why != "" {
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

// hostsIn returns the hosts from which the packages in a file are fetched, with their ports. A host that a template
// computes is "computed".
func hostsIn(text string) (hosts []string) {
	text = template.ReplaceAllString(text, "computed")
	for _, m := range urlHost.FindAllStringSubmatch(text, -1) {
		hosts = append(hosts, m[1][strings.LastIndex(m[1], "@")+1:])
	}
	for _, m := range sshHost.FindAllStringSubmatch(urlHost.ReplaceAllString(text, ""), -1) {
		hosts = append(hosts, m[1])
	}
	if packageOfName.MatchString(text) {
		hosts = append(hosts, packageHub)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
