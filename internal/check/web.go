package check

import "net/url"

// WebAddress says why s is not the address of a web server, or why it must not be shown; empty where it is fine. The
// answer never repeats s: a password in an address must not end up in a log.
func WebAddress(s string) string {
	u, err := url.Parse(s)
	switch {
	case OneLine(s) != "":
		return "it " + OneLine(s)
	case err != nil:
		return "it is not a valid address"
	case u.Scheme != "http" && u.Scheme != "https":
		return "it does not begin with http:// or https://"
	case u.Hostname() == "":
		return "it names no host"
	case u.User != nil:
		return "it holds a user name or a password, and addresses are shown in plans, logs and records"
	}
	return ""
}

// WebBase is WebAddress for an address that paths are appended to.
func WebBase(s string) string {
	if why := WebAddress(s); why != "" {
		return why
	}
	if u, err := url.Parse(s); err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "it has a part after ? or #, and paths are appended to it"
	}
	return ""
}
