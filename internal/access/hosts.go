// Package access decides which addresses the provider may open and which programs it may start. The lists come from the
// runner, because a pull request can change the configuration, and plan runs on pull requests from strangers.
package access

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// ErrRefused marks an address or a program that may not be used.
var ErrRefused = errors.New("not allowed here")

const unixPrefix = "unix:"

// metadata returns the addresses of cloud metadata services that are not link-local. Such a service gives the machine's
// credentials to anyone who asks.
func metadata() []string {
	return []string{
		"fd00:ec2::254",   // AWS, IPv6
		"100.100.100.200", // Alibaba Cloud
		"192.0.0.192",     // Oracle Cloud
		"168.63.129.16",   // Azure's wire server
	}
}

// Hosts lists the addresses that may be opened. Nil allows every address; an empty list allows none. Link-local
// addresses and those of metadata services are refused in any case.
type Hosts []string

// CheckHosts returns the first invalid entry's index and why it is invalid. ok is true if all entries are valid.
func CheckHosts(entries []string) (index int, why string, ok bool) {
	for i, entry := range entries {
		if why := wrongEntry(entry); why != "" {
			return i, why, false
		}
	}
	return 0, "", true
}

func wrongEntry(entry string) string {
	const form = "write host, host:port, *.domain or unix:/path"
	if socket, ok := strings.CutPrefix(entry, unixPrefix); ok {
		if !path.IsAbs(socket) || path.Clean(socket) != socket {
			return "the path of a socket must be absolute and clean"
		}
		return ""
	}
	host, _ := split(entry)
	bare := strings.TrimPrefix(host, "*.")
	switch {
	case entry == "" || strings.TrimSpace(entry) != entry || strings.ContainsAny(entry, "/ \t@?#"):
		return form
	case bare == "" || strings.Contains(bare, "*"):
		return form
	}
	return ""
}

// Check returns an error that wraps ErrRefused if the address may not be opened. The address is a URL, host:port, or
// unix:/path.
func (h Hosts) Check(address string) error {
	if socket, ok := strings.CutPrefix(address, unixPrefix); ok {
		if h == nil || slices.Contains(h, unixPrefix+path.Clean(socket)) {
			return nil
		}
		return h.refused(address)
	}
	host, port := split(address)
	if host == "metadata.google.internal" || host == "metadata" {
		return fmt.Errorf("%w: %s is the address of a metadata service", ErrRefused, host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := checkIP(ip); err != nil {
			return err
		}
	} else if looksLikeIPv4(host) {
		return fmt.Errorf("%w: %s is a number, and not every system reads it as the same address; write it like "+
			"192.0.2.1", ErrRefused, host)
	}
	if h == nil || slices.ContainsFunc(h, func(entry string) bool { return matches(entry, host, port) }) {
		return nil
	}
	return h.refused(net.JoinHostPort(host, port))
}

// Lists reports whether the list contains the address. A nil list contains nothing.
func (h Hosts) Lists(address string) bool { return h != nil && h.Check(address) == nil }

func (h Hosts) refused(address string) error {
	return fmt.Errorf("%w: %s is not among the hosts that the runner allows (%s)", ErrRefused, address,
		text.OrNone(strings.Join(h, ", ")))
}

// notInNames are characters of addresses that are more than one name. PostgreSQL's client reads
// evil.org,x.example.com as two hosts, and /tmp/x.example.com and @x.example.com as sockets.
const notInNames = ",/\\@ \t"

func matches(entry, host, port string) bool {
	wanted, wantedPort := split(entry)
	if wantedPort != "" && wantedPort != port {
		return false
	}
	if domain, ok := strings.CutPrefix(wanted, "*"); ok {
		return strings.HasSuffix(host, domain) && len(host) > len(domain) && !strings.ContainsAny(host, notInNames)
	}
	return wanted == host
}

// split returns the host, in lower case, and the port of an address. A URL without a port has the port of http or
// https.
func split(address string) (host, port string) {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host, port = u.Hostname(), u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
	} else if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	} else {
		host = strings.Trim(address, "[]")
	}
	host = strings.TrimRight(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return host, port
}

// looksLikeIPv4 reports whether a host that is not an address in the usual form may still be read as one: 2852039166,
// 0xa9fea9fe and 169.254.43518 are all 169.254.169.254 to a proxy or a C library. The last label of a DNS name is never
// a number.
func looksLikeIPv4(host string) bool {
	last := host[strings.LastIndex(host, ".")+1:]
	if _, err := strconv.ParseUint(last, 10, 64); err == nil {
		return true
	}
	hex, found := strings.CutPrefix(last, "0x")
	return found && strings.Trim(hex, "0123456789abcdef") == ""
}

// embedded returns the IPv4 address in an IPv6 address that a network may translate, or ip itself.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip
	}
	b := ip.As16()
	for prefix, at := range map[string]int{
		"64:ff9b::/96":   12, // NAT64
		"64:ff9b:1::/48": 12, // NAT64 for local use
		"::/96":          12, // IPv4-compatible
		"2002::/16":      2,  // 6to4
	} {
		if netip.MustParsePrefix(prefix).Contains(ip) {
			return netip.AddrFrom4([4]byte(b[at : at+4]))
		}
	}
	return ip
}

// checkIP refuses link-local addresses and those of metadata services, which give credentials to anyone who asks.
func checkIP(ip netip.Addr) error {
	ip = embedded(ip)
	switch {
	case ip.IsLinkLocalUnicast():
		return fmt.Errorf("%w: %s is a link-local address, where metadata services give credentials away", ErrRefused,
			ip)
	case slices.Contains(metadata(), ip.String()):
		return fmt.Errorf("%w: %s is the address of a metadata service", ErrRefused, ip)
	}
	return nil
}

// Control refuses to connect to link-local addresses and metadata services. net.Dialer calls it with the address that a
// name was resolved to, because a name in public DNS may resolve to any address.
func Control(_, address string, _ syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil {
		return checkIP(to.Addr())
	}
	return nil // a socket on this machine: TCP addresses are numeric here
}
