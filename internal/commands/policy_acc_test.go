package commands_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccPolicy runs the example of a policy on real plans.
func TestAccPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	script := filepath.Join(acctest.Root(t), "examples", "policy", "check_plan.py")
	policy := func(edit ...string) (string, bool) {
		cmd := exec.CommandContext(t.Context(), "python3", script)
		cmd.Stdin = strings.NewReader(strings.NewReplacer(edit...).Replace(r.file("plan.json")))
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	r.Write("main.tf", head(approvers)+split("canary", "25", "gradual = false"))
	r.save()
	if out, ok := policy(); ok || out != "remediation_canary_split.canary: the approval is missing\n" {
		t.Errorf("without an approval: %s", out)
	}
	r.Write("main.tf", head(approvers)+split("canary", "25", "gradual = false\n  approved_by = \"lead@example.com\""))
	r.save()
	if out, ok := policy(); !ok || out != "" {
		t.Errorf("with an approval: %s", out)
	}
	for want, edit := range map[string][]string{
		"costs USD 51.00":         {`"estimated_cost_usd":0`, `"estimated_cost_usd":51`},
		"is not changed by pull":  {`"target":"planner:`, `"target":"dbt:billing/`},
		"a high risk without an":  {`"rollback_available":true`, `"rollback_available":false`},
		"is not known at plan":    {`"preview":{"affected"`, `"preview":true,"x":{"affected"`},
		"prints the state":        {`"planned_values"`, `"values"`},
		"Expecting property name": {`{"format_version"`, `{format_version`},
	} {
		if out, ok := policy(edit...); ok || !strings.Contains(out, want) {
			t.Errorf("%q is not denied: %s", want, out)
		}
	}
	r.Must("apply", "-auto-approve", "-no-color")
	r.save()
	if out, ok := policy(); !ok || out != "" {
		t.Errorf("a plan with nothing to do: %s", out)
	}
	r.Write("main.tf", head(approvers)+split("canary", "25", "gradual = false\n  on_destroy = \"rollback\""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.save("-destroy")
	if out, ok := policy(); !ok || out != "" {
		t.Errorf("a destroy that undoes: %s", out)
	}
	if out, ok := policy(`"target":"planner:`, `"target":"dbt:billing/`); ok || !strings.Contains(out, "is not changed by") {
		t.Errorf("an undo on a forbidden target is not denied: %s", out)
	}
}
