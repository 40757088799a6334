package scenarios_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// live writes a configuration that uses a scenario as a module, as its README shows, and gets the module. In these
// tests the metrics follow what the steps do to the real components.
func (r rig) live(t *testing.T, scenario, provider string, arguments ...string) {
	t.Helper()
	to := filepath.Join(r.Dir, scenario)
	from := os.DirFS(filepath.Join(acctest.Root(t), "examples", "scenarios", scenario))
	if err := os.CopyFS(to, from); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	r.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

%s

module "incident" {
  source      = "./%s"
  incident_id = "7"
  %s
}

output "incident" {
  value = module.incident
}
`, provider, scenario, strings.Join(arguments, "\n  ")))
	r.Must("get")
}

// when sets a gauge once something has happened.
func (r rig) when(t *testing.T, happened func() bool, gauge string, value float64) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		const within, poll = 2 * time.Minute, 20 * time.Millisecond
		for limit := time.Now().Add(within); time.Now().Before(limit) && t.Context().Err() == nil; time.Sleep(poll) {
			if happened() {
				r.prometheus.Set(gauge, value)
				return
			}
		}
	}()
}

// saved plans, applies that plan, and returns what the plan says.
func (r rig) saved(t *testing.T) string {
	t.Helper()
	plan := r.Must("plan", "-no-color", "-out=p")
	r.Must("apply", "-no-color", "p")
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
	return plan
}

// outputs are those of a scenario.
type outputs struct {
	Escalate       bool               `json:"escalate"`
	StillRegresses bool               `json:"still_regresses"`
	Steps          map[string]*string `json:"steps"`
}

func (r rig) outputs(t *testing.T) outputs {
	t.Helper()
	var all struct{ Incident struct{ Value outputs } }
	if err := json.Unmarshal([]byte(r.Must("output", "-json")), &all); err != nil {
		t.Fatal(err)
	}
	return all.Incident.Value
}

// wantSteps compares what the steps did with the beginnings of messages.
func (o outputs) wantSteps(t *testing.T, want map[string]string) {
	t.Helper()
	for name, begins := range want {
		if got := o.Steps[name]; got == nil || !strings.HasPrefix(*got, begins) {
			t.Errorf("step %s: %v, want %q", name, got, begins)
		}
	}
}
