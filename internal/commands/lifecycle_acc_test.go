package commands_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// TestAccPlanInAReadOnlyCheckout plans where the journal can't be created: the plan succeeds and warns, and review says
// that nothing can be signed.
func TestAccPlanInAReadOnlyCheckout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+split("canary", "25", "gradual = false"))
	saved := t.TempDir()
	r.Protect(r.Dir)
	// The plan goes elsewhere, and the state is remote, as in a pipeline.
	out := flat(r.Must("plan", "-no-color", "-lock=false", "-out="+saved+"/saved"))
	for _, want := range []string{"Traffic of v2: 10% to 25%", "Apply will refuse to run anything until the " +
		"journal can be written"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	markdown, problems, code := r.run(r.Must("show", "-json", saved+"/saved"), "review")
	if code != 0 || !strings.Contains(markdown, "**MISSING**") {
		t.Errorf("exit code %d\n%s%s", code, markdown, problems)
	}
}

// TestAccPreviewAfterAnExecution compares the data source with the resource after an execution: both show the same
// digest, facts, risk, and approval.
func TestAccPreviewAfterAnExecution(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := func(percent, more string) {
		r.Write("main.tf", head(approvers)+split("canary", percent, "gradual = false\n"+more)+fmt.Sprintf(`
data "remediation_preview" "same" {
  action_type = "adjust_canary_split"
  params      = jsonencode({ version = "v2", target_percent = %s, gradual = false })
}
`, percent))
	}
	config("15", "approved_by = \""+lead+"\"")
	r.Must("apply", "-auto-approve", "-no-color")
	config("25", "")
	r.save()
	var plan struct {
		Changes []struct {
			Change struct {
				After struct{ Preview map[string]any }
			}
		} `json:"resource_changes"`
		Prior struct {
			Values struct {
				Root struct {
					Resources []struct {
						Type   string
						Values map[string]any
					}
				} `json:"root_module"`
			}
		} `json:"prior_state"`
	}
	if err := json.Unmarshal([]byte(r.file("plan.json")), &plan); err != nil {
		t.Fatal(err)
	}
	shown := plan.Changes[0].Change.After.Preview
	for _, resource := range plan.Prior.Values.Root.Resources {
		if resource.Type != "remediation_preview" {
			continue
		}
		for _, name := range []string{"digest", "identity", "content", "target", "command", "risk", "approval_required",
			"approval_granted", "estimated_duration_seconds", "undo", "approval_reasons"} {
			if got, want := fmt.Sprint(resource.Values[name]), fmt.Sprint(shown[name]); got != want {
				t.Errorf("%s: the data source says %s, the resource %s", name, got, want)
			}
		}
		if text := fmt.Sprint(resource.Values["dry_run"]); strings.Contains(text, "not needed") ||
			strings.Contains(text, "there was none before") || strings.Contains(text, "execution of ") {
			t.Errorf("the text of the data source:\n%s", text)
		}
		return
	}
	t.Error("the plan has not read the data source")
}

// TestAccApproveSaysWhatIsNotKnown names an execution that has no preview before apply.
func TestAccApproveSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+"\nresource \"terraform_data\" \"share\" { input = 25 }\n"+
		split("canary", "terraform_data.share.output", ""))
	r.save()
	out, problems, code := r.run("", "approve", "plan.json", "--as", lead)
	want := "remediation_canary_split.canary can't be approved yet: an input is not known before apply"
	if code != commands.ExitOK || out != "" || !strings.Contains(problems, want) {
		t.Errorf("exit code %d, want %q:\n%s%s", code, want, out, problems)
	}
}
