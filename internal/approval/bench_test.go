package approval_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

// now is the time in these tests: a Sunday.
var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const (
	digest = "sha256:aaaa"
	boss   = "boss@example.com"
	lead   = "lead@example.com"
)

var payload = approval.Payload("rerun_dbt", "dbt:shop/prod", digest, "4f9c2a17-1")

// key is the key of a name. It is always the same.
func key(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// public is the key's line in an authorized_keys or allowed_signers file.
func public(t testing.TB, name string) string {
	t.Helper()
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key(t, name).PublicKey())))
}

func sign(t testing.TB, signer ssh.Signer, text, namespace string) string {
	t.Helper()
	sig, err := sshsig.Sign(strings.NewReader(text), signer, sshsig.HashSHA512, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(sig))
}

// signed is an approval by name, signed with the key of that name.
func signed(t testing.TB, name, text string) approval.Approval {
	t.Helper()
	return approval.Approval{By: name, Signature: sign(t, key(t, name), text, approval.Namespace)}
}

func signers(t testing.TB, lines ...string) []approval.Signer {
	t.Helper()
	list, err := approval.ParseSigners(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// strict requires signatures by boss or lead.
func strict(t testing.TB) approval.Policy {
	t.Helper()
	return approval.Policy{
		Approvers: []string{"*@example.com"}, SignaturesRequired: true,
		Signers: signers(t, boss+" "+public(t, boss), lead+" "+public(t, lead)),
	}
}

// risky is a change that needs an approval.
func risky() approval.Case {
	return approval.Case{
		Playbook: "rerun_dbt", Target: "dbt:shop/prod", Digest: digest, Payload: payload,
		Reasons: []string{"it is dangerous"},
		Risk:    "high", CostUSD: 1, Count: 2, Now: now, FirstSeen: now.Add(-time.Hour),
	}
}

func by(approvals ...approval.Approval) approval.Given { return approval.Given{Approvals: approvals} }

// attack is an attempt to bypass a policy. Without its changes, the policy grants.
type attack struct {
	policy func(*approval.Policy)
	facts  func(*approval.Case)
	given  approval.Given
	// says is part of the refusal. It is empty if the change must be granted.
	says string
}

func run(t *testing.T, base func() approval.Policy, attacks map[string]attack) {
	t.Helper()
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, c := base(), risky()
			if a.policy != nil {
				a.policy(&p)
			}
			if a.facts != nil {
				a.facts(&c)
			}
			d := p.Decide(c, a.given)
			if d.Granted != (a.says == "") || !strings.Contains(d.Missing, a.says) {
				t.Fatalf("granted %v, missing %q; want one that says %q", d.Granted, d.Missing, a.says)
			}
			if !d.Granted && (d.Next == "" || d.Who == "") {
				t.Errorf("the refusal doesn't teach: %+v", d)
			}
		})
	}
}

// certificate is the key of name with a certificate by authority for principals.
func certificate(t testing.TB, name, authority string, change func(*ssh.Certificate)) ssh.Signer {
	t.Helper()
	signer := key(t, name)
	cert := &ssh.Certificate{
		Key: signer.PublicKey(), CertType: ssh.UserCert, KeyId: name, ValidPrincipals: []string{name},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
	}
	if change != nil {
		change(cert)
	}
	if err := cert.SignCert(rand.Reader, key(t, authority)); err != nil {
		t.Fatal(err)
	}
	with, err := ssh.NewCertSigner(cert, signer)
	if err != nil {
		t.Fatal(err)
	}
	return with
}

// armor armors bytes as a signature.
func armor(blob []byte) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n", blob)
	return b.String()
}
