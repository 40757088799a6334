package provider

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

// hostsVariable lists hosts, separated by commas, whose addresses may come from the configuration while their
// credentials come from the environment.
const hostsVariable = "REMEDIATION_HOSTS"

// destination is an address of the configuration to which a credential would be sent.
type destination struct {
	// where is the attribute of the address, and address its value. Empty if the address comes from elsewhere.
	where, address string
	// variable is the environment variable of the address.
	variable string
}

// checkDestination refuses to send a credential from the environment to an address from the configuration. Plan runs on
// pull requests, and anyone who edits the address would receive the credential. credentials are the names of the
// environment variables that would be used.
func checkDestination(getenv func(string) string, to destination, credentials ...string) error {
	used := ""
	for _, name := range credentials {
		if getenv(name) != "" {
			used = name
			break
		}
	}
	if used == "" || to.address == "" {
		return nil
	}
	for _, own := range list(getenv(to.variable)) {
		if strings.TrimRight(own, "/") == strings.TrimRight(to.address, "/") {
			return nil
		}
	}
	if hosts := access.Hosts(list(getenv(hostsVariable))); hosts.Lists(to.address) {
		return nil
	}
	host := to.address
	if u, err := url.Parse(to.address); err == nil && u.Host != "" {
		host = u.Host
	}
	return problemAt(to.where, "A credential of the environment would go to an address of the configuration",
		fmt.Sprintf("%s is set in the environment, and %s is named in the configuration, which the author of a change "+
			"can edit.", used, host),
		fmt.Sprintf("If it may be sent there, set %s=%s in the environment of the runner, or set %s there.",
			hostsVariable, host, to.variable))
}

// list splits a value at commas. It returns nil for an empty one.
func list(value string) []string {
	var out []string
	for _, part := range strings.Split(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
