package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// raises returns a resource that gives the canary more traffic. more is added to it.
func raises(more string) string {
	return fmt.Sprintf(`
resource "remediation_canary_split" "v2" {
  version        = "v2"
  target_percent = 50
  gradual        = false
  %s
}
`, more)
}

// TestAccConfigurationsObeyTheRunnersPolicy lets the author of a change try everything that a configuration can do to
// approve the change alone, or to have it forgotten. Nothing runs.
func TestAccConfigurationsObeyTheRunnersPolicy(t *testing.T) {
	t.Parallel()
	const provider = `
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
`
	const mine = `approved_by = "author@example.com"`
	for name, tt := range map[string]struct {
		files map[string]string
		says  string
	}{
		"no block at all": {map[string]string{"main.tf": provider + raises(mine)}, "not among the approvers"},
		"a block of one's own": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval { approvers = ["author@example.com"] }
  journal { path = "mine.db" }
}
` + raises(mine)}, "not among the approvers"},
		"an alias": {map[string]string{"main.tf": provider + `
provider "remediation" {}
provider "remediation" {
  alias = "open"
  journal { path = "mine.db" }
}
` + raises(mine+"\nprovider = remediation.open")}, "not among the approvers"},
		"an override file": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval { approvers = ["group:leads"] }
}
` + raises(mine), "main_override.tf": `
provider "remediation" {
  approval { approvers = ["*"] }
  journal { path = "mine.db" }
}
`}, "not among the approvers"},
		"variables for dbt": {map[string]string{"main.tf": provider + `
provider "remediation" {
  dbt { environment = { REMEDIATION_POLICY = "", REMEDIATION_JOURNAL_PATH = "mine.db" } }
}
` + raises(mine)}, "not among the approvers"},
		"a group of one's own": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval {
    approvers = ["group:leads"]
    groups    = { leads = ["author@example.com"] }
  }
}
` + raises(mine)}, "not among the approvers"},
		"another requester": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval { requester = "somebody@example.com" }
}
` + raises(`approved_by = "requester@example.com"`)}, "requester"},
		"aliases of one's own": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval { aliases = { "requester@example.com" = ["r"], "somebody@example.com" = ["s"] } }
}
` + raises(`approved_by = "requester@example.com"`)}, "requester"},
		"a window of one's own": {map[string]string{"main.tf": provider + `
provider "remediation" {
  approval {
    maintenance_window {
      name       = "always"
      recurrence = "FREQ=DAILY"
      duration   = "48h"
      time_zone  = "UTC"
      playbooks  = ["adjust_canary_split"]
    }
  }
}
` + raises(`approved_by = "boss@example.com"`)}, `outside of the maintenance window "never"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journal := filepath.Join(t.TempDir(), "journal.db")
			w := acctest.NewWorkspace(t, "PULL_AUTHOR=requester@example.com")
			w.Policy(fmt.Sprintf(`{
				"approval": {
					"approvers": ["group:leads"],
					"groups": {"leads": ["boss@example.com", "requester@example.com"]},
					"aliases": {"boss@example.com": ["the-boss"]},
					"separation_of_duties": true,
					"maintenance_window": [{"name": "never", "recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
						"duration": "1m", "time_zone": "UTC", "playbooks": ["adjust_canary_split"]}]
				},
				"journal": {"path": %q}
			}`, journal))
			w.Write("planner.json", splitFile)
			for file, text := range tt.files {
				w.Write(file, text)
			}
			out := w.MustFail("apply", "-auto-approve", "-no-color")
			if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), tt.says) {
				t.Errorf("want %q, got:\n%s", tt.says, out)
			}
			if now, err := os.ReadFile(filepath.Join(w.Dir, "planner.json")); err != nil || string(now) != splitFile {
				t.Errorf("traffic moved: %s, %v", now, err)
			}
			if _, err := os.Stat(filepath.Join(w.Dir, "mine.db")); err == nil {
				t.Error("there is a journal of the configuration")
			}
		})
	}
}

// TestAccApprovedUnderTheRunnersPolicy runs an honest change.
func TestAccApprovedUnderTheRunnersPolicy(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal.db")
	w := acctest.NewWorkspace(t, "PULL_AUTHOR=requester@example.com")
	path := w.Policy(fmt.Sprintf(`{"approval": {"approvers": ["*@example.com"], "separation_of_duties": true},
		"journal": {"path": %q}, "executables": []}`, journal))
	w.Write("planner.json", splitFile)
	w.Write("main.tf", block(`path = "mine.db"`, "")+raises(`approved_by = "boss@example.com"`))
	out := w.Must("apply", "-auto-approve", "-no-color")
	for _, says := range []string{path, "It has no hosts", "Terraform runs as root", "journal is not used"} {
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), says) {
			t.Errorf("the plan does not say %q:\n%s", says, out)
		}
	}
	if strings.Contains(out, "has no executables") {
		t.Errorf("the plan says that a list is missing:\n%s", out)
	}
	if _, err := os.Stat(journal); err != nil {
		t.Error(err)
	}
}

// TestAccBadPolicyFiles refuses a policy that can't be trusted, before anything is read or written.
func TestAccBadPolicyFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path func(t *testing.T) string
		says string
	}{
		"missing": {func(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "no.json") },
			"no such file"},
		"a folder": {func(t *testing.T) string { t.Helper(); return t.TempDir() }, "not a regular file"},
		"relative": {func(*testing.T) string { return "policy.json" }, "path is relative"},
		"empty":    {func(*testing.T) string { return "" }, "REMEDIATION_POLICY is set, and empty"},
		"writable": {func(t *testing.T) string { t.Helper(); return policyFile(t, `{}`, 0o666) },
			"writable by group or others"},
		"of an unknown name": {func(t *testing.T) string {
			t.Helper()
			return policyFile(t, `{"approvals": {}}`, 0o600)
		}, "approvals is unknown. Did you mean approval?"},
		"contradicting itself": {func(t *testing.T) string {
			t.Helper()
			return policyFile(t, `{"approval": {"approvers": ["a@x.com"], "minimum": 2}}`, 0o600)
		}, "Nobody could approve anything"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t)
			w.Policy(`{}`)
			path := tt.path(t)
			w.Environment("REMEDIATION_POLICY=" + path)
			w.Write("planner.json", splitFile)
			w.Write("main.tf", block(`path = "journal.db"`, "")+raises(""))
			out := w.MustFail("plan", "-no-color")
			out = strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " ")
			for _, says := range []string{"The runner's policy can't be used", tt.says, path} {
				if !strings.Contains(out, says) {
					t.Errorf("want %q, got:\n%s", says, out)
				}
			}
			if _, err := os.Stat(filepath.Join(w.Dir, "journal.db")); err == nil {
				t.Error("a journal was made")
			}
		})
	}
}

func policyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}
