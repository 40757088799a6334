package canarysplit_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
)

// stubborn is a planner whose changes go wrong as a test says, and a metric that breaches after a change.
type stubborn struct {
	*httptest.Server
	// refuse and cut are what happens to changes. After one that was cut, the planner is down.
	refuse, cut, down atomic.Bool
	// moved reports that a change was made: the metric is in breach from then on.
	moved atomic.Bool
}

func newStubborn(t *testing.T) *stubborn {
	t.Helper()
	s, api := &stubborn{}, controlapi.New().Handler()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/errors" && s.moved.Load():
			_, _ = io.WriteString(w, `{"rate": 9}`)
		case r.URL.Path == "/errors":
			_, _ = io.WriteString(w, `{"rate": 1}`)
		case r.Method != http.MethodGet && s.refuse.Load():
			w.WriteHeader(http.StatusForbidden)
		case r.Method != http.MethodGet && s.cut.Load(), s.down.Load():
			s.down.Store(true)
			panic(http.ErrAbortHandler)
		default:
			s.moved.Store(s.moved.Load() || r.Method != http.MethodGet)
			api.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// holds is a guardrail that holds the step after its change.
func (s *stubborn) holds() string {
	return fmt.Sprintf(`
  guardrail {
    name      = "errors"
    max       = 5
    on_breach = "hold"
    http {
      url          = "%s/errors"
      json_pointer = "/rate"
    }
  }`, s.URL)
}

// step is a containment for the incident. Each one has another share, so that none repeats another.
func (s *stubborn) step(name string, percent int, more string) string {
	return fmt.Sprintf(`resource "remediation_canary_split" %q {
  incident_id    = "INC-9"
  version        = "v2"
  target_percent = %d
  %s
}
`, name, percent, more)
}

// TestAccFourthExecutionNeedsAnApproval lets three executions for an incident go wrong, in every way that counts:
// failed, stopped at the deadline, held, and of unknown outcome. The fourth is never refused outright: an approval lets
// it run.
func TestAccFourthExecutionNeedsAnApproval(t *testing.T) {
	t.Parallel()
	const atOnce = "gradual = false"
	for _, kinds := range [][]string{{"failed", "stopped", "held"}, {"unknown", "held", "failed"},
		{"held", "unknown", "stopped"}} {
		t.Run(strings.Join(kinds, " "), func(t *testing.T) {
			t.Parallel()
			s, w := newStubborn(t), acctest.NewWorkspace(t)
			write := func(step string) {
				w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    http { url = %q }
  }
}

%s`, s.URL, step))
			}
			for i, kind := range kinds {
				s.refuse.Store(kind == "failed")
				s.cut.Store(kind == "unknown")
				s.down.Store(false)
				s.moved.Store(false)
				more, status := atOnce, kind
				switch kind {
				case "stopped":
					more, status = "gradual_duration = \"10m\"\n  timeouts {\n    create = \"1s\"\n  }", "cancelled"
				case "held":
					more, status = atOnce+s.holds(), "cancelled"
				}
				name := fmt.Sprintf("step%d", i)
				write(s.step(name, 8-i, more))
				out := w.MustFail("apply", "-auto-approve", "-no-color")
				if got := w.Attributes("remediation_canary_split." + name)["status"]; got != status {
					t.Fatalf("%s: status %v, want %s:\n%s", kind, got, status, out)
				}
			}
			s.refuse.Store(false)
			s.cut.Store(false)
			s.down.Store(false)
			const reason = "the last 3 executions for incident INC-9 did not succeed"
			write(s.step("fourth", 3, atOnce))
			if out := flat(w.Must("plan", "-no-color")); !strings.Contains(out, reason) {
				t.Errorf("the plan lacks the reason:\n%s", out)
			}
			if out := flat(w.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out,
				"needs an approval") || !strings.Contains(out, reason) {
				t.Errorf("the fourth, not approved:\n%s", out)
			}
			write(s.step("fourth", 3, atOnce+"\n  approved_by = \"lead@example.com\""))
			w.Must("apply", "-auto-approve", "-no-color")
			if got := w.Attributes("remediation_canary_split.fourth")["status"]; got != "success" {
				t.Errorf("the fourth, approved: %v", got)
			}
		})
	}
}

// TestAccAfterOfAStepThatNobodyKnows runs a step, and then names a digest that nobody knows: an error in a create, and
// a warning where the step has run before. Nulls are ignored.
func TestAccAfterOfAStepThatNobodyKnows(t *testing.T) {
	t.Parallel()
	nobody := `after = [null, "sha256:` + strings.Repeat("a", 64) + `"]`
	r := newRig(t)
	r.Write("main.tf", config(5, atOnce+"\n  "+nobody, ""))
	if out := flat(r.MustFail("plan", "-no-color")); !strings.Contains(out, "after names an unknown step") {
		t.Errorf("a create:\n%s", out)
	}
	r.Write("main.tf", config(5, atOnce+"\n  after = [null]", ""))
	r.Must("apply", "-auto-approve", "-no-color")
	r.Write("main.tf", config(4, atOnce+"\n  "+nobody, ""))
	if out := flat(r.Must("plan", "-no-color")); !strings.Contains(out,
		"after names a step that neither this run nor the journal knows") {
		t.Errorf("an update:\n%s", out)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if got := r.share(t); got != 4 {
		t.Errorf("the share is %g%%", got)
	}
}
