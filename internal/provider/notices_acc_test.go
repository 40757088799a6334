package provider_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
)

// TestAccNoticesHaveNoSecret lets a planner repeat its token in the error of a change, as a proxy in front of it can.
// The notices in both formats report the failure without the token and without their own addresses.
func TestAccNoticesHaveNoSecret(t *testing.T) {
	t.Parallel()
	token, address := newCanary("the planner's token"), newCanary("the webhook's address")
	api := controlapi.New().Handler()
	planner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			api.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "who are you? %s %q", r.Header.Get("Authorization"), r.Header.Get("Authorization"))
	}))
	defer planner.Close()
	var mu sync.Mutex
	var bodies []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
	}))
	defer hook.Close()
	w := acctest.NewWorkspace(t)
	w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    http {
      url   = %q
      token = %q
    }
  }
  notify {
    url = "%[3]s/hook/${urlencode(%[4]q)}"
  }
  notify {
    url    = "%[3]s/services/${urlencode(%[4]q)}"
    format = "slack"
  }
}

resource "remediation_canary_split" "canary" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}
`, planner.URL, token.value, hook.URL, address.value))
	w.MustFail("apply", "-auto-approve", "-no-color")
	mu.Lock()
	defer mu.Unlock()
	s := searcher{t: t, canaries: []canary{token, address}}
	for _, body := range bodies {
		s.text("a notice", body)
	}
	if all := strings.Join(bodies, "\n"); len(bodies) != 4 || !strings.Contains(all, "who are you?") {
		t.Errorf("want the start and the failure in two formats, with the planner's answer, got:\n%s", all)
	}
}

// TestAccBadWebhooksHoldNothingUp applies with a webhook that fails and one that never answers, before one that works.
func TestAccBadWebhooksHoldNothingUp(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	received := map[string]int{}
	release := make(chan struct{})
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		mu.Lock()
		received[r.URL.Path]++
		mu.Unlock()
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(http.StatusInternalServerError)
		case "/hangs":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	}))
	defer hook.Close()
	defer close(release)
	w := acctest.NewWorkspace(t)
	w.Write("planner.json", splitFile)
	w.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  notify { url = "%[1]s/fails" }
  notify { url = "%[1]s/hangs" }
  notify { url = "%[1]s/works" }
}

resource "remediation_canary_split" "canary" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}
`, hook.URL))
	w.Must("apply", "-auto-approve", "-no-color")
	if got := w.Attributes("remediation_canary_split.canary")["status"]; got != "success" {
		t.Errorf("status %v", got)
	}
	mu.Lock()
	defer mu.Unlock()
	// Two events. One that failed is not sent again, and the webhook that hangs still has the first.
	if received["/fails"] != 2 || received["/works"] != 2 || received["/hangs"] != 1 {
		t.Errorf("requests %v", received)
	}
}
