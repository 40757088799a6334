package canarysplit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// TestAccExecutionThatStoppedIsNoDrift stops another resource's shift partway. What it left is not restored, but what
// somebody else does after that is.
func TestAccExecutionThatStoppedIsNoDrift(t *testing.T) {
	t.Parallel()
	const stopsHalfway = `
resource "remediation_canary_split" "more" {
  version          = "` + canary + `"
  target_percent   = 55
  gradual_duration = "9s"
  steps            = 3
  approved_by      = "oncall@example.com"
  %s
}
`
	plansNothingFor := func(t *testing.T, r rig, when string) {
		t.Helper()
		if out := r.Must("plan", "-no-color", "-lock=false"); strings.Contains(out, "was set to") ||
			strings.Contains(out, address+" will be updated") {
			t.Errorf("%s:\n%s", when, out)
		}
	}
	someoneElse := func(t *testing.T, r rig) {
		t.Helper()
		r.split(42)
		if out := r.Must("plan", "-no-color", "-lock=false"); !strings.Contains(out, address+" will be updated") {
			t.Errorf("somebody else's move is not restored:\n%s", out)
		}
	}
	t.Run("held", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		metric := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"share": %g}`, r.share(t))
		}))
		t.Cleanup(metric.Close)
		r.Write("main.tf", config(25, atOnce+`
  on_drift = "reconcile"`, ""))
		r.Must("apply", "-auto-approve", "-no-color")
		r.Write("more.tf", fmt.Sprintf(stopsHalfway, `guardrail {
    name      = "errors"
    max       = 30
    on_breach = "hold"
    http {
      url          = "`+metric.URL+`"
      json_pointer = "/share"
    }
  }`))
		r.MustFail("apply", "-auto-approve", "-no-color")
		plansNothingFor(t, r, "held")
		someoneElse(t, r)
	})
	t.Run("died", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.Write("main.tf", config(25, atOnce+`
  on_drift = "reconcile"`, ""))
		r.Must("apply", "-auto-approve", "-no-color")
		r.Write("more.tf", fmt.Sprintf(stopsHalfway, ""))
		r.begin(t, 25)(syscall.SIGKILL)
		plansNothingFor(t, r, "open")
		r.MustFail("apply", "-auto-approve", "-no-color", "-lock=false") // it records how the dead process ended
		plansNothingFor(t, r, "partway")
		someoneElse(t, r)
	})
}
