package approval_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

func name(by string) approval.Approval { return approval.Approval{By: by} }

func TestSimpleUse(t *testing.T) {
	t.Parallel()
	d := approval.Policy{}.Decide(risky(), approval.Given{By: "me@example.com"})
	if !d.Granted || !d.Shown || d.By != "me@example.com" {
		t.Errorf("one name is not enough: %+v", d)
	}
	if d := (approval.Policy{}).Decide(approval.Case{Now: now}, approval.Given{}); !d.Granted || d.Needed {
		t.Errorf("a change that needs no approval: %+v", d)
	}
	if d := (approval.Policy{}).Decide(risky(), approval.Given{}); d.Granted || d.RefusedAtPlan ||
		!strings.Contains(d.Next, "set approved_by") {
		t.Errorf("no approval at all: %+v", d)
	}
}

// TestAdviceWithoutAPayload checks that the advice has no command to sign while there is nothing to sign yet.
func TestAdviceWithoutAPayload(t *testing.T) {
	t.Parallel()
	policy := approval.Policy{SignaturesRequired: true}
	c := approval.Case{Playbook: "rerun_dbt", Target: "dbt:shop/prod", Digest: digest, Reasons: []string{"it is risky"},
		Now: now}
	next := policy.Decide(c, approval.Given{}).Next
	if !strings.Contains(next, "the payload that the next plan shows") || strings.Contains(next, "ssh-keygen") {
		t.Errorf("advice: %s", next)
	}
}

