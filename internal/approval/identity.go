package approval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// identityBytes are the characters of a name that can be compared: those of mail addresses and logins. Any character
// beyond ASCII after normalization may look like one of these.
const identityBytes = "abcdefghijklmnopqrstuvwxyz0123456789._-+=%~/:@"

// maxIdentity limits a name, in bytes.
const maxIdentity = 255

// Canonical returns the canonical spelling of a person's name or address: normalized by NFKC, in lower case, without
// the part after a plus sign and without the final dot of a domain. It returns an error if the name contains characters
// that could be confused with others.
func Canonical(identity string) (string, error) {
	if len(identity) > maxIdentity {
		return "", fmt.Errorf("a name of %d bytes; the maximum is %d", len(identity), maxIdentity)
	}
	s := strings.ToLower(norm.NFKC.String(strings.TrimSpace(identity)))
	if s == "" {
		return "", fmt.Errorf("the name is empty")
	}
	for _, r := range s {
		if !strings.ContainsRune(identityBytes, r) {
			return "", fmt.Errorf("%q contains the character %q (U+%04X), which can be taken for another one; write a "+
				"mail address or a login in plain ASCII",
				identity, r, r)
		}
	}
	local, domain, isAddress := strings.Cut(s, "@")
	if !isAddress {
		return s, nil
	}
	domain = strings.TrimRight(domain, ".")
	if local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", fmt.Errorf("%q is not an email address", identity)
	}
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	return local + "@" + domain, nil
}

// person returns the canonical name of identity, with aliases resolved.
func (p Policy) person(identity string) (string, error) {
	name, err := Canonical(identity)
	if err != nil {
		return "", err
	}
	for main, others := range p.Aliases {
		for _, other := range append([]string{main}, others...) {
			if same, err := Canonical(other); err == nil && same == name {
				return Canonical(main)
			}
		}
	}
	return name, nil
}

// comparesPeople reports whether the policy must distinguish people.
func (p Policy) comparesPeople() bool {
	if p.SeparationOfDuties || p.SignaturesRequired || p.Minimum > 1 {
		return true
	}
	for _, rule := range p.Rules {
		if rule.Minimum > 1 {
			return true
		}
	}
	return false
}

// separate returns why by may not approve the requester's change, or "". The policy must allow it both with and without
// the settings that the author of the change wrote.
func (p Policy) separate(by string) string {
	if !p.SeparationOfDuties {
		return ""
	}
	if why := p.apart(by); why != "" || p.Claimed == (Claimed{}) {
		return why
	}
	return p.proved().apart(by)
}

// apart makes the check of separate with the settings that p has.
func (p Policy) apart(by string) string {
	if len(p.Requesters) == 0 {
		return "it is not known who asked for the change: set requester in the provider's approval block " +
			"(separation_of_duties)"
	}
	approver, err := p.person(by)
	if err != nil {
		return err.Error()
	}
	apart := false
	for _, requester := range p.Requesters {
		name, err := p.person(requester)
		switch {
		case err != nil:
			return "the requester can't be compared: " + err.Error()
		case name == approver, isAddress(name) != isAddress(approver) && local(name) == local(approver):
			return fmt.Sprintf("%q asked for the change, and separation_of_duties needs somebody else", requester)
		case p.twoPeople(name, approver):
			apart = true
		}
	}
	if !apart {
		return fmt.Sprintf("it is not known whether %q, who asked for the change, is somebody else "+
			"(separation_of_duties): if so, list all names of the requester in %s, as in %s",
			strings.Join(p.Requesters, ", "), p.aliasesPlace(), p.aliasesLine())
	}
	return ""
}

// aliasesPlace says where aliases must be written to count.
func (p Policy) aliasesPlace() string {
	if p.Claimed != (Claimed{}) {
		return "the runner's policy, since the author of a change can edit the configuration"
	}
	return "the approval block"
}

// aliasesLine returns the configuration that makes the requester's names one person's.
func (p Policy) aliasesLine() string {
	others := make([]string, len(p.Requesters)-1)
	for i, name := range p.Requesters[1:] {
		others[i] = strconv.Quote(name)
	}
	return fmt.Sprintf("aliases = { %q = [%s] }", p.Requesters[0], strings.Join(others, ", "))
}

// twoPeople reports whether two different canonical names are known to belong to two people. This holds for names of
// one mail domain, and for two logins. A login and an address, or addresses of two domains, may be the same person's,
// unless the policy or the forge says otherwise.
func (p Policy) twoPeople(a, b string) bool {
	switch {
	case domain(a) == domain(b):
		return true
	case p.Forge != "": // the forge itself excludes the author
		return true
	case p.aliased(a), p.aliased(b):
		return true
	default:
		return p.writtenOut(a) && p.writtenOut(b) || p.twoKeys(a, b)
	}
}

func isAddress(name string) bool { return strings.Contains(name, "@") }

// local returns the part of an address before the @, or all of a login.
func local(name string) string {
	before, _, _ := strings.Cut(name, "@")
	return before
}

// domain returns the part of an address after the @. It is empty for a login.
func domain(name string) string {
	_, after, _ := strings.Cut(name, "@")
	return after
}

// writtenOut reports whether a group lists the canonical name itself, not only a pattern that matches it.
func (p Policy) writtenOut(name string) bool {
	for _, members := range p.Groups {
		for _, member := range members {
			if same, err := Canonical(member); err == nil && same == name {
				return true
			}
		}
	}
	return false
}

// twoKeys reports whether allowed_signers lists keys for each of the canonical names, and no key for both.
func (p Policy) twoKeys(a, b string) bool {
	owners := func(name string) (keys []string) {
		for _, s := range p.Signers {
			if slices.ContainsFunc(s.Principals, func(principal string) bool {
				same, err := Canonical(principal)
				return err == nil && same == name
			}) && !s.Authority {
				keys = append(keys, string(s.Key.Marshal()))
			}
		}
		return keys
	}
	of, others := owners(a), owners(b)
	return len(of) > 0 && len(others) > 0 &&
		!slices.ContainsFunc(of, func(key string) bool { return slices.Contains(others, key) })
}

// aliased reports whether a canonical name is the main name of a person in aliases.
func (p Policy) aliased(name string) bool {
	for main := range p.Aliases {
		if same, err := Canonical(main); err == nil && same == name {
			return true
		}
	}
	return false
}
