package check

import "net/url"

// WebAddress returns why s is not an address of a web server or must not be shown, or "" if it is valid. The answer
// never repeats s, which may contain a password.
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
		return "it contains a user name or a password, and addresses are shown in plans, logs and records"
	}
	return ""
}

// WebBase is WebAddress for a base address, to which paths are appended.
func WebBase(s string) string {
	if why := WebAddress(s); why != "" {
		return why
	}
	if u, err := url.Parse(s); err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "it has a part after ? or #, and paths are appended to it"
	}
	return ""
}
