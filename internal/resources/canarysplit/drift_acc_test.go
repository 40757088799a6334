package canarysplit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccDriftOfAnotherPlannerIsNotReconciled points the provider to another planner after an apply: by its path, and
// by a link that keeps the name. A refresh says so, and nothing is written to the other planner.
func TestAccDriftOfAnotherPlannerIsNotReconciled(t *testing.T) {
	t.Parallel()
	const reconciled = atOnce + "\n  on_drift = \"reconcile\""
	for name, link := range map[string]bool{"another path": false, "another file behind a link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.Write("main.tf", config(25, reconciled, ""))
			if link {
				real := filepath.Join(r.Dir, "real.json")
				if err := os.Rename(r.file, real); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(real, r.file); err != nil {
					t.Fatal(err)
				}
			}
			r.Must("apply", "-auto-approve", "-no-color")
			r.Write("other.json", `{"revision": 1, "stable": "v1.2.2", "versions": {"v1.2.2": {"percent": 100}, "`+canary+
				`": {"percent": 0}}}`)
			if link {
				if err := os.Remove(r.file); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(filepath.Join(r.Dir, "other.json"), r.file); err != nil {
					t.Fatal(err)
				}
			} else {
				r.Write("main.tf", strings.Replace(config(25, reconciled, ""), `"planner.json"`, `"other.json"`, 1))
			}
			out, code := r.Run("plan", "-no-color", "-detailed-exitcode")
			const says = "The provider points to another target than the execution changed"
			if code != 0 || !strings.Contains(flat(out), says) {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			r.Must("apply", "-auto-approve", "-no-color")
			other, err := os.ReadFile(filepath.Join(r.Dir, "other.json"))
			if err != nil || !strings.Contains(string(other), `"revision": 1`) {
				t.Errorf("the other planner was changed: %s, %v", other, err)
			}
		})
	}
}

// TestAccLaterExecutionIsNoDrift rolls the canary back with another resource.
func TestAccLaterExecutionIsNoDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config(25, atOnce, ""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Write("rollback.tf", `
resource "remediation_planner_rollback" "canary" {
  from_version = "`+canary+`"
  to_version   = "v1.2.2"
  immediate    = true
  approved_by  = "oncall@example.com"
}
`)
	r.Must("apply", "-auto-approve", "-no-color")
	if r.share(t) != 0 {
		t.Fatalf("the canary has %g%%", r.share(t))
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 || strings.Contains(out, "was set to") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
