package planner

import (
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// CheckName returns why name can't be the name of a version, or an empty string. Names appear in paths and in lines of
// plans.
func CheckName(name string) string {
	if name == "." || name == ".." {
		return "leads to another path"
	}
	return check.Label(name)
}

// WrongName returns why one of the versions that a planner knows can't be named in a plan, or an empty string. The
// answer never repeats the name, which could imitate lines of the plan.
func WrongName[V any](versions map[string]V) string {
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		if why := CheckName(name); why != "" {
			return "The name of a version " + why + "."
		}
	}
	return ""
}

// Check returns a problem with ErrUnknownVersion if the version is not known.
func (s Split) Check(version string) error {
	if _, ok := s.Shares[version]; ok {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("There is no version %q", version),
		Why:  "The planner knows: " + strings.Join(s.Versions(), ", ") + ".",
		Next: "Name one of these, or make the version known to the planner first.", Err: ErrUnknownVersion,
	}
}

// Validate returns a problem with ErrShares if shares are not a split of the versions of s, or if they give traffic to
// a version that is down.
func (s Split) Validate(shares map[string]float64) error {
	sum := 0.0
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		share := shares[version]
		if err := s.Check(version); err != nil {
			return err
		}
		if math.IsNaN(share) || share < 0 || share > Whole {
			return badShares(fmt.Sprintf("The share of %s is %s.", version, Percent(share)))
		}
		if share > 0 && !s.Latent {
			if err := s.CheckUp(version); err != nil {
				return err
			}
		}
		if share > 0 && s.OnlyWhole && slices.Contains(s.Barred, version) {
			return badShares(fmt.Sprintf("%s has weight 0 in the router's configuration, and the balancing algorithm "+
				"has static weights: it can't be given any traffic.", version))
		}
		if !s.CanSet(share) {
			return badShares(s.whyNot(version, share))
		}
		sum += share
	}
	if math.Abs(sum-Whole) > Tolerance {
		return badShares(fmt.Sprintf("The shares sum to %s, not to 100%%.", Percent(sum)))
	}
	return nil
}

func (s Split) whyNot(version string, share float64) string {
	if s.OnlyWhole {
		return fmt.Sprintf("The planner's balancing algorithm has static weights: a version gets all of the traffic "+
			"or none, not %s.", Percent(share))
	}
	return fmt.Sprintf("This planner sets shares in steps of %s percentage points, which %s for %s is not.",
		Number(s.Resolution), Percent(share), version)
}

// CheckUp returns a problem with ErrNotDeployed if the version is down.
func (s Split) CheckUp(version string) error {
	if s.Deployed(version) {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("Version %s is not deployed", version),
		Why:  "It is known to the planner, but down, and can't take traffic.",
		Next: "Deploy it first (remediation_planner_deploy).", Err: ErrNotDeployed,
	}
}

// CheckWritable returns a problem with ErrForbidden if the planner would refuse a change.
func (s Split) CheckWritable() error {
	if s.ReadOnly == "" {
		return nil
	}
	return &problem.Problem{
		What: "The planner would refuse a change", Why: s.ReadOnly,
		Next: "Nothing was changed. Give the provider access that allows changes.", Err: ErrForbidden,
	}
}

func badShares(why string) error {
	return &problem.Problem{What: "Invalid traffic split", Why: why, Next: "Nothing was changed.", Err: ErrShares}
}

// Moved returns the problem for a change that was based on an outdated split.
func Moved(now Split) error { return MovedBy(now, now.ChangedBy) }

// MovedBy is Moved if it is known what has changed the split.
func MovedBy(now Split, what string) error {
	p := &problem.Problem{
		What: "Someone else changed the split", Why: "It is now " + Text(now.Shares) + ".",
		Next: "This change was not made, and theirs was left alone. Find out who moves the traffic, then plan again.",
		Err:  ErrMoved,
	}
	if what != "" {
		p.What = "The split changed: " + what
		p.Next = "This change was not made. Plan again from where the split is now."
	}
	return p
}

// Allows returns a problem if s is no longer the split on which the change was based, or if the change can't be made.
func (s Split) Allows(c Change) error {
	if s.Revision != c.Revision {
		return Moved(s)
	}
	return s.Validate(c.Shares)
}

// CheckDown returns a problem if the version is unknown or has traffic, and therefore can't be taken down.
func (s Split) CheckDown(version string) error {
	if err := s.Check(version); err != nil {
		return err
	}
	if share := s.Shares[version]; share > Tolerance {
		return &problem.Problem{
			What: fmt.Sprintf("Version %s can't be taken down", version),
			Why:  fmt.Sprintf("It still has %s of the traffic.", Percent(share)),
			Next: "Move its traffic away first.", Err: ErrHasTraffic,
		}
	}
	return nil
}

// Percent formats a share such as "33.333%".
func Percent(share float64) string { return Number(share) + "%" }

// Number formats a share without the percent sign and without needless digits.
func Number(share float64) string {
	const digits, bits = 3, 64
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(share*scale)/scale, 'f', -1, bits)
}

// Text formats shares for people, by version.
func Text(shares map[string]float64) string {
	parts := make([]string, 0, len(shares))
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		parts = append(parts, version+" "+Percent(shares[version]))
	}
	return strings.Join(parts, ", ")
}

// Host returns the form of a host that identities use: lower case, and one name for this machine.
func Host(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	// The kernel connects an unspecified address to this machine.
	ip := net.ParseIP(host)
	if host == thisMachine || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return thisMachine
	}
	if ip != nil {
		return ip.String()
	}
	return host
}

// thisMachine is the name of this machine in identities.
const thisMachine = "localhost"

// Address is the identity of the server at a URL.
type Address struct {
	Host string `json:"host"`
	Port string `json:"port"`
	Path string `json:"path,omitempty"`
}

// AddressOf returns the identity of base, an http or https URL.
func AddressOf(base string) Address {
	u, err := url.Parse(base)
	if err != nil {
		return Address{Host: base} // it was checked when the provider was configured
	}
	port := Port(u.Port())
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return Address{Host: Host(u.Hostname()), Port: port, Path: strings.TrimRight(path.Clean("/"+u.Path), "/")}
}

// Port returns a port without leading zeros.
func Port(port string) string {
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		return strconv.FormatUint(number, 10)
	}
	return port
}

// Aliases returns the other ways to write a URL that people use in a rule: with a host in lower case, without the
// default port, with a clean path, and with every name of this machine.
func Aliases(base string) []string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil
	}
	at := AddressOf(base)
	hosts := []string{at.Host}
	if at.Host == thisMachine {
		hosts = []string{thisMachine, "127.0.0.1", "[::1]"}
	} else if strings.Contains(at.Host, ":") {
		hosts = []string{"[" + at.Host + "]"}
	}
	authorities := make([]string, 0, len(hosts)+len(hosts))
	for _, host := range hosts {
		if at.Port != "" {
			authorities = append(authorities, host+":"+at.Port)
		}
		if standard := AddressOf(u.Scheme + "://x"); standard.Port == at.Port {
			authorities = append(authorities, host)
		}
	}
	var out []string
	for _, authority := range authorities {
		other := url.URL{Scheme: u.Scheme, Host: authority, Path: at.Path}
		if name := other.String(); name != base {
			out = append(out, name)
		}
	}
	return out
}

// Prefixed adds prefix before and suffix after each name.
func Prefixed(prefix string, names []string, suffix string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = prefix + name + suffix
	}
	return out
}
