package approval

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// maxSignature limits an armored signature, in bytes. One with a certificate of a 4096-bit RSA key has about 4,000.
const maxSignature = 16 << 10

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
)

// weakRSA is the format of signatures by RSA with SHA-1. OpenSSH doesn't accept them either.
const weakRSA = "ssh-rsa"

// parseSignature parses exactly one armored SSH signature.
func parseSignature(text string) (*sshsig.Signature, error) {
	if len(text) > maxSignature {
		return nil, fmt.Errorf("the signature has %d bytes; the maximum is %d", len(text), maxSignature)
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if !strings.HasPrefix(text, armorBegin+"\n") || !strings.HasSuffix(text, "\n"+armorEnd) ||
		strings.Count(text, "-----BEGIN") != 1 {
		return nil, fmt.Errorf("a signature must begin with %q and end with %q, as ssh-keygen -Y sign writes it",
			armorBegin, armorEnd)
	}
	if strings.Contains(text, ":") {
		return nil, errors.New("the signature has headers, which ssh-keygen -Y sign does not write")
	}
	sig, err := sshsig.Unarmor([]byte(text + "\n"))
	if err != nil {
		return nil, fmt.Errorf("the signature can't be read: %w", err)
	}
	if sig.Signature.Format == weakRSA {
		return nil, errors.New("the signature uses RSA with SHA-1; sign with a current ssh-keygen")
	}
	return sig, nil
}

// verified describes a signature that is valid, perhaps except for the time.
type verified struct {
	// key is the fingerprint of the signer's key.
	key string
	// timed is why the signature isn't valid at this time, or "".
	timed string
}

// verify checks that sig covers text and was made by a key that the signers list for identity.
func verify(sig *sshsig.Signature, text, identity string, policy signing) (verified, error) {
	if sig.Namespace != Namespace {
		return verified{}, fmt.Errorf("the signature is for the namespace %q; sign with -n %s", sig.Namespace,
			Namespace)
	}
	if err := sshsig.Verify(strings.NewReader(text), sig, sig.PublicKey, sig.HashAlgorithm, Namespace); err != nil {
		return verified{}, errOtherText
	}
	key, cert := sig.PublicKey, (*ssh.Certificate)(nil)
	if c, ok := key.(*ssh.Certificate); ok {
		key, cert = c.Key, c
	}
	if err := checkKey(key); err != nil {
		return verified{}, err
	}
	found := verified{key: ssh.FingerprintSHA256(key)}
	why := fmt.Errorf("allowed_signers doesn't list the key %s for %q", found.key, identity)
	for _, s := range policy.signers {
		timed, err := s.grants(sig.PublicKey, cert, identity, policy.now)
		switch {
		case errors.Is(err, errOtherKey):
		case err != nil:
			why = err
		case timed == "":
			return verified{key: found.key}, nil
		case found.timed == "":
			found.timed = timed
		}
	}
	if found.timed != "" {
		return found, nil
	}
	return verified{}, why
}

// errOtherKey means that a line of allowed_signers is about another key.
var errOtherKey = errors.New("another key")

// errOtherText means that a signature does not cover the given text.
var errOtherText = errors.New("its signature is for something else: another change, another state of the target, or " +
	"another text than the payload")

// signing has the signers and the time that signatures are checked against.
type signing struct {
	signers []Signer
	now     time.Time
}

// grants returns an error if the line doesn't allow the key to sign for identity. If only the time is wrong, timed says
// why.
func (s Signer) grants(key ssh.PublicKey, cert *ssh.Certificate, identity string,
	now time.Time) (timed string, err error) {
	offered := key
	if s.Authority {
		if cert == nil {
			return "", errOtherKey
		}
		offered = cert.SignatureKey
	}
	if !bytes.Equal(offered.Marshal(), s.Key.Marshal()) {
		return "", errOtherKey
	}
	if !s.names(identity) {
		return "", fmt.Errorf("the key %s belongs to %s, not to %q", ssh.FingerprintSHA256(key),
			strings.Join(s.Principals, ","), identity)
	}
	if !s.inNamespace() {
		return "", fmt.Errorf("allowed_signers grants the key %s the namespaces %s only", ssh.FingerprintSHA256(key),
			strings.Join(s.Namespaces, ","))
	}
	if s.Authority {
		if timed, err = checkCertificate(cert, identity, now); err != nil || timed != "" {
			return timed, err
		}
	}
	switch {
	case !s.After.IsZero() && now.Before(s.After):
		return fmt.Sprintf("the key is not valid before %s", stamp(s.After)), nil
	case !s.Before.IsZero() && !now.Before(s.Before):
		return fmt.Sprintf("the key expired at %s", stamp(s.Before)), nil
	}
	return "", nil
}

// checkCertificate checks the kind, the principals, and the validity of a certificate. If only the time is wrong, timed
// says why.
func checkCertificate(cert *ssh.Certificate, identity string, now time.Time) (timed string, err error) {
	if cert.CertType != ssh.UserCert {
		return "", errors.New("the signature's certificate is not a user certificate")
	}
	if len(cert.ValidPrincipals) == 0 {
		return "", errors.New("the signature's certificate names no principal")
	}
	principal := identity
	for _, p := range cert.ValidPrincipals {
		if strings.EqualFold(p, identity) {
			principal = p
		}
	}
	// First check at the beginning of its validity, to separate the time from the other checks.
	//nolint:gosec // CheckCert refuses an overflow
	always := ssh.CertChecker{Clock: func() time.Time { return time.Unix(int64(cert.ValidAfter), 0) }}
	if err := always.CheckCert(principal, cert); err != nil {
		return "", fmt.Errorf("the signature's certificate: %w", err)
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	if err := checker.CheckCert(principal, cert); err != nil {
		return fmt.Sprintf("the signature's certificate: %s", err), nil
	}
	return "", nil
}

// CheckSignature returns an error if text is not an armored SSH signature, regardless of who made it and what it
// covers.
func CheckSignature(text string) error {
	_, err := parseSignature(text)
	return err
}
