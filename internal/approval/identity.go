package approval

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// identityBytes are the characters of a name that can be compared: those of mail addresses and logins. Whatever lies
// beyond ASCII after normalization may be a look-alike of one of these.
const identityBytes = "abcdefghijklmnopqrstuvwxyz0123456789._-+=%~/:@"

// maxIdentity bounds a name, in bytes.
const maxIdentity = 255

// Canonical returns the one spelling of a person's name or address: normalized by NFKC, lower case, without the part
// after a plus sign and without the final dot of a domain. It returns an error where the name holds characters that
// can't be told from others.
func Canonical(identity string) (string, error) {
	if len(identity) > maxIdentity {
		return "", fmt.Errorf("a name of %d bytes; %d are allowed", len(identity), maxIdentity)
	}
	s := strings.ToLower(norm.NFKC.String(strings.TrimSpace(identity)))
	if s == "" {
		return "", fmt.Errorf("the name is empty")
	}
	for _, r := range s {
		if !strings.ContainsRune(identityBytes, r) {
			return "", fmt.Errorf("%q holds the character %q (U+%04X), which can be taken for another one; write a "+
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
		return "", fmt.Errorf("%q is no mail address", identity)
	}
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	return local + "@" + domain, nil
}

// person returns the canonical name behind identity, by the aliases.
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

// comparesPeople tells whether the policy has to tell people apart.
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

// separate returns why by may not approve what the requester asked for, or "".
func (p Policy) separate(by string) string {
	if !p.SeparationOfDuties {
		return ""
	}
	if len(p.Requesters) == 0 {
		return "it is not known who asked for the change: set requester in the provider's approval block " +
			"(separation_of_duties)"
	}
	approver, err := p.person(by)
	if err != nil {
		return err.Error()
	}
	comparable := false
	for _, requester := range p.Requesters {
		name, err := p.person(requester)
		switch {
		case err != nil:
			return "the requester can't be compared: " + err.Error()
		case name == approver, isAddress(name) != isAddress(approver) && local(name) == local(approver):
			return fmt.Sprintf("%q asked for the change, and separation_of_duties wants somebody else", requester)
		case isAddress(name) == isAddress(approver), p.aliased(name):
			comparable = true
		}
	}
	if !comparable {
		return fmt.Sprintf("it can't be told whether %q, who asked for the change, is the same person: name them in "+
			"aliases (separation_of_duties)",
			strings.Join(p.Requesters, ", "))
	}
	return ""
}

func isAddress(name string) bool { return strings.Contains(name, "@") }

// local is the part of an address before the @.
func local(name string) string {
	before, _, _ := strings.Cut(name, "@")
	return before
}

// aliased tells whether the aliases know a canonical name.
func (p Policy) aliased(name string) bool {
	for main := range p.Aliases {
		if same, err := Canonical(main); err == nil && same == name {
			return true
		}
	}
	return false
}
