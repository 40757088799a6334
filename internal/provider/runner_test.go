package provider

import (
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// policyOf returns a runner with the policy.
func policyOf(t *testing.T, text string, env map[string]string) runner {
	t.Helper()
	r := runner{path: "/etc/policy.json", getenv: func(name string) string { return env[name] }}
	document, err := parsePolicy(t.Context(), []byte(text))
	if err == nil {
		err = r.take(document)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// TestBadPolicies checks that a policy that does not mean what it seems to say is refused, with the place.
func TestBadPolicies(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		``:                              "not valid JSON",
		`{`:                             "not valid JSON",
		`{} {}`:                         "unexpected data after",
		`[]`:                            "not a JSON object",
		`{"approvals": {}}`:             "approvals is unknown. Did you mean approval?",
		`{"dbt": {}}`:                   "dbt is unknown",
		`{"approval": {"minimums": 2}}`: "approval.minimums is unknown. Did you mean minimum?",
		`{"approval": {"minimum": 2, "minimum": 1}}`:                            "approval.minimum occurs twice",
		`{"approval": {}, "approval": {}}`:                                      "approval occurs twice",
		`{"approval": {"minimum": null}}`:                                       "approval.minimum is null",
		`{"approval": {"minimum": "two"}}`:                                      "minimum",
		`{"approval": {"minimum": 0}}`:                                          "between 1 and 10",
		`{"approval": {"signatures": "demanded"}}`:                              "demanded",
		`{"approval": {"signatures": "required"}}`:                              "nothing to check signatures against",
		`{"approval": {"approvers": ["a@x.com"], "minimum": 2}}`:                "Nobody could approve",
		`{"approval": {"approvers": ["group:leads"]}}`:                          `no group "leads"`,
		`{"approval": {"rule": {"name": "a"}}}`:                                 "approval.rule is not a list",
		`{"approval": {"rule": [{"name": "a", "riks": "high"}]}}`:               "approval.rule[0].riks is unknown",
		`{"approval": {"rule": [{"risk": "high"}]}}`:                            "name",
		`{"approval": {"freeze": [{"name": "a", "recurrence": "FREQ=DAILY"}]}}`: "required",
		`{"approval": []}`:                                                      "approval is not an object",
		`{"journal": {}}`:                                                       "set path or elasticsearch",
		`{"journal": {"path": "a.db"}}`:                                         "is relative",
		`{"journal": {"path": "/a.db", "elasticsearch": {}}}`:                   "both set",
		`{"journal": {"path": "/a.db", "keep": "1h"}}`:                          "24h",
		`{"hosts": "a.example.com"}`:                                            "hosts is not a list",
		`{"hosts": [1]}`:                                                        "hosts[0] is not a string",
		`{"hosts": ["https://a.example.com"]}`:                                  "hosts[0]",
		`{"hosts": ["a.example.com", "a.example.com"]}`:                         "occurs twice",
		`{"executables": ["dbt"]}`:                                              "executables[0]",
		`{"executables": null}`:                                                 "executables is null",
	} {
		document, err := parsePolicy(t.Context(), []byte(text))
		if err == nil {
			err = (&runner{getenv: os.Getenv}).take(document)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: want %q, got %v", text, says, err)
		}
	}
}

// TestPolicyGaps checks that the plan says what the policy does not restrict.
func TestPolicyGaps(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]bool{
		`{}`:            {true, true, true},
		`{"hosts": []}`: {false, true, true},
		`{"hosts": ["a"], "executables": ["/bin/dbt"], "journal": {"path": "/a.db"}}`: {},
	} {
		r := policyOf(t, text, nil)
		note := r.note(nil)
		for i, gap := range []string{"has no hosts", "has no executables", "has no journal"} {
			if strings.Contains(note, gap) != want[i] {
				t.Errorf("%s: %q, %t: %q", text, gap, want[i], note)
			}
		}
	}
}

const aSigner = "boss@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIyF5y5KMzEzXLsDcwBJhRwOzYhyPiTEKTsBa8qGEVQe"

// TestConfigurationCanOnlyBeStricter merges one policy with configurations, and checks what holds then.
func TestConfigurationCanOnlyBeStricter(t *testing.T) {
	t.Parallel()
	const strict = `{"approval": {"minimum": 2, "max_age": "24h", "enforce": "plan", "separation_of_duties": true,
		"approvers": ["group:leads"], "groups": {"leads": ["a@x.com", "b@x.com", "c@x.com"]},
		"aliases": {"a@x.com": ["ay"]},
		"rule": [{"name": "large", "risk": "high", "minimum": 2}]}}`
	number := func(n float64) types.Number { return types.NumberValue(big.NewFloat(n)) }
	env := map[string]string{"PULL_AUTHOR": "author@x.com"}
	for name, tt := range map[string]struct {
		policy string
		own    approvalBlock
		check  func(approval.Policy) any
		want   any
	}{
		"fewer approvers": {strict, approvalBlock{Minimum: number(1)},
			func(p approval.Policy) any { return p.Minimum }, 2},
		"more approvers": {strict, approvalBlock{Minimum: number(3)},
			func(p approval.Policy) any { return p.Minimum }, 3},
		"an older approval": {strict, approvalBlock{MaxAge: types.StringValue("720h")},
			func(p approval.Policy) any { return p.MaxAge.String() }, "24h0m0s"},
		"a younger approval": {strict, approvalBlock{MaxAge: types.StringValue("1h")},
			func(p approval.Policy) any { return p.MaxAge.String() }, "1h0m0s"},
		"enforced at apply only": {strict, approvalBlock{Enforce: types.StringValue("apply")},
			func(p approval.Policy) any { return p.Enforce }, approval.EnforcePlan},
		"enforced at plan": {`{}`, approvalBlock{Enforce: types.StringValue("plan")},
			func(p approval.Policy) any { return p.Enforce }, approval.EnforcePlan},
		"one's own duties": {strict, approvalBlock{SeparationOfDuties: types.BoolValue(false)},
			func(p approval.Policy) any { return p.SeparationOfDuties }, true},
		"everybody approves": {strict, approvalBlock{Approvers: []string{"*"}},
			func(p approval.Policy) any { return p.RunnerApprovers }, []string{"group:leads"}},
		"another group of the name": {strict, approvalBlock{Groups: map[string][]string{"leads": {"me@x.com"}}},
			func(p approval.Policy) any { return p.Groups["leads"] }, []string{"a@x.com", "b@x.com", "c@x.com"}},
		"other aliases": {strict, approvalBlock{Aliases: map[string][]string{"z@x.com": {"zed"}}},
			func(p approval.Policy) any { return p.Aliases }, map[string][]string{"a@x.com": {"ay"}}},
		"aliases where the policy has none": {`{"approval": {"minimum": 2}}`,
			approvalBlock{Aliases: map[string][]string{"z@x.com": {"zed"}}},
			func(p approval.Policy) any { return p.Claimed.Aliases }, true},
		"aliases where the policy compares nobody": {`{"approval": {"enforce": "plan"}}`,
			approvalBlock{Aliases: map[string][]string{"z@x.com": {"zed"}}},
			func(p approval.Policy) any { return p.Claimed.Aliases }, false},
		"aliases of the policy": {strict, approvalBlock{}, func(p approval.Policy) any { return p.Claimed },
			approval.Claimed{Signers: true, Forge: true}},
		"another requester is one more": {strict, approvalBlock{Requester: types.StringValue("other@x.com")},
			func(p approval.Policy) any { return p.Requesters }, []string{"author@x.com", "other@x.com"}},
		"a rule more": {strict, approvalBlock{Rules: []ruleBlock{{Name: types.StringValue("own"),
			Risk: types.StringValue("low")}}}, func(p approval.Policy) any { return len(p.Rules) }, 2},
		"the same rule": {strict, approvalBlock{Rules: []ruleBlock{{Name: types.StringValue("large"),
			Risk: types.StringValue("high"), Minimum: number(2)}}},
			func(p approval.Policy) any { return len(p.Rules) }, 1},
		"no signatures": {`{"approval": {"signatures": "required", "allowed_signers": "` + aSigner + `"}}`,
			approvalBlock{Signatures: types.StringValue("optional")},
			func(p approval.Policy) any { return p.SignaturesRequired }, true},
		"other signers": {`{"approval": {"signatures": "required", "allowed_signers": "` + aSigner + `"}}`,
			approvalBlock{AllowedSigners: types.StringValue(strings.Replace(aSigner, "boss@", "me@", 1))},
			func(p approval.Policy) any { return p.Signers[0].Principals }, []string{"boss@example.com"}},
	} {
		r := policyOf(t, tt.policy, env)
		b, _, err := block{Approval: &tt.own}.restrict(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := b.policy(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, tt.check(p)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestCostsAreNotEstimatedLowerThanThePolicyExpects checks that a configuration can't evade a rule by a lower rate.
func TestCostsAreNotEstimatedLowerThanThePolicyExpects(t *testing.T) {
	t.Parallel()
	const rule = `{"approval": {"rule": [{"name": "dear", "min_cost_usd": 1}]}}`
	usual := playbook.DefaultEstimates().DBTCostPerModelUSD
	for _, tt := range []struct {
		policy           string
		configured, want float64
	}{
		{rule, 0, usual}, {rule, 2, 2}, {`{}`, 0, 0}, {`{"approval": {"minimum": 2}}`, 0.01, 0.01},
	} {
		if got := policyOf(t, tt.policy, nil).costPerModel(tt.configured); got != tt.want {
			t.Errorf("%s with %g: got %g, want %g", tt.policy, tt.configured, got, tt.want)
		}
	}
}

// TestRequesterNamedOnlyByTheConfigurationIsUnknown checks that a requester who only the configuration names is unknown
// where the policy separates duties.
func TestRequesterNamedOnlyByTheConfigurationIsUnknown(t *testing.T) {
	t.Parallel()
	const separate = `{"approval": {"separation_of_duties": true}}`
	if got := policyOf(t, separate, nil).requesters(types.StringValue("other@x.com")); got != nil {
		t.Errorf("got %q", got)
	}
	with := `{"approval": {"separation_of_duties": true, "requester": "bot@x.com"}}`
	got := policyOf(t, with, nil).requesters(types.StringValue("bot@x.com"))
	if !cmp.Equal(got, []string{"bot@x.com"}) {
		t.Errorf("got %q", got)
	}
}

// TestSameNameForTwoRulesIsRefused refuses a rule of the configuration with the name of another one in the policy.
func TestSameNameForTwoRulesIsRefused(t *testing.T) {
	t.Parallel()
	text := types.StringValue
	for policy, own := range map[string]ruleBlock{
		`{"name": "large", "risk": "high"}`: {Name: text("large"), Risk: text("low")},
		// Lists that read alike without quotes.
		`{"name": "large", "targets": ["*/orders", "*/users"]}`: {Name: text("large"),
			Targets: []string{"*/orders */users"}},
		`{"name": "large", "approvers": ["a@x.com", "b@x.com"]}`: {Name: text("large"),
			Approvers: []string{"a@x.com b@x.com"}},
		`{"name": "large"}`: {Name: text("large"), Targets: []string{""}},
	} {
		r := policyOf(t, `{"approval": {"rule": [`+policy+`]}}`, nil)
		_, _, err := block{Approval: &approvalBlock{Rules: []ruleBlock{own}}}.restrict(r)
		if err == nil || !strings.Contains(err.Error(), `a different rule "large"`) {
			t.Errorf("%s and %+v: got %v", policy, own, err)
		}
	}
}

// TestMessagesNameThePositionInTheConfiguration puts an invalid block after one that the policy has as well.
func TestMessagesNameThePositionInTheConfiguration(t *testing.T) {
	t.Parallel()
	text := types.StringValue
	r := policyOf(t, `{"approval": {"rule": [{"name": "other"}, {"name": "large", "risk": "high"}],
		"freeze": [{"name": "night", "recurrence": "FREQ=DAILY;BYHOUR=22", "duration": "8h", "time_zone": "UTC"}],
		"maintenance_window": [{"name": "day", "recurrence": "FREQ=DAILY;BYHOUR=9", "duration": "8h",
			"time_zone": "UTC", "playbooks": ["rerun_dbt"]}]}}`, nil)
	rules := []ruleBlock{{Name: text("large"), Risk: text("high")}, {Name: text("bad"), Playbooks: []string{"rerun"}}}
	night := freezeBlock{Name: text("night"), Recurrence: text("FREQ=DAILY;BYHOUR=22"), Duration: text("8h"),
		TimeZone: text("UTC")}
	day := maintenanceBlock{Name: text("day"), Recurrence: text("FREQ=DAILY;BYHOUR=9"), Duration: text("8h"),
		TimeZone: text("UTC"), Playbooks: []string{"rerun_dbt"}}
	badNight, badDay := night, day
	badNight.Name, badNight.Recurrence = text("bad"), text("FREQ=NEVER")
	badDay.Name, badDay.Duration = text("bad"), text("long")
	for name, tt := range map[string]struct {
		own  approvalBlock
		want string
	}{
		"rule":   {approvalBlock{Rules: rules}, "approval.rule[1].playbooks[0]"},
		"freeze": {approvalBlock{Freeze: []freezeBlock{night, badNight}}, "approval.freeze[1].recurrence"},
		"maintenance_window": {approvalBlock{Maintenance: []maintenanceBlock{day, badDay}},
			"approval.maintenance_window[1].duration"},
		"name in the policy": {approvalBlock{Rules: []ruleBlock{rules[0], {Name: text("other"), Risk: text("low")}}},
			"approval.rule[1].name"},
	} {
		b, _, err := block{Approval: &tt.own}.restrict(r)
		if err == nil {
			_, err = b.policy(r)
		}
		if err == nil || problem.Where(problem.Of(err, "").Path) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	own := day
	own.Name = text("own")
	b, _, err := block{Approval: &approvalBlock{Maintenance: []maintenanceBlock{day, own}}}.restrict(r)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.policy(r)
	if err != nil || len(p.Maintenance) != 2 || !p.Maintenance[0].Runner || p.Maintenance[1].Runner {
		t.Errorf("windows %+v, %v", p.Maintenance, err)
	}
}

// TestConfigurationCannotReplaceTheRunnersJournal keeps the policy's journal, and its cluster.
func TestConfigurationCannotReplaceTheRunnersJournal(t *testing.T) {
	t.Parallel()
	r := policyOf(t, `{"journal": {"path": "/var/lib/journal.db"}}`, nil)
	b, ignored, err := block{Journal: &journalBlock{Path: types.StringValue("mine.db")}}.restrict(r)
	if err != nil || b.Journal.Path.ValueString() != "/var/lib/journal.db" || !cmp.Equal(ignored, []string{"journal"}) {
		t.Errorf("%v, %q, %v", b.Journal, ignored, err)
	}
	mine := block{Elasticsearch: &elasticsearchBlock{Endpoints: []string{"https://mine.example.com"}}}
	for policy, refused := range map[string]bool{
		`{"journal": {"elasticsearch": {}}}`:                                true,
		`{"journal": {"elasticsearch": {}}, "hosts": ["mine.example.com"]}`: false,
		`{"journal": {"path": "/a.db"}}`:                                    false,
	} {
		if _, err := mine.elasticsearch(policyOf(t, policy, nil)); (err != nil) != refused {
			t.Errorf("%s: %v", policy, err)
		}
	}
}
