package approval_test

import (
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

func TestAttacksOnSignatures(t *testing.T) {
	t.Parallel()
	good := signed(t, boss, payload)
	with := func(change func(*approval.Approval)) approval.Given {
		a := good
		change(&a)
		return by(a)
	}
	text := func(text string) approval.Given { return by(signed(t, boss, text)) }
	only := func(lines ...string) func(*approval.Policy) {
		return func(p *approval.Policy) { p.Signers = signers(t, lines...) }
	}
	spent := func(c *approval.Case) { c.Spent = map[string]int64{approval.SignatureHash(good.Signature): 17} }
	const other = "its signature is for something else"
	run(t, func() approval.Policy { return strict(t) }, map[string]attack{
		"none: a good signature": {given: by(good)},
		"none: line ends of another system": {given: with(func(a *approval.Approval) {
			a.Signature = strings.ReplaceAll(a.Signature, "\n", "\r\n")
		})},
		"no signature": {given: approval.Given{By: boss}, says: "it is not signed"},
		"of another digest": {given: text(approval.Payload("rerun_dbt", "dbt:shop/prod", "sha256:bbbb", "4f9c2a17-1")),
			says: other},
		"of another target": {given: text(approval.Payload("rerun_dbt", "dbt:shop/staging", digest, "4f9c2a17-1")),
			says: other},
		"of another playbook": {given: text(approval.Payload("clear_cache", "dbt:shop/prod", digest, "4f9c2a17-1")),
			says: other},
		"of an earlier execution":    {given: text(strings.Replace(payload, "-1", "-3", 1)), says: other},
		"for a line end more":        {given: text(payload + "\n"), says: other},
		"a break-glass for ordinary": {given: text(payload + " break-glass"), says: other},
		"another namespace": {given: by(approval.Approval{By: boss,
			Signature: sign(t, key(t, boss), payload, "git")}), says: `namespace "git"`},
		"namespace not granted": {policy: only(boss + ` namespaces="git,file" ` + public(t, boss)),
			given: by(good), says: "the namespaces git,file only"},
		"none: namespace granted": {policy: only(boss + ` namespaces="git,remed*" ` + public(t, boss)),
			given: by(good)},
		"somebody else's name": {given: with(func(a *approval.Approval) { a.By = lead }),
			says: "belongs to boss@example.com, not to"},
		"a key nobody knows": {given: by(approval.Approval{By: boss,
			Signature: sign(t, key(t, "eve"), payload, approval.Namespace)}),
			says: "list the key"},
		"a signer who was removed": {policy: only(lead + " " + public(t, lead)), given: by(good),
			says: "list the key"},
		"a signer who is excluded": {policy: only("*@example.com,!" + boss + " " + public(t, boss)), given: by(good),
			says: "belongs to"},
		"a key revoked by date": {policy: only(boss + ` valid-before="20260228Z" ` + public(t, boss)),
			given: by(good), says: "expired at 2026-02-28"},
		"a key of tomorrow": {policy: only(boss + ` valid-after="20260302Z" ` + public(t, boss)),
			given: by(good), says: "not valid before 2026-03-02"},
		"none: renewed on a new line": {policy: only(boss+` valid-before="20260228Z" `+public(t, boss),
			boss+" "+public(t, boss)), given: by(good)},
		"of an empty text where no plan has shown a payload": {
			facts: func(c *approval.Case) { c.Payload = "" }, given: text(""), says: other},
		"replay": {facts: spent, given: by(good), says: "its signature was used by execution 17"},
		"replay with other line ends": {facts: spent,
			given: with(func(a *approval.Approval) {
				a.Signature = strings.ReplaceAll(a.Signature, "\n",
					"\r\n")
			}), says: "execution 17"},
		"no signers to check against": {policy: func(p *approval.Policy) { p.Signers = nil }, given: by(good),
			says: "nothing to check its signature against"},
		"oversized": {given: by(approval.Approval{By: boss,
			Signature: armor([]byte(strings.Repeat("QUFB", 8<<10)))}), says: "bytes; the maximum is 16384"},
		"no armor": {given: by(approval.Approval{By: boss, Signature: "yes, I approve"}),
			says: "a signature must begin with"},
		"garbage in armor": {given: by(approval.Approval{By: boss, Signature: armor([]byte("QUFBQQ=="))}),
			says: "can't be read"},
		"cut": {given: with(func(a *approval.Approval) {
			a.Signature = a.Signature[:100] +
				"\n-----END SSH SIGNATURE-----\n"
		}), says: "can't be read"},
		"two in one": {given: with(func(a *approval.Approval) { a.Signature += a.Signature }),
			says: "a signature must begin with"},
		"with a header": {given: with(func(a *approval.Approval) {
			a.Signature = strings.Replace(a.Signature, "\n",
				"\nComment: x\n\n", 1)
		}), says: "has headers"},
		"too many": {given: by(make([]approval.Approval, 200)...), says: "only the first 100 are evaluated"},
	})
}

func TestAttacksOnCertificates(t *testing.T) {
	t.Parallel()
	made := func(signer ssh.Signer) approval.Given {
		return by(approval.Approval{By: boss, Signature: sign(t, signer, payload, approval.Namespace)})
	}
	base := func() approval.Policy {
		p := strict(t)
		p.Signers = signers(t, `*@example.com cert-authority,namespaces="remediation" `+public(t, "authority"))
		return p
	}
	run(t, base, map[string]attack{
		"none: a certificate": {given: made(certificate(t, boss, "authority", nil))},
		"of another authority": {given: made(certificate(t, boss, "eve", nil)),
			says: "list the key"},
		"of another person": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.ValidPrincipals = []string{lead} })), says: "principal"},
		"of nobody": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.ValidPrincipals = nil })), says: "names no principal"},
		"of a host": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.CertType = ssh.HostCert })), says: "not a user certificate"},
		"expired": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) })), says: "expired"},
		"not valid yet": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Unix()) + 1 })), says: "not yet valid"},
		"with conditions": {given: made(certificate(t, boss, "authority",
			func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"verify-required": ""} })),
			says: "critical option"},
		"the authority's own key": {given: made(key(t, "authority")), says: "list the key"},
		"no authority, only a key": {policy: func(p *approval.Policy) {
			p.Signers = signers(t,
				boss+" "+public(t, "authority"))
		}, given: made(certificate(t, boss, "authority", nil)),
			says: "list the key"},
		"the certificate was moved": {given: by(approval.Approval{By: lead,
			Signature: sign(t, certificate(t, boss, "authority", nil), payload, approval.Namespace)}),
			says: "principal"},
	})
}