func TestAttacksOnWhoApproves(t *testing.T) {
	t.Parallel()
	separate := func(requester string) func(*approval.Policy) {
		return func(p *approval.Policy) { p.SeparationOfDuties, p.Requesters = true, []string{requester} }
	}
	two := func(p *approval.Policy) { p.Minimum = 2 }
	const self = "needs somebody else"
	run(t, func() approval.Policy { return approval.Policy{Approvers: []string{"*@example.com"}} }, map[string]attack{
		"none":                         {given: approval.Given{By: boss}},
		"nobody":                       {says: "nobody has approved it"},
		"unknown approver":             {given: approval.Given{By: "eve@example.org"}, says: "not among the approvers"},
		"unknown approver in the list": {given: by(name("eve@example.org")), says: "not among the approvers"},
		"no name":                      {given: by(approval.Approval{Ticket: "T-1"}), says: "no approved_by"},
		"self":                         {policy: separate(boss), given: approval.Given{By: boss}, says: self},
		"self in other case": {policy: separate(boss), given: approval.Given{By: "BOSS@Example.COM"},
			says: self},
		"self by a plus address": {policy: separate(boss), given: approval.Given{By: "boss+approve@example.com"},
			says: self},
		"requester has a plus address": {policy: separate("boss+ci@example.com"), given: approval.Given{By: boss},
			says: self},
		"self in full-width letters": {policy: separate(boss), given: approval.Given{By: "ｂoss@example.com"},
			says: self},
		"self with a Cyrillic letter": {policy: separate(boss), given: approval.Given{By: "b\u043ess@example.com"},
			says: "U+043E"},
		"self with a hidden character": {policy: separate(boss), given: approval.Given{By: "boss\u200b@example.com"},
			says: "U+200B"},
		"self with a display name": {policy: func(p *approval.Policy) { separate(boss)(p); p.Approvers = nil },
			given: approval.Given{By: "The Boss <boss@example.com>"}, says: "can be taken for another"},
		"self with a domain's dot": {policy: func(p *approval.Policy) { separate(boss)(p); p.Approvers = nil },
			given: approval.Given{By: "boss@example.com."}, says: self},
		"self by login": {policy: separate("boss"), given: approval.Given{By: boss}, says: self},
		"a login that can't be told": {policy: separate("xy-91"), given: approval.Given{By: boss},
			says: "list all names of the requester"},
		"self by an alias": {policy: func(p *approval.Policy) {
			separate("xy-91")(p)
			p.Aliases = map[string][]string{boss: {"xy-91"}}
		}, given: approval.Given{By: boss}, says: self},
		"none: a login known as another": {policy: func(p *approval.Policy) {
			separate("xy-91")(p)
			p.Aliases = map[string][]string{lead: {"xy-91"}}
		}, given: approval.Given{By: boss}},
		"an address of another domain": {policy: separate("alice@private.example"),
			given: approval.Given{By: "alice.smith@example.com"}, says: `aliases = { "alice@private.example" = [] }`},
		"an address of another domain and a login": {policy: func(p *approval.Policy) {
			p.SeparationOfDuties, p.Requesters = true, []string{"alice@private.example", "alice"}
		}, given: approval.Given{By: "alice.smith@example.com"},
			says: `aliases = { "alice@private.example" = ["alice"] }`},
		"none: another domain, known by aliases": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Aliases = map[string][]string{"carol@private.example": {"carol"}}
		}, given: approval.Given{By: boss}},
		"none: another domain, both in groups": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Groups = map[string][]string{"all": {"carol@private.example", boss}}
		}, given: approval.Given{By: boss}},
		"another domain, a group's pattern": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Groups = map[string][]string{"all": {"*@private.example", boss}}
		}, given: approval.Given{By: boss}, says: "list all names"},
		"none: another domain, two keys": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Signers = signers(t, boss+" "+public(t, boss), "carol@private.example "+public(t, lead))
		}, given: approval.Given{By: boss}},
		"another domain, one key": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Signers = signers(t, boss+" "+public(t, boss), "carol@private.example "+public(t, boss))
		}, given: approval.Given{By: boss}, says: "list all names"},
		"self, hidden by aliases of one's own": {policy: func(p *approval.Policy) {
			separate("boss")(p)
			p.Aliases = map[string][]string{"nobody@example.com": {"boss"}}
			p.Claimed.Aliases = true
		}, given: approval.Given{By: boss}, says: "separation_of_duties needs somebody else"},
		"a login given away by aliases of one's own": {policy: func(p *approval.Policy) {
			separate("xy-91")(p)
			p.Aliases = map[string][]string{lead: {"xy-91"}}
			p.Claimed.Aliases = true
		}, given: approval.Given{By: boss}, says: "the runner's policy"},
		"another domain, a group of one's own": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Groups = map[string][]string{"all": {"carol@private.example", boss}}
			p.Claimed.Groups = true
		}, given: approval.Given{By: boss}, says: "the runner's policy"},
		"another domain, a forge of one's own": {policy: func(p *approval.Policy) {
			separate("carol@private.example")(p)
			p.Forge, p.Claimed.Forge = "github", true
		}, given: approval.Given{By: boss}, says: "the runner's policy"},
		"not in the runner's policy": {policy: func(p *approval.Policy) { p.RunnerApprovers = []string{lead} },
			given: approval.Given{By: boss}, says: "not among the approvers"},
		"none: in both policies": {policy: func(p *approval.Policy) { p.RunnerApprovers = []string{lead, boss} },
			given: approval.Given{By: boss}},
		"requester unknown": {policy: func(p *approval.Policy) { p.SeparationOfDuties = true },
			given: approval.Given{By: boss}, says: "set requester"},
		"none: somebody else": {policy: separate(lead), given: approval.Given{By: boss}},
		"one of two":          {policy: two, given: approval.Given{By: boss}, says: "1 of 2 people"},
		"the same one twice": {policy: two, given: by(name(boss), name("Boss@example.com")),
			says: "1 of 2 people"},
		"a plus address as the second": {policy: two, given: by(name(boss), name("boss+2@example.com")),
			says: "1 of 2 people"},
		"an alias as the second": {policy: func(p *approval.Policy) {
			two(p)
			p.Aliases = map[string][]string{boss: {"the.boss@example.com"}}
		}, given: by(name(boss), name("the.boss@example.com")), says: "1 of 2 people"},
		"none: two": {policy: two, given: approval.Given{By: boss, Approvals: []approval.Approval{name(lead)}}},
		"a group of others": {policy: func(p *approval.Policy) {
			p.Approvers, p.Groups = []string{"group:leads"}, map[string][]string{"leads": {lead}}
		}, given: approval.Given{By: boss}, says: "not among the approvers"},
		"a group that is gone": {policy: func(p *approval.Policy) { p.Approvers = []string{"group:leads"} },
			given: approval.Given{By: lead}, says: "not among"},
		"none: a group": {policy: func(p *approval.Policy) {
			p.Approvers, p.Groups = []string{"group:leads"}, map[string][]string{"leads": {lead}}
		}, given: approval.Given{By: lead}},
	})
}

