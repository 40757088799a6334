package provider

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

func TestRequesters(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		configured string
		env        map[string]string
		want       []string
	}{
		"nobody":     {},
		"configured": {configured: "me", env: map[string]string{"PULL_AUTHOR": "x"}, want: []string{"me"}},
		"Atlantis": {env: map[string]string{"PULL_AUTHOR": "x", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "y"},
			want: []string{"x"}},
		"GitHub Actions": {env: map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "x"},
			want: []string{"x"}},
		"GitLab CI": {env: map[string]string{"GITLAB_CI": "true", "GITLAB_USER_EMAIL": "x@example.com",
			"GITLAB_USER_LOGIN": "x"}, want: []string{"x@example.com", "x"}},
		"a stray variable":  {env: map[string]string{"GITHUB_ACTOR": "x", "GITLAB_USER_LOGIN": "x"}},
		"a blank variable":  {env: map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": " "}},
		"a name with blank": {env: map[string]string{"PULL_AUTHOR": " x "}, want: []string{"x"}},
	} {
		got := requesters(tt.configured, func(v string) string { return tt.env[v] })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPolicyIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	text := types.StringValue
	window := freezeBlock{Name: text("w"), Recurrence: text("FREQ=DAILY"), Duration: text("1h"),
		TimeZone: text("Europe/Berlin")}
	change := func(c func(*freezeBlock)) []freezeBlock { w := window; c(&w); return []freezeBlock{w} }
	for name, tt := range map[string]struct {
		block approvalBlock
		at    string
	}{
		"signatures of nobody": {approvalBlock{Signatures: text("required")}, "approval.allowed_signers"},
		"no signers":           {approvalBlock{AllowedSigners: text("# none")}, "approval.allowed_signers"},
		"age":                  {approvalBlock{MaxAge: text("1 day")}, "approval.max_age"},
		"no age":               {approvalBlock{MaxAge: text("-1h")}, "approval.max_age"},
		"pattern":              {approvalBlock{Approvers: []string{"[x"}}, "approval.approvers[0]"},
		"group":                {approvalBlock{Approvers: []string{"group:none"}}, "approval.approvers[0]"},
		"alias": {approvalBlock{Aliases: map[string][]string{"b\u043ess": nil}},
			"approval.aliases[\"bоss\"]"},
		"time zone": {approvalBlock{Freeze: change(func(f *freezeBlock) { f.TimeZone = text("Europe/Nowhere") })},
			"approval.freeze[0].time_zone"},
		"recurrence": {approvalBlock{Freeze: change(func(f *freezeBlock) { f.Recurrence = text("Fridays") })},
			"approval.freeze[0].recurrence"},
		"duration": {approvalBlock{Freeze: change(func(f *freezeBlock) { f.Duration = text("long") })},
			"approval.freeze[0].duration"},
		"start": {approvalBlock{Freeze: change(func(f *freezeBlock) { f.Start = text("then") })},
			"approval.freeze[0].start"},
		"good": {approvalBlock{Freeze: []freezeBlock{window}, MaxAge: text("24h"),
			Approvers: []string{"*@example.com"}}, ""},
	} {
		_, err := block{Approval: &tt.block}.policy(runner{getenv: os.Getenv})
		var p *problem.Problem
		if (err == nil) != (tt.at == "") || (err != nil &&
			(!errors.As(err, &p) || problem.Where(p.Path) != tt.at || p.Next == "")) {
			t.Errorf("%s: got %v, want one at %q", name, err, tt.at)
		}
	}
}
