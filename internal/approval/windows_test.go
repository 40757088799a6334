package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

func friday(t testing.TB, zone string, change ...func(*approval.Freeze)) []approval.Freeze {
	t.Helper()
	f := approval.Freeze{Name: "weekend", Recurrence: "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16;BYMINUTE=0;BYSECOND=0",
		Length: 64 * time.Hour}
	for _, c := range change {
		c(&f)
	}
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := f.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	return []approval.Freeze{parsed}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	at := func(s string) func(*approval.Case) {
		return func(c *approval.Case) {
			when, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Error(err)
			}
			c.Now = when
		}
	}
	glass := approval.Approval{By: lead, BreakGlass: true}
	ordinary := approval.Given{By: boss}
	broken := approval.Given{By: boss, Approvals: []approval.Approval{glass}}
	onlyBoss := func(p *approval.Policy) {
		p.Freeze = friday(t, "UTC", func(f *approval.Freeze) { f.BreakGlass = []string{boss} })
	}
	const closed = `the freeze "weekend" is in force until 2026-03-02T08:00:00Z`
	base := func() approval.Policy { return approval.Policy{Freeze: friday(t, "UTC")} }
	run(t, base, map[string]attack{
		"within the window":                  {given: ordinary, says: closed},
		"a change that needs no approval":    {facts: func(c *approval.Case) { c.Reasons = nil }, says: closed},
		"none: broken":                       {given: broken},
		"break-glass instead of an approval": {given: by(glass), says: "nobody has approved it"},
		"broken by the wrong one":            {policy: onlyBoss, given: broken, says: closed},
		"none: before":                       {facts: at("2026-02-27T15:59:59Z"), given: ordinary},
		"its first moment":                   {facts: at("2026-02-27T16:00:00Z"), given: ordinary, says: closed},
		"its last moment":                    {facts: at("2026-03-02T07:59:59Z"), given: ordinary, says: closed},
		"none: after":                        {facts: at("2026-03-02T08:00:00Z"), given: ordinary},
		"none: read in the time zone": {policy: func(p *approval.Policy) {
			p.Freeze = friday(t,
				"America/New_York")
		}, facts: at("2026-02-27T20:59:59Z"), given: ordinary},
		"read in the time zone": {policy: func(p *approval.Policy) {
			p.Freeze = friday(t,
				"America/New_York")
		}, facts: at("2026-02-27T21:00:00Z"), given: ordinary, says: "in force"},
		"in summer time an hour earlier": {policy: func(p *approval.Policy) {
			p.Freeze = friday(t,
				"America/New_York")
		}, facts: at("2026-07-03T20:00:00Z"), given: ordinary, says: "in force"},
		"none: broken, with a signature": {policy: func(p *approval.Policy) {
			*p = strict(t)
			p.Freeze = friday(t,
				"UTC")
		}, given: by(signed(t, boss, payload), breaking(t, payload+" break-glass"))},
		"break-glass by an ordinary signature": {policy: func(p *approval.Policy) {
			*p = strict(t)
			p.Freeze = friday(t,
				"UTC")
		}, given: by(signed(t, boss, payload), breaking(t, payload)), says: "no break-glass approval"},
	})
	d := base().Decide(risky(), broken)
	if len(d.Remarks) != 1 || !strings.Contains(d.Remarks[0], "break-glass by lead@example.com") {
		t.Errorf("the history isn't told: %q", d.Remarks)
	}
}

func breaking(t testing.TB, text string) approval.Approval {
	t.Helper()
	a := signed(t, lead, text)
	a.BreakGlass = true
	return a
}

