package approval_test

import (
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

func TestAttacksOnTheForge(t *testing.T) {
	t.Parallel()
	approved := func(logins ...string) func(*approval.Case) {
		return func(c *approval.Case) {
			c.Confirmed = &approval.Confirmed{By: logins, Change: "acme/search pull request 12 at commit 6dcb09b"}
		}
	}
	two := func(p *approval.Policy) { p.Minimum = 2 }
	frozen := func(p *approval.Policy) {
		p.Freeze = friday(t, "UTC", func(f *approval.Freeze) {
			f.Recurrence, f.Length = "FREQ=DAILY;BYHOUR=0;BYMINUTE=0;BYSECOND=0", 24*time.Hour
		})
	}
	breaking := approval.Given{By: lead, Approvals: []approval.Approval{{By: boss, BreakGlass: true}}}
	const not = "they have not approved acme/search pull request 12"
	run(t, func() approval.Policy {
		return approval.Policy{Forge: "github acme/search", Approvers: []string{"*@example.com", "octo*"},
			Aliases: map[string][]string{boss: {"octo-boss", "chief"}}}
	}, map[string]attack{
		"none":                         {facts: approved("Octo-Boss"), given: approval.Given{By: boss}},
		"none: the login is the name":  {facts: approved("octodad"), given: approval.Given{By: "octodad"}},
		"none: both by alias":          {facts: approved("chief"), given: approval.Given{By: "octo-boss"}},
		"nobody approved there":        {facts: approved(), given: approval.Given{By: boss}, says: not},
		"somebody else approved there": {facts: approved("eve"), given: approval.Given{By: boss}, says: not},
		"a login like the local part":  {facts: approved("lead"), given: approval.Given{By: lead}, says: not},
		"a login that can't be told": {facts: approved("b\u043ess@example.com", "octo-boss[bot]"),
			given: approval.Given{By: boss}, says: not},
		"a name that can't be told": {facts: approved("octo-boss"),
			given: approval.Given{By: "b\u043ess@example.com"}, says: "U+043E"},
		"approved there, unnamed here": {facts: approved("octo-boss"), says: "nobody has approved it"},
		"a stranger who approved there": {facts: approved("eve@example.org"),
			given: approval.Given{By: "eve@example.org"},
			says:  "not among the approvers"},
		"the forge is down": {facts: func(c *approval.Case) {
			c.Confirmed = &approval.Confirmed{By: []string{"octo-boss"}, Problem: "status 503"}
		},
			given: approval.Given{By: boss}, says: "status 503"},
		"wrote a commit under another address": {facts: func(c *approval.Case) {
			c.Confirmed = &approval.Confirmed{By: []string{"octo-boss"}, Authors: []string{"eve", "Boss@Example.com"},
				Change: "acme/search pull request 12"}
		}, given: approval.Given{By: boss}, says: `they are an author of acme/search pull request 12`},
		"the forge was not asked": {given: approval.Given{By: boss}, says: "the forge was not asked"},
		"one of two there": {policy: two, facts: approved("octo-boss"), given: by(name(boss), name(lead)),
			says: "1 of 2 people"},
		"one there as two here": {policy: two, facts: approved("octo-boss", "chief"),
			given: by(name(boss), name("octo-boss")), says: "1 of 2 people"},
		"none: two": {policy: two, facts: approved("octo-boss", lead), given: by(name(boss), name(lead))},
		"a break-glass": {policy: frozen, facts: approved(lead), given: breaking,
			says: "no break-glass approval"},
		"none: a break-glass": {policy: frozen, facts: approved(lead, "chief"), given: breaking},
	})
}

func TestForgeDoesNotChangeWhatAPlanShows(t *testing.T) {
	t.Parallel()
	p := approval.Policy{Forge: "github acme/search"}
	for _, said := range []*approval.Confirmed{nil, {}, {Problem: "down"}, {By: []string{boss}}} {
		c := risky()
		c.Confirmed = said
		if d := p.Decide(c, approval.Given{By: boss}); !d.Shown || d.By != boss ||
			d.Granted != (said != nil && len(said.By) > 0) {
			t.Errorf("%+v: %+v", said, d)
		}
	}
	c := risky()
	c.Reasons = nil
	if p.NeedsForge(c, approval.Given{By: boss}) || !p.NeedsForge(risky(), approval.Given{}) ||
		(approval.Policy{}).NeedsForge(risky(), approval.Given{}) {
		t.Error("the forge is needed where an approval is needed and a forge is named, and nowhere else")
	}
}
