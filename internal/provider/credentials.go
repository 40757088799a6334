package provider

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

// hostsVariable names the environment variable with the hosts, separated by commas, to which credentials from the
// environment may be sent even if their addresses come from the configuration.
const hostsVariable = "REMEDIATION_HOSTS"

// service is a web service that the provider calls, with the credential that it sends there.
type service struct {
	// url and token are the configured values. The paths of their attributes are at + ".url" and at + ".token".
	at         string
	url, token types.String
	// urlVariable and tokenVariable are the environment variables that are used if they are not set.
	urlVariable, tokenVariable string
}

// service returns the address and the token of a service. It refuses an address that the runner's policy doesn't list.
// It also refuses an address from the configuration if the token comes from the environment and the runner doesn't
// allow sending it there.
func (r runner) service(s service) (address, token string, err error) {
	address, token = first(s.url, s.urlVariable, ""), first(s.token, s.tokenVariable, "")
	if err := checkURL(s.at+".url", address); err != nil {
		return "", "", err
	}
	if err := r.open(s.at+".url", address); err != nil {
		return "", "", err
	}
	if err := checkToken(s.at+".token", token); err != nil || s.token.ValueString() != "" {
		return address, token, err
	}
	return address, token, r.entrust(destination{s.at + ".url", s.url.ValueString(), s.urlVariable}, s.tokenVariable)
}

// open refuses an address that the runner's policy doesn't list. where is the attribute of the address.
func (r runner) open(where, address string) error {
	if err := r.hosts.Check(address); err != nil {
		return problemAt(where, "The runner's policy doesn't allow this address", err.Error()+".",
			fmt.Sprintf("Nothing has run. Use an address that %s lists in hosts, or add this one to the list.",
				orEmpty(r.path)))
	}
	return nil
}

// destination is an address from the configuration to which a credential would be sent.
type destination struct {
	// where is the attribute of the address. address is its value, or empty if the address comes from elsewhere.
	where, address string
	// variable names the environment variable for the address.
	variable string
}

// entrust refuses to send a credential from the environment to an address from the configuration. Plan runs on pull
// requests, and anyone who edits the address would receive the credential. credentials are the names of the environment
// variables that would be used.
func (r runner) entrust(to destination, credentials ...string) error {
	used := ""
	for _, name := range credentials {
		if r.getenv(name) != "" {
			used = name
			break
		}
	}
	if used == "" || to.address == "" || r.trusts(to) {
		return nil
	}
	host := hostOf(to.address)
	return problemAt(to.where, "A credential from the environment would be sent to an address from the configuration",
		fmt.Sprintf("%s is set in the environment, and %s is named in the configuration, which the author of a change "+
			"can edit.", used, host),
		fmt.Sprintf("If it may be sent there, set %s=%s in the environment of the runner, or set %s there.",
			hostsVariable, host, to.variable))
}

// trusts reports whether the runner names the address: in the environment variable for it, in REMEDIATION_HOSTS, or in
// the policy's hosts.
func (r runner) trusts(to destination) bool {
	for _, own := range list(r.getenv(to.variable)) {
		if strings.TrimRight(own, "/") == strings.TrimRight(to.address, "/") {
			return true
		}
	}
	return access.Hosts(list(r.getenv(hostsVariable))).Lists(to.address) || r.hosts.Lists(to.address)
}

// hostOf returns the host and port of an address, as REMEDIATION_HOSTS takes them.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// list splits a value at commas. It returns nil for an empty value.
func list(value string) []string {
	var out []string
	for _, part := range strings.Split(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
