package review

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
)

// bomb is a text that would break out of Markdown, HTML, and fences.
const bomb = "`|``|```\n</td></table><script>alert(1)</script> @octocat https://evil.example\n~~~\u202e"

// planned returns a plan with n executions that need an approval, and whose texts are hostile where name is.
func planned(t *testing.T, n int, name string) planjson.Plan {
	t.Helper()
	var changes []any
	for i := range n {
		changes = append(changes, map[string]any{
			"address": fmt.Sprintf("remediation_canary_split.%s[%d]", name, i), "mode": "managed",
			"type": "remediation_canary_split", "provider_name": "registry.terraform.io/applylens/remediation",
			"change": map[string]any{
				"actions": []string{"create"}, "before": nil,
				"after": map[string]any{
					"dry_run": "1st execution of adjust_canary_split on " + name + "\nChanges     Traffic of " + name +
						": 10% to 25%\n" + strings.Repeat("            and a further line of what changes\n", 15) +
						"Estimate    10 min\nRisk        medium\nApproval    NEEDED before apply, from " + name +
						"\n            because it goes up\n",
					"preview": map[string]any{"target": "planner:" + name, "digest": "sha256:" + strings.Repeat("ab", 32),
						"risk": "medium", "approval_required": true, "approval_granted": false},
				},
				"after_unknown": map[string]any{"status": true, "preview": map[string]any{}},
			},
		})
	}
	text, err := json.Marshal(map[string]any{"format_version": "1.2", "planned_values": map[string]any{},
		"resource_changes": changes})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planjson.Read(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rendered(t *testing.T, markdown string) string {
	t.Helper()
	var out strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(markdown), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestBudget keeps every output within its budget, says what it left out, and never leaves a block open.
func TestBudget(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 20, 200, 2000} {
		p := planned(t, n, "v2")
		for _, limit := range []int{MinBytes, 5_000, 15_000, 60_000} {
			o := Options{MaxBytes: limit, PlanFile: "plan.json"}
			for format, out := range map[string]string{"Markdown": Markdown(p, o), "plain": Plain(p, o)} {
				if len(out) > limit {
					t.Errorf("%s of %d executions has %d bytes, the limit is %d", format, n, len(out), limit)
				}
				shown := strings.Count(out, "planner:v2")
				if shown < n && !strings.Contains(out, "Left out to keep this comment short:") {
					t.Errorf("%s of %d executions shows %d and doesn't say so:\n%s", format, n, shown, out)
				}
				if n > 0 && shown == 0 {
					t.Errorf("%s of %d executions in %d bytes shows none:\n%s", format, n, limit, out)
				}
			}
			if out := Markdown(p, o); strings.Count(out, "<details>") != strings.Count(out, "</details>") ||
				strings.Count(out, "```")%2 != 0 {
				t.Errorf("%d executions in %d bytes: a block stays open:\n%s", n, limit, out)
			}
		}
	}
}

// TestBudgetOfHTML keeps the page within every budget. Where it ends depends on the budget, so many are tried.
func TestBudgetOfHTML(t *testing.T) {
	t.Parallel()
	const step = 13
	for _, n := range []int{0, 1, 3, 20} {
		p := planned(t, n, "v2")
		p.Errored = n == 1
		for limit := MinHTMLBytes; limit < 2*MinHTMLBytes; limit += step {
			out := HTML(p, Options{MaxBytes: limit, PlanFile: "plan<&>.json"})
			if len(out) > limit {
				t.Fatalf("%d executions have %d bytes, the limit is %d", n, len(out), limit)
			}
			shown := strings.Count(out, `<th scope="row">`)
			if n > 0 && shown == 0 || shown < n && !strings.Contains(out, "Left out to keep this comment short:") {
				t.Fatalf("%d of %d executions in %d bytes:\n%s", shown, n, limit, out)
			}
			if strings.Count(out, "<details") != strings.Count(out, "</details>") {
				t.Fatalf("%d executions in %d bytes: a dry run stays open:\n%s", n, limit, out)
			}
		}
	}
}

// TestLongFileNamesStayWithinTheBudget names a plan by a path that is longer than the smallest budget.
func TestLongFileNamesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	p, name := planned(t, 3, "v2"), strings.Repeat("folder/", 900)+"plan.json"
	o := Options{MaxBytes: MinBytes, PlanFile: name}
	if out := Markdown(p, o); len(out) > MinBytes || !strings.Contains(out, "approve PLAN.json") {
		t.Errorf("Markdown has %d bytes:\n%s", len(out), out)
	}
	o.MaxBytes = MinHTMLBytes
	if out := HTML(p, o); len(out) > MinHTMLBytes || !strings.Contains(out, "approve PLAN.json") {
		t.Errorf("HTML has %d bytes:\n%s", len(out), out)
	}
}

// TestTwentyExecutionsStayReadable bounds the comment of a large plan, and loses no dry run.
func TestTwentyExecutionsStayReadable(t *testing.T) {
	t.Parallel()
	const most = 15_000
	out := Markdown(planned(t, 20, "v2"), Options{MaxBytes: 60_000, PlanFile: "plan.json"})
	if len(out) > most {
		t.Errorf("20 executions have %d bytes", len(out))
	}
	if n := strings.Count(out, "<details>"); n != 20 {
		t.Errorf("%d of 20 dry runs are shown", n)
	}
}

// TestHostileTextsAreInert renders a plan whose every text is hostile.
func TestHostileTextsAreInert(t *testing.T) {
	t.Parallel()
	p := planned(t, 2, bomb)
	o := Options{MaxBytes: 60_000, PlanFile: "plan.json"}
	out := rendered(t, Markdown(p, o))
	if n := strings.Count(out, "<tr>"); n != 3 {
		t.Errorf("%d rows in a table of three:\n%s", n, out)
	}
	if n := strings.Count(out, "<td>"); n != 12 {
		t.Errorf("%d cells in a table of twelve:\n%s", n, out)
	}
	outside := regexp.MustCompile(`(?s)<code.*?</code>`).ReplaceAllString(out, "")
	for _, bad := range []string{"<script", "@octocat", "<a ", "evil", "\u202e"} {
		if strings.Contains(outside, bad) {
			t.Errorf("%q is outside of code:\n%s", bad, outside)
		}
	}
	page := HTML(p, o)
	if strings.Contains(page, "<script") || strings.Contains(page, "\u202e") || strings.Count(page, "</table>") != 1 {
		t.Errorf("the page is more than its text:\n%s", page)
	}
	if plain := Plain(p, o); strings.Contains(plain, "```") || strings.Contains(plain, "\u202e") {
		t.Errorf("the text leaves a fence around it:\n%s", plain)
	}
}

func TestOtherInputIsRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"PK\x03\x04": "a saved plan, not its JSON", "": "not JSON", "[]": "not JSON", `{"format_version": "2.0"}`: "1.x is supported",
		`{"format_version": "1.0", "values": {"root_module": {}}}`: "prints the state", `{"format_version": "1.2"}`: "planned_values",
		`{"format_version": "1.2", "planned_values": {}, "resource_changes": [{"address": "a", "mode": "managed", "type": "remediation_x",
		  "provider_name": "x/applylens/remediation", "change": {"actions": ["create"], "after": {"dry_run": 5}}}]}`: "dry_run",
	} {
		if _, err := planjson.Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}