func TestAttacksOnCountingKeys(t *testing.T) {
	t.Parallel()
	base := func() approval.Policy {
		p := strict(t)
		p.Minimum = 2
		return p
	}
	twice := signers(t, boss+" "+public(t, boss), boss+" "+public(t, "second key of boss"),
		"*@example.com "+public(t, lead))
	second := approval.Approval{By: boss, Signature: sign(t, key(t, "second key of boss"), payload, approval.Namespace)}
	other := approval.Approval{By: "other@example.com", Signature: sign(t, key(t, lead), payload, approval.Namespace)}
	run(t, base, map[string]attack{
		"none: two people, two keys": {given: by(signed(t, boss, payload), signed(t, lead, payload))},
		"two keys of one person": {policy: func(p *approval.Policy) { p.Signers = twice },
			given: by(signed(t, boss, payload), second), says: "1 of 2 people"},
		"one key for two names": {policy: func(p *approval.Policy) { p.Signers = twice },
			given: by(signed(t, lead, payload), other), says: "1 of 2 people"},
		"one signature for two": {policy: func(p *approval.Policy) { p.Signers = twice },
			given: by(signed(t, lead, payload), approval.Approval{By: "x@example.com",
				Signature: signed(t, lead, payload).Signature}), says: "1 of 2 people"},
		"the second is not signed": {given: by(signed(t, boss, payload), name(lead)), says: "1 of 2 people"},
	})
}

func TestRules(t *testing.T) {
	t.Parallel()
	many := approval.Rule{Name: "many models", Playbooks: []string{"rerun_dbt"}, Risk: "high", MinCount: 11, Minimum: 2}
	rule := func(r approval.Rule) func(*approval.Policy) {
		return func(p *approval.Policy) { p.Rules = []approval.Rule{r} }
	}
	count := func(n int) func(*approval.Case) { return func(c *approval.Case) { c.Count = n } }
	plain := func(c *approval.Case) { c.Reasons = nil }
	one := approval.Given{By: boss}
	run(t, func() approval.Policy { return approval.Policy{} }, map[string]attack{
		"none: ten models": {policy: rule(many), facts: count(10), given: one},
		"eleven models": {policy: rule(many), facts: count(11), given: one,
			says: `1 of 2 people have approved it for the rule "many models"`},
		"none: eleven models by two": {policy: rule(many), facts: count(11),
			given: by(name(boss), name(lead))},
		"none: another playbook": {policy: rule(many),
			facts: func(c *approval.Case) { c.Count, c.Playbook = 11, "clear_cache" }, given: one},
		"none: less risk": {policy: rule(many),
			facts: func(c *approval.Case) { c.Count, c.Risk = 11, "medium" }, given: one},
		"a risk nobody knows": {policy: rule(many),
			facts: func(c *approval.Case) { c.Count, c.Risk = 11, "" }, given: one, says: "1 of 2"},
		"a rule asks where the playbook does not": {policy: rule(approval.Rule{Name: "prod",
			Targets: []string{"*prod"}}), facts: plain, says: "nobody has approved it"},
		"another name of the target": {policy: rule(approval.Rule{Name: "prod", Targets: []string{"*prod"}}),
			facts: func(c *approval.Case) {
				c.Reasons, c.Target, c.OtherNames = nil, "dbt:shop/x", []string{"dbt:shop/prod"}
			},
			says: "nobody has approved it"},
		"none: another target": {policy: rule(approval.Rule{Name: "prod",
			Targets: []string{"*staging"}}), facts: plain},
		"cost": {policy: rule(approval.Rule{Name: "cost", MinCostUSD: 1,
			Minimum: 2}), given: one, says: "1 of 2"},
		"none: less cost": {policy: rule(approval.Rule{Name: "cost", MinCostUSD: 1.01,
			Minimum: 2}), given: one},
		"the wrong people": {policy: rule(approval.Rule{Name: "leads",
			Approvers: []string{lead}}), given: one, says: `for the rule "leads"`},
		"none: the right ones": {policy: rule(approval.Rule{Name: "leads",
			Approvers: []string{lead}}), given: approval.Given{By: lead}},
	})
}

// TestShownDoesNotChangeOverTime checks that a plan within apply shows the same as before.
func TestShownDoesNotChangeOverTime(t *testing.T) {
	t.Parallel()
	p := strict(t)
	p.MaxAge, p.Freeze = time.Hour, friday(t, "UTC")
	c := risky()
	c.FirstSeen = now.Add(-2 * time.Hour)
	d := p.Decide(c, by(signed(t, boss, payload)))
	if d.Granted || !d.Shown || d.By != boss {
		t.Errorf("granted %v, shown %v, by %q", d.Granted, d.Shown, d.By)
	}
}