func TestWrongCertificateIsRefusedAtAnyTime(t *testing.T) {
	t.Parallel()
	p := strict(t)
	p.Signers = signers(t, "*@example.com cert-authority "+public(t, "authority"))
	made := certificate(t, boss, "authority", func(c *ssh.Certificate) { c.ValidPrincipals = []string{lead} })
	if d := p.Decide(risky(), by(approval.Approval{By: boss,
		Signature: sign(t, made, payload, approval.Namespace)})); d.Shown {
		t.Error("a plan would show it as given")
	}
}

func TestWeakRSAIsRefused(t *testing.T) {
	t.Parallel()
	const weak = 1024
	private, err := rsa.GenerateKey(rand.Reader, weak)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	line := boss + " " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
	if _, err := approval.ParseSigners(line); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("allowed_signers with a weak key: %v", err)
	}
}

func TestSignersRefusesInvalidLines(t *testing.T) {
	t.Parallel()
	k := public(t, boss)
	for name, tt := range map[string]struct{ text, says string }{
		"good":              {text: "# comment\n\n" + boss + " " + k + " a comment\n"},
		"quoted principals": {text: `"boss@example.com,lead@example.com" namespaces="remediation" ` + k},
		"a tab":             {text: boss + "\t" + k},
		"unknown option": {text: boss + " no-touch-required " + k,
			says: `line 1: unknown option "no-touch-required"`},
		"misspelled option": {text: boss + ` valid-befor="20260101Z" ` + k, says: "unknown option"},
		"option twice":      {text: boss + ` namespaces="a",namespaces="b" ` + k, says: "twice"},
		"local time":        {text: boss + ` valid-before="20260101" ` + k, says: "in UTC"},
		"never valid": {text: boss + ` valid-after="20260102Z",valid-before="20260101Z" ` + k,
			says: "not after"},
		"no key":                   {text: boss, says: "expected principals"},
		"no principals":            {text: k, says: "public key"},
		"empty principal":          {text: "a,,b " + k, says: "is empty"},
		"empty namespaces":         {text: boss + ` namespaces="" ` + k, says: "is empty"},
		"value for cert-authority": {text: boss + ` cert-authority="yes" ` + k, says: "no value"},
		"nobody":                   {text: "# nobody\n", says: "names no signer"},
		"oversized":                {text: strings.Repeat("#", 2<<20), says: "the maximum is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := approval.ParseSigners(tt.text)
			if (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want one that says %q", err, tt.says)
			}
		})
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	claimed := func(d time.Duration) approval.Given {
		a := signed(t, boss, payload)
		a.At = at(d)
		return by(a)
	}
	covered := func(d time.Duration) approval.Given {
		a := signed(t, boss, payload+" approved_at="+at(d))
		a.At = at(d)
		return by(a)
	}
	moved := covered(-time.Hour)
	moved.Approvals[0].At = at(0)
	seen := func(d time.Duration) func(*approval.Case) { return func(c *approval.Case) { c.FirstSeen = now.Add(d) } }
	base := func() approval.Policy {
		p := strict(t)
		p.MaxAge = 24 * time.Hour
		return p
	}
	run(t, base, map[string]attack{
		"none: seen an hour ago": {given: by(signed(t, boss, payload))},
		"none: never seen before": {facts: func(c *approval.Case) { c.FirstSeen = time.Time{} },
			given: by(signed(t, boss, payload))},
		"expired by the journal": {facts: seen(-25 * time.Hour), given: by(signed(t, boss, payload)),
			says: "it expired"},
		"expired by its claim":     {given: claimed(-25 * time.Hour), says: "it expired"},
		"expired by its signature": {given: covered(-25 * time.Hour), says: "it expired"},
		"a claim can't make it younger": {facts: seen(-25 * time.Hour), given: claimed(0),
			says: "it expired"},
		"none: a signed time can":       {facts: seen(-25 * time.Hour), given: covered(-time.Hour)},
		"a signed time that was edited": {given: moved, says: "its signature is for something else"},
		"in the future":                 {given: covered(time.Hour), says: "is in the future"},
		"in the future, where age does not count": {policy: func(p *approval.Policy) { p.MaxAge = 0 },
			given: claimed(time.Hour), says: "is in the future"},
		"no time at all": {given: by(approval.Approval{By: boss,
			Signature: signed(t, boss, payload).Signature, At: "yesterday"}), says: "is not a time such as"},
		"none: unsigned with a time": {policy: func(p *approval.Policy) { p.SignaturesRequired = false },
			facts: seen(-48 * time.Hour),
			given: by(approval.Approval{By: boss, At: at(-time.Hour)})},
		"unsigned without one": {policy: func(p *approval.Policy) { p.SignaturesRequired = false },
			facts: seen(-48 * time.Hour),
			given: approval.Given{By: boss}, says: "it expired"},
	})
}
