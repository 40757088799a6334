package approval_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

// FuzzSignature passes arbitrary input to the signature parser, which may only accept the one valid signature.
func FuzzSignature(f *testing.F) {
	good := signed(f, boss, payload).Signature
	f.Add(good)
	f.Add(signed(f, boss, "other").Signature)
	f.Add(armor([]byte("QUFBQQ==")))
	f.Add("")
	p := strict(f)
	want := strings.Join(strings.Fields(good), "")
	f.Fuzz(func(t *testing.T, text string) {
		d := p.Decide(risky(), by(approval.Approval{By: boss, Signature: text}))
		if d.Granted && strings.Join(strings.Fields(text), "") != want {
			t.Errorf("granted by %q", text)
		}
	})
}

// FuzzSigners passes arbitrary input to the allowed_signers parser. What it accepts has principals, a key, and no
// unknown option.
func FuzzSigners(f *testing.F) {
	f.Add(boss + ` namespaces="remediation",valid-before="20300101Z" ` + public(f, boss))
	f.Add(`"a,!b" cert-authority ` + public(f, lead) + "\n# comment\n")
	f.Add("a ssh-ed25519")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := approval.ParseSigners(text)
		if err != nil {
			return
		}
		for _, s := range list {
			if len(s.Principals) == 0 || s.Key == nil || s.Line == 0 {
				t.Errorf("accepted %+v", s)
			}
		}
	})
}

// FuzzDigest checks that the canonical form is JSON, is stable, and preserves its input.
func FuzzDigest(f *testing.F) {
	f.Add("rerun_dbt", "dbt:shop/prod", `{"a":[1,2.50,"\u00e9<&>"],"b":null}`, "1")
	f.Add("", "", `{}`, "\u2028")
	f.Fuzz(func(t *testing.T, playbook, target, inputs, trigger string) {
		s := approval.Binding{Playbook: playbook, Target: target, Inputs: json.RawMessage(inputs),
			Triggers: map[string]string{"run": trigger}}
		canonical, err := s.Canonical()
		if err != nil {
			return
		}
		var back approval.Binding
		if err := json.Unmarshal(canonical, &back); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
		again, err := back.Canonical()
		if err != nil || string(again) != string(canonical) {
			t.Errorf("not stable: %s, %s (%v)", canonical, again, err)
		}
		if back.Playbook != playbook || back.Target != target || back.Triggers["run"] != trigger {
			t.Errorf("changed on its way: %s", canonical)
		}
	})
}

// FuzzIdentity checks that a canonical name is its own canonical form and contains plain characters only.
func FuzzIdentity(f *testing.F) {
	f.Add("Boss+x@Example.com")
	f.Add("ｂ\u043e\u200b")
	f.Fuzz(func(t *testing.T, name string) {
		once, err := approval.Canonical(name)
		if err != nil {
			return
		}
		if again, err := approval.Canonical(once); err != nil || again != once {
			t.Errorf("%q, then %q (%v)", once, again, err)
		}
		for _, r := range once {
			if r > 0x7e || r <= ' ' {
				t.Errorf("%q holds %q", once, r)
			}
		}
	})
}

// FuzzFreeze checks that every accepted rule can be evaluated, and quickly.
func FuzzFreeze(f *testing.F) {
	f.Add("FREQ=WEEKLY;BYDAY=FR;BYHOUR=16")
	f.Add("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")
	f.Add("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1,2,3;BYMINUTE=1,2,3")
	f.Fuzz(func(t *testing.T, rule string) {
		parsed, err := approval.Freeze{Name: "f", Recurrence: rule, Length: time.Hour}.Parse(time.UTC)
		if err != nil {
			return
		}
		began := time.Now()
		approval.Policy{Freeze: []approval.Freeze{parsed}}.Decide(risky(), approval.Given{By: boss})
		const patience = 5 * time.Second
		if took := time.Since(began); took > patience {
			t.Errorf("%q took %s", rule, took)
		}
	})
}
