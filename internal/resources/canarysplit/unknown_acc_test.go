package canarysplit_test

import (
	"os"
	"strings"
	"testing"
)

// TestAccUnknownTriggersLeaveThePreviewKnown covers triggers and an incident that become known only during apply.
func TestAccUnknownTriggersLeaveThePreviewKnown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		unknown string
		digest  bool
	}{
		"triggers": {"incident_id = \"INC-7\"\n  triggers = { run = terraform_data.run.id }", false},
		"incident": {"incident_id = terraform_data.run.id", true},
		"both":     {"incident_id = terraform_data.run.id\n  triggers = { run = terraform_data.run.id }", false},
	} {
		for _, args := range [][]string{{"p"}, {"-auto-approve"}} {
			t.Run(name+" "+args[0], func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				main := strings.Replace(config(25, atOnce, ""), `incident_id    = "INC-7"`, tt.unknown, 1)
				r.Write("main.tf", main+"\nresource \"terraform_data\" \"run\" {}\n")
				plan := r.Must("plan", "-no-color", "-out=p")
				if !strings.Contains(plan, "Traffic of "+canary+": 10% to 25%") ||
					strings.Contains(plan, `digest                     = "sha256:`) != tt.digest {
					t.Errorf("plan:\n%s", plan)
				}
				out, code := r.Run(append([]string{"apply", "-no-color"}, args...)...)
				if code != 0 || r.share(t) != 25 {
					t.Errorf("exit code %d, share %g:\n%s", code, r.share(t), out)
				}
				r.empty(t)
			})
		}
	}
}

// TestAccMovedUnderUnknownTriggersIsRefused moves the traffic between plan and apply.
func TestAccMovedUnderUnknownTriggersIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	main := strings.Replace(config(25, atOnce, ""), `incident_id    = "INC-7"`,
		"triggers = { run = terraform_data.run.id }", 1)
	r.Write("main.tf", main+"\nresource \"terraform_data\" \"run\" {}\n")
	r.Must("plan", "-no-color", "-out=p")
	r.split(15)
	out := flat(r.MustFail("apply", "-no-color", "p"))
	if !strings.Contains(out, "current_percent: was 10, now 15") || strings.Contains(out, "bug in the provider") {
		t.Errorf("refusal:\n%s", out)
	}
	if text, err := os.ReadFile(r.file); err != nil || !strings.Contains(string(text), "15") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestAccUnknownInputsArePreviewedAtApply covers inputs of the digest that become known only during apply.
func TestAccUnknownInputsArePreviewedAtApply(t *testing.T) {
	t.Parallel()
	const later = `terraform_data.run.id == "" ? `
	for at, more := range map[string]string{
		"target_percent": "target_percent = " + later + "6 : 5",
		"on_destroy":     "target_percent = 5\n  on_destroy = " + later + `"keep" : "rollback"`,
		"timeouts.create": "target_percent = 5\n  timeouts {\n    create = " + later + `"1m" : "2m"` +
			"\n  }",
		"guardrail[0].max": "target_percent = 5\n  guardrail {\n    name = \"errors\"\n    on_breach = \"warn\"\n" +
			"    http {\n      url = \"http://127.0.0.1:1/\"\n    }\n    max = " + later + "1 : 2\n  }",
	} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			main := strings.Replace(config(5, atOnce, ""), "target_percent = 5", more, 1)
			r.Write("main.tf", main+"\nresource \"terraform_data\" \"run\" {}\n")
			plan := flat(r.Must("plan", "-no-color", "-out=p"))
			if !strings.Contains(plan, "can't be previewed yet: "+at+" is not known") {
				t.Errorf("plan:\n%s", plan)
			}
			out, code := r.Run("apply", "-no-color", "p")
			if code != 0 || r.share(t) != 5 {
				t.Errorf("exit code %d, share %g:\n%s", code, r.share(t), out)
			}
			r.empty(t)
		})
	}
}

// TestAccChainWhoseTriggersAreUnknown applies a plan that shows the first step only: its digest, and so the second
// step, become known during apply.
func TestAccChainWhoseTriggersAreUnknown(t *testing.T) {
	t.Parallel()
	for _, saved := range []bool{true, false} {
		r := newRig(t)
		r.Write("main.tf", config(8, "gradual = false\n  triggers = { run = terraform_data.run.id }", "")+`
resource "terraform_data" "run" {}

resource "remediation_canary_split" "further" {
  incident_id    = "INC-7"
  triggers       = { run = terraform_data.run.id }
  version        = "`+canary+`"
  target_percent = 5
  gradual        = false
  after          = [`+address+`.preview.digest]
}
`)
		apply := []string{"apply", "-no-color", "-auto-approve"}
		if saved {
			r.Must("plan", "-no-color", "-out=plan.out")
			apply = append(apply, "plan.out")
		}
		r.Must(apply...)
		if r.share(t) != 5 {
			t.Errorf("saved plan %t: the canary has %g%%", saved, r.share(t))
		}
		r.empty(t)
	}
}
