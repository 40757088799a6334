package scenarios_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

// killer is the provider that kills itself and its Terraform, built once per test process.
var killer = sync.OnceValues(func() (string, error) { return acctest.Build("./internal/acctest/chaos/provider") })

// counted is a planner with the control API that counts the changes that it receives.
type counted struct {
	*httptest.Server
	mu      sync.Mutex
	changes map[string]int
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	c, api := &counted{changes: map[string]int{}}, controlapi.New().Handler()
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			body, _ := io.ReadAll(r.Body)
			// Without who changes it: another execution must not repeat the change either.
			shares, _, _ := strings.Cut(string(body), `"updated_by"`)
			c.mu.Lock()
			c.changes[r.Method+" "+r.URL.Path+" "+shares]++
			c.mu.Unlock()
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		api.ServeHTTP(w, r)
	}))
	c.Config.ErrorLog = nil
	t.Cleanup(c.Close)
	return c
}

// wantOnce compares which changes arrived: each exactly once.
func (c *counted) wantOnce(t *testing.T, changes int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for change, times := range c.changes {
		if times != 1 {
			t.Errorf("the planner received %d times: %s", times, change)
		}
	}
	if len(c.changes) != changes {
		t.Errorf("the planner received %v, want %d changes", c.changes, changes)
	}
}

// TestAccKilledBetweenSteps kills Terraform and the provider (kill -9) at the beginning and at the end of each step of
// the canary regression. The next apply finishes it: no change is sent twice, to the planner or to the incident
// service.
func TestAccKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	binary, err := killer()
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []string{"contain", "watch", "rollback", "resolve"} {
		for _, point := range []engine.Point{engine.PointIntent, engine.PointWaited, engine.PointOutcome} {
			t.Run(fmt.Sprintf("%s at %s", step, point), func(t *testing.T) {
				t.Parallel()
				marks := t.TempDir()
				c, r := newCounted(t), newServicesOf(t, binary, regressed(), "CHAOS_DIR="+marks)
				r.live(t, "canary-regression", fmt.Sprintf(`provider "remediation" {
  planner {
    http { url = %q }
  }
}`, c.URL), `canary_version = "v2"`, `watch = "1s"`, `accuracy_query = "canary_accuracy"`,
					`stable_accuracy_query = "stable_accuracy"`, `rollback_approved_by = "manager@example.com"`)
				r.killed(t, marks, point, i+1)
				r.Must("apply", "-auto-approve", "-no-color")
				if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
					t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
				}
				c.wantOnce(t, 3) // 5%, 0%, and the decommission
				if sent := r.service.Changes(); len(sent) != 3 {
					t.Errorf("the incident service received %q", sent)
				}
				r.wantNotes(t, "7", "adjust_canary_split (", "rollback_planner (")
			})
		}
	}
}

// killed applies, and dies when the point is reached for the nth time.
func (r rig) killed(t *testing.T, marks string, point engine.Point, nth int) {
	t.Helper()
	cmd := r.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.Env = append(cmd.Env, "CHAOS_POINT="+string(point), fmt.Sprintf("CHAOS_NTH=%d", nth), "CHAOS_VICTIM=both")
	out, err := cmd.CombinedOutput()
	if _, statErr := os.Stat(filepath.Join(marks, "killed")); err == nil || statErr != nil {
		t.Fatalf("nothing was killed: %v, %v\n%s", err, statErr, out)
	}
}
