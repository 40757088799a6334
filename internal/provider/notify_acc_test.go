package provider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccNotices plans, applies without an approval, and applies with one. The webhook gets each event once, and one
// that is down changes nothing.
func TestAccNotices(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n struct{ Event, Incident_id, Text string } //nolint:revive // the name in JSON
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if json.Unmarshal(body, &n) != nil || n.Incident_id != "7" || n.Text == "" {
			t.Errorf("notice %s", body)
		}
		events = append(events, n.Event)
	}))
	defer hook.Close()
	told := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, " ")
	}
	w := acctest.NewWorkspace(t, "REMEDIATION_NOTIFY_URL="+hook.URL+"/services/T0SECRET/B0SECRET")
	w.Write("planner.json", splitFile)
	write := func(more string) {
		w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  notify {}
  notify {
    url    = "http://127.0.0.1:1/hook"
    format = "slack"
  }
}

resource "remediation_canary_split" "canary" {
  incident_id    = "7"
  version        = "v2"
  target_percent = 40
  gradual        = false
  %s
}
`, more))
	}
	write("")
	w.Must("plan", "-no-color")
	if told() != "" {
		t.Errorf("a plan told %q", told())
	}
	out := w.MustFail("apply", "-auto-approve", "-no-color") + w.MustFail("apply", "-auto-approve", "-no-color")
	if told() != "approval_needed" {
		t.Errorf("two refused applies told %q, want approval_needed once", told())
	}
	write(`approved_by = "lead@example.com"`)
	out += w.Must("apply", "-auto-approve", "-no-color")
	if told() != "approval_needed start success" {
		t.Errorf("told %q", told())
	}
	if strings.Contains(out, "SECRET") {
		t.Errorf("the address is shown:\n%s", out)
	}
}