func TestLoosened(t *testing.T) {
	t.Parallel()
	was := strict(t)
	was.Minimum, was.SeparationOfDuties, was.MaxAge = 2, true, time.Hour
	was.Rules, was.Freeze = []approval.Rule{{Name: "many", Minimum: 2}}, friday(t, "UTC")
	was.Maintenance, was.RunnerApprovers = friday(t, "UTC"), []string{lead, boss}
	was.Groups, was.Approvers = map[string][]string{"leads": {lead}}, []string{"group:leads", boss}
	for name, tt := range map[string]struct {
		change func(*approval.Policy)
		says   string
	}{
		"minimum":    {func(p *approval.Policy) { p.Minimum = 1 }, "minimum was 2 and is now 1"},
		"separation": {func(p *approval.Policy) { p.SeparationOfDuties = false }, "separation_of_duties was removed"},
		"signatures": {func(p *approval.Policy) { p.SignaturesRequired = false }, "signatures are no longer required"},
		"longer":     {func(p *approval.Policy) { p.MaxAge = 2 * time.Hour }, "max_age was 1h0m0s and is now 2h0m0s"},
		"for ever":   {func(p *approval.Policy) { p.MaxAge = 0 }, "unlimited"},
		"approver": {func(p *approval.Policy) { p.Approvers = append(slices.Clone(p.Approvers), "eve@example.org") },
			"new approvers: eve@example.org"},
		"member": {func(p *approval.Policy) { p.Groups = map[string][]string{"leads": {lead, "eve@example.org"}} },
			"new approvers: eve@example.org"},
		"anybody": {func(p *approval.Policy) { p.Approvers = nil }, "no longer restricted"},
		"signer": {func(p *approval.Policy) {
			p.Signers = append(slices.Clone(p.Signers), signers(t, "eve "+public(t, "eve"))...)
		}, "new in allowed_signers: eve SHA256:"},
		"validity": {func(p *approval.Policy) {
			p.Signers = signers(t,
				boss+` valid-before="20300101Z" `+public(t, boss))
		}, "new in allowed_signers"},
		"rule":   {func(p *approval.Policy) { p.Rules = nil }, `the rule "many" changed or was removed`},
		"freeze": {func(p *approval.Policy) { p.Freeze = nil }, `the freeze "weekend" changed or was removed`},
		"aliases": {func(p *approval.Policy) { p.Aliases = map[string][]string{boss: {"eve"}} },
			"aliases changed"},
		"the whole block": {func(p *approval.Policy) { *p = approval.Policy{} }, "signatures are no longer required"},
		"nothing":         {func(*approval.Policy) {}, ""},
		"requester": {func(p *approval.Policy) { p.Requester = "eve@example.com" },
			`requester was what the environment says and is now "eve@example.com"`},
		"maintenance": {func(p *approval.Policy) { p.Maintenance = nil },
			`maintenance window "weekend" changed or was`},
		"runner": {func(p *approval.Policy) { p.RunnerApprovers = nil }, "no longer restricts approvers"},
		"stricter": {func(p *approval.Policy) {
			p.Minimum, p.MaxAge, p.Approvers = 3, time.Minute,
				[]string{boss}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := was
			p.Aliases = map[string][]string{boss: {"b"}}
			before := p.Terms()
			tt.change(&p)
			got := strings.Join(p.Terms().Loosened(before), "; ")
			if !strings.Contains(got, tt.says) || (tt.says == "") != (got == "") {
				t.Errorf("got %q, want %q", got, tt.says)
			}
			x, errX := before.Fingerprint()
			y, errY := p.Terms().Fingerprint()
			if errX != nil || errY != nil || (x == y) != (name == "nothing") {
				t.Errorf("fingerprints %s, %s: %v, %v", x, y, errX, errY)
			}
		})
	}
}

func anyPlaybook(string) bool { return true }

func TestGroupsAreChecked(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]approval.Policy{
		"unknown":        {Approvers: []string{"group:nobody"}},
		"nested":         {Groups: map[string][]string{"a": {"group:b"}, "b": {lead}}},
		"bad member":     {Groups: map[string][]string{"a": {"[x"}}},
		"unknown inside": {Rules: []approval.Rule{{Approvers: []string{"group:nobody"}}}},
		"bad pattern":    {Freeze: []approval.Freeze{{BreakGlass: []string{" x"}}}},
	} {
		if p.Check(anyPlaybook) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