func TestFreezeRefusesInvalidWindows(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]approval.Freeze{
		"no rule":         {Recurrence: "fridays", Length: time.Hour},
		"too fine":        {Recurrence: "FREQ=SECONDLY", Length: time.Hour},
		"too short":       {Recurrence: "FREQ=DAILY", Length: time.Second},
		"too long":        {Recurrence: "FREQ=DAILY", Length: 1000 * time.Hour},
		"another start":   {Recurrence: "DTSTART=20240101T000000Z;FREQ=DAILY", Length: time.Hour},
		"unknown part":    {Recurrence: "FREQ=DAILY;BYMOON=FULL", Length: time.Hour},
		"out of bounds":   {Recurrence: "FREQ=DAILY;BYHOUR=25", Length: time.Hour},
		"several at once": {Recurrence: "FREQ=DAILY\nFREQ=DAILY\nFREQ=DAILY", Length: time.Hour},
	} {
		if _, err := f.Parse(time.UTC); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestMaintenanceWindow uses the window from Friday 16:00 to Monday 08:00 for one playbook.
func TestMaintenanceWindow(t *testing.T) {
	t.Parallel()
	glass := approval.Approval{By: boss, BreakGlass: true}
	for name, tt := range map[string]struct {
		playbook, outside string
		at                time.Time
		given             approval.Given
		says              string
	}{
		"within": {"rerun_dbt", "", now, approval.Given{}, ""},
		"outside": {"rerun_dbt", "", now.AddDate(0, 0, 3), approval.Given{},
			"(it opens 2026-03-06T16:00:00Z)"},
		"outside, approved": {"rerun_dbt", "", now.AddDate(0, 0, 3), approval.Given{By: boss},
			"no break-glass approval"},
		"outside, broken": {"rerun_dbt", "", now.AddDate(0, 0, 3), by(glass), ""},
		"asks, not given": {"rerun_dbt", "approval", now.AddDate(0, 0, 3), approval.Given{},
			"where an approval is needed"},
		"asks, given": {"rerun_dbt", "approval", now.AddDate(0, 0, 3), approval.Given{By: boss}, ""},
		"asks, stranger": {"rerun_dbt", "approval", now.AddDate(0, 0, 3), by(name("eve@example.org")),
			"approval is needed"},
		"another playbook": {"clear_cache", "", now.AddDate(0, 0, 3), approval.Given{}, ""},
	} {
		p := approval.Policy{Approvers: []string{"*@example.com"}, Maintenance: friday(t, "UTC",
			func(f *approval.Freeze) { f.Playbooks, f.Outside = []string{"rerun_dbt"}, tt.outside })}
		c := approval.Case{Playbook: tt.playbook, Target: "x", Digest: digest, Now: tt.at}
		d := p.Decide(c, tt.given)
		if d.Granted != (tt.says == "") || !strings.Contains(d.Missing, tt.says) || !d.Shown {
			t.Errorf("%s: granted %t, %q", name, d.Granted, d.Missing)
		}
		if used := len(d.Used) > 0; used != (d.Granted && len(tt.given.All()) > 0) {
			t.Errorf("%s: used %v", name, d.Used)
		}
	}
	bad := approval.Policy{Maintenance: friday(t, "UTC")}
	if err := bad.Check(anyPlaybook); err == nil || !strings.Contains(err.Error(), "without playbooks") {
		t.Errorf("without playbooks: %v", err)
	}
}

// TestClockThatIsAheadDoesNotMoveWindows sets the newest entry of the journal three days ahead.
func TestClockThatIsAheadDoesNotMoveWindows(t *testing.T) {
	t.Parallel()
	c := approval.Case{Playbook: "rerun_dbt", Digest: digest, Now: now.AddDate(0, 0, 3), Clock: now}
	if d := (approval.Policy{Freeze: friday(t, "UTC")}).Decide(c, approval.Given{}); d.Granted {
		t.Error("the freeze is over")
	}
	window := friday(t, "UTC", func(f *approval.Freeze) { f.Playbooks = []string{"rerun_dbt"} })
	c.Now, c.Clock = now, now.AddDate(0, 0, 3)
	if d := (approval.Policy{Maintenance: window}).Decide(c, approval.Given{}); d.Granted {
		t.Error("the maintenance window is open")
	}
}
