package metricgate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twice is a chain in which two gates have the same guardrail, before and after a move of traffic.
func (r rig) twice(t *testing.T, more string) {
	t.Helper()
	gate := func(name, more string) string {
		return fmt.Sprintf(`resource "remediation_metric_gate" %q {
  incident_id = "INC-7"
  %s
  guardrail {
    name     = "errors"
    query    = "error_rate"
    max      = 0.05
    interval = "1s"
  }
}
`, name, more)
	}
	const after = "after = [remediation_canary_split.%s.preview.digest]"
	split := func(name string, percent int, more string) string {
		return fmt.Sprintf(`resource "remediation_canary_split" %q {
  incident_id    = "INC-7"
  version        = "v2"
  target_percent = %d
  gradual        = false
  %s
}
`, name, percent, more)
	}
	r.write(split("contain", 5, "") + gate("first", fmt.Sprintf(after, "contain")) +
		// It names the gate only: the containment before the gate comes first all the same.
		split("further", 1, "after = [remediation_metric_gate.first.preview.digest]\n"+
			"  run_if = !remediation_metric_gate.first.passed") +
		gate("second", fmt.Sprintf(after, "further")+"\n  run_if = !remediation_metric_gate.first.passed\n"+more))
}

// recoversAt lets the metric recover once the canary has a share.
func (r rig) recoversAt(t *testing.T, share float64) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
			if text, err := os.ReadFile(r.file); err == nil && shareIn(text) == share {
				r.prometheus.Set("error_rate", 0.01)
				return
			}
		}
	}()
}

// shareIn returns the canary's share in a planner file, or -1 while the file is being written.
func shareIn(text []byte) float64 {
	var d struct {
		Versions map[string]struct{ Percent float64 }
	}
	if json.Unmarshal(text, &d) != nil {
		return -1
	}
	return d.Versions["v2"].Percent
}

// TestAccEqualGatesAtTwoPlacesOfAChain reads one guardrail at two places of a chain: each gate has its own verdict.
func TestAccEqualGatesAtTwoPlacesOfAChain(t *testing.T) {
	t.Parallel()
	for _, apply := range [][]string{{"p"}, {"-auto-approve"}} {
		t.Run(apply[0], func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.prometheus.Show("error_rate", 0.5)
			r.recoversAt(t, 1)
			r.twice(t, `wait = "2s"`)
			if out := flat(r.Must("plan", "-no-color", "-out=p")); !strings.Contains(out,
				"Traffic of v2: 5% to 1%") {
				t.Errorf("the second step is not previewed on what the first one leaves:\n%s", out)
			}
			r.Must(append([]string{"apply", "-no-color"}, apply...)...)
			r.verdicts(t, "failed", "passed")
			r.empty(t)
		})
	}
}

// verdicts compares the verdicts of the two gates, and that each has one execution.
func (r rig) verdicts(t *testing.T, first, second string) {
	t.Helper()
	for name, want := range map[string]string{"first": first, "second": second} {
		got := r.has(t, "remediation_metric_gate."+name, map[string]any{"verdict": want, "status": "success"})
		if history, _ := got["history"].([]any); len(history) != 1 {
			t.Errorf("%s: history %v", name, history)
		}
	}
}

// TestAccAChangedPlaceAloneRunsNothing takes a gate out of its chain: the verdict that it has stays.
func TestAccAChangedPlaceAloneRunsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.prometheus.Show("error_rate", 0.01)
	r.twice(t, "")
	r.Must("apply", "-no-color", "-auto-approve")
	before := r.has(t, "remediation_metric_gate.first", map[string]any{"verdict": "passed"})
	text, err := os.ReadFile(filepath.Join(r.Dir, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	const after = "after = [remediation_canary_split.contain.preview.digest]"
	r.Write("main.tf", strings.Replace(string(text), after, "", 1))
	out := r.Must("apply", "-no-color", "-auto-approve")
	now := r.has(t, "remediation_metric_gate.first", map[string]any{"verdict": "passed"})
	if before["id"] != now["id"] {
		t.Errorf("the gate has run again:\n%s", out)
	}
	r.empty(t)
}
