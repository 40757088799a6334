package approval

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Limits and notation of an allowed_signers text.
const (
	maxSigners     = 1 << 20 // bytes
	minRSABits     = 2048
	timeDay        = "20060102Z"
	timeMinute     = "200601021504Z"
	timeSecond     = "20060102150405Z"
	patternNegated = "!"
)

// Signer is one line of an allowed_signers file: whose signatures are accepted, and when.
type Signer struct {
	// Principals are patterns of identities. A pattern that begins with ! excludes.
	Principals []string
	Key        ssh.PublicKey
	// Authority reports that the key signs certificates, not approvals.
	Authority bool
	// Namespaces are patterns of signature namespaces. If empty, any namespace matches.
	Namespaces []string
	// After and Before limit when the line is valid. Zero times are no limit.
	After, Before time.Time
	Line          int
}

// ParseSigners parses a text in the format of OpenSSH's allowed_signers. It refuses unknown options instead of ignoring
// them. Times must be in UTC, because the time zone of the machine that reads the file must not matter.
func ParseSigners(text string) ([]Signer, error) {
	if len(text) > maxSigners {
		return nil, fmt.Errorf("the text has %d bytes; the maximum is %d", len(text), maxSigners)
	}
	var signers []Signer
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseSigner(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s.Line = i + 1
		signers = append(signers, s)
	}
	if len(signers) == 0 {
		return nil, errors.New("it names no signer")
	}
	return signers, nil
}

func parseSigner(line string) (Signer, error) {
	names, rest, err := principals(line)
	if err != nil {
		return Signer{}, err
	}
	key, _, options, more, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return Signer{}, fmt.Errorf("expected a public key such as \"ssh-ed25519 AAAA...\" after the principals: "+
			"%w", err)
	}
	if len(bytes.TrimSpace(more)) > 0 {
		return Signer{}, errors.New("there is more than one key on the line")
	}
	if err := checkKey(key); err != nil {
		return Signer{}, err
	}
	s := Signer{Principals: names, Key: key}
	seen := map[string]bool{}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		name = strings.ToLower(name)
		if seen[name] {
			return Signer{}, fmt.Errorf("option %s is set twice", name)
		}
		seen[name] = true
		if err := s.set(name, strings.Trim(value, `"`)); err != nil {
			return Signer{}, err
		}
	}
	if !s.Before.IsZero() && !s.After.Before(s.Before) {
		return Signer{}, errors.New("valid-before is not after valid-after")
	}
	return s, nil
}

// principals returns the principals in a line's first field, which may be in double quotes, and the rest of the line.
func principals(line string) (names []string, rest string, err error) {
	field, rest, ok := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	if strings.HasPrefix(line, `"`) {
		field, rest, ok = strings.Cut(line[1:], `"`)
	}
	if !ok || field == "" {
		return nil, "", errors.New("expected principals, options and a public key, separated by spaces")
	}
	for _, name := range strings.Split(field, ",") {
		bare := strings.TrimPrefix(name, patternNegated)
		if bare == "" || strings.TrimSpace(bare) != bare {
			return nil, "", fmt.Errorf("principal %q is empty or has blanks around it", name)
		}
		names = append(names, name)
	}
	return names, rest, nil
}

func (s *Signer) set(option, value string) (err error) {
	switch option {
	case "cert-authority":
		s.Authority = true
		if value != "" {
			return errors.New("option cert-authority takes no value")
		}
	case "namespaces":
		if s.Namespaces = strings.Split(value, ","); value == "" {
			return errors.New("option namespaces is empty")
		}
	case "valid-after":
		s.After, err = parseTime(value)
	case "valid-before":
		s.Before, err = parseTime(value)
	default:
		return fmt.Errorf("unknown option %q; must be one of cert-authority, namespaces, valid-after and "+
			"valid-before", option)
	}
	return err
}

func parseTime(value string) (time.Time, error) {
	for _, layout := range []string{timeDay, timeMinute, timeSecond} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: write it in UTC as YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ", value)
}

// checkKey refuses keys that are too weak to identify a person.
func checkKey(key ssh.PublicKey) error {
	wrapped, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil // a security key, whose kinds are all strong
	}
	if k, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
		return fmt.Errorf("the RSA key has %d bits; the minimum is %d", k.N.BitLen(), minRSABits)
	}
	return nil
}

// names reports whether the line's principals match the identity. Case is ignored.
func (s Signer) names(identity string) bool { return matchList(s.Principals, identity) }

// inNamespace reports whether the line is for approvals.
func (s Signer) inNamespace() bool {
	return len(s.Namespaces) == 0 || matchList(s.Namespaces, Namespace)
}

// matchList implements OpenSSH's pattern list: a pattern must match, and none that begins with ! may match.
func matchList(patterns []string, value string) bool {
	found := false
	for _, pattern := range patterns {
		bare := strings.TrimPrefix(pattern, patternNegated)
		if !wildcard(strings.ToLower(bare), strings.ToLower(value)) {
			continue
		}
		if bare != pattern {
			return false
		}
		found = true
	}
	return found
}

// wildcard matches * for any characters and ? for one, and all other characters literally.
func wildcard(pattern, value string) bool {
	const slash, stand = "/", "\x00"
	literal := strings.NewReplacer(`\`, `\\`, `[`, `\[`, slash, stand)
	ok, err := path.Match(literal.Replace(pattern), strings.ReplaceAll(value, slash, stand))
	return err == nil && ok
}
