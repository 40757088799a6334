package problem

import "net/url"

// WebAddress says why s is no address of a web server that may be shown, or nothing. What it says does not repeat s:
// who puts a password into an address does not want to read it in a log.
func WebAddress(s string) string {
	u, err := url.Parse(s)
	switch {
	case OneLine(s) != "":
		return "it " + OneLine(s)
	case err != nil:
		return "it can't be read as an address"
	case u.Scheme != "http" && u.Scheme != "https":
		return "it does not begin with http:// or https://"
	case u.Hostname() == "":
		return "it names no host"
	case u.User != nil:
		return "it holds a user name or a password, and addresses are shown in plans, logs and records"
	}
	return ""
}

// WebBase is WebAddress for one that paths are put behind.
func WebBase(s string) string {
	if why := WebAddress(s); why != "" {
		return why
	}
	if u, err := url.Parse(s); err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "it has a part after ? or #, and paths are put behind it"
	}
	return ""
}
