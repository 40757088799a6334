package canarysplit_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/haproxytest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

const (
	// requests is the maximum number of requests that the client sends.
	requests = 60_000
	// leastRequests is the minimum number of requests for a meaningful result, leastSample the minimum per step.
	leastRequests, leastSample = 5_000, 500
	// within, in percentage points, is how far a measured share may be from its step.
	within = 2.0
)

// sample counts the answers at one weight of the canary.
type sample struct{ all, canary int }

// traffic sends requests until stop is closed or they are used up, and counts answers by the weight that HAProxy has
// around them.
type traffic struct {
	proxy  *haproxytest.Server
	failed atomic.Int64
	sent   atomic.Int64
	mu     sync.Mutex
	steps  map[string]*sample
}

// weight returns the canary's share as HAProxy reports it.
func (tr *traffic) weight(t *testing.T) string {
	fields := strings.Fields(tr.proxy.Say(t, "get weight planner/srv2"))
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

func (tr *traffic) run(t *testing.T, stop <-chan struct{}) {
	const batch, pause = 50, 40 * time.Millisecond
	for tr.sent.Load() < requests {
		select {
		case <-stop:
			return
		default:
		}
		before, canary := tr.weight(t), 0
		for range batch {
			tr.sent.Add(1)
			version, err := tr.proxy.Request()
			if err != nil {
				tr.failed.Add(1)
				t.Logf("request: %v", err)
			}
			if version == "v2" {
				canary++
			}
		}
		if before != tr.weight(t) {
			continue // a step was taken in the middle of these
		}
		tr.mu.Lock()
		s := tr.steps[before]
		if s == nil {
			s = &sample{}
			tr.steps[before] = s
		}
		s.all, s.canary = s.all+batch, s.canary+canary
		tr.mu.Unlock()
		time.Sleep(pause)
	}
}

func proxied(proxy *haproxytest.Server, more, provider string) string {
	main := config(25, more, provider)
	main = strings.ReplaceAll(main, canary, "v2")
	return strings.ReplaceAll(main, `file { path = "planner.json" }`, fmt.Sprintf(
		`haproxy {
      address = %q
      backend = "planner"
      servers = { v1 = "srv1", v2 = "srv2" }
    }`, proxy.Socket))
}

// TestAccRealTraffic shifts real traffic of a real HAProxy from 10% to 25% in three steps.
func TestAccRealTraffic(t *testing.T) {
	t.Parallel()
	proxy := haproxytest.Start(t)
	w := acctest.NewWorkspace(t)
	w.Write("main.tf", proxied(proxy, approved+"\n  gradual_duration = \"12s\"\n  steps = 3", ""))
	tr := &traffic{proxy: proxy, steps: map[string]*sample{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() { tr.run(t, stop) })
	}
	w.Must("apply", "-auto-approve", "-no-color")
	close(stop)
	clients.Wait()
	if tr.failed.Load() != 0 || tr.sent.Load() < leastRequests {
		t.Errorf("%d of %d requests failed", tr.failed.Load(), tr.sent.Load())
	}
	for weight, share := range map[string]float64{"30": 15, "40": 20, "50": 25} { // weights sum to 200
		s := tr.steps[weight]
		if s == nil || s.all < leastSample {
			t.Errorf("too few requests at %g%%: %+v", share, s)
			continue
		}
		measured := 100 * float64(s.canary) / float64(s.all)
		t.Logf("%g%%: measured %.2f%% of %d requests", share, measured, s.all)
		if math.Abs(measured-share) > within {
			t.Errorf("%g%%: measured %.2f%% of %d requests", share, measured, s.all)
		}
	}
	t.Logf("%d requests, %d failed", tr.sent.Load(), tr.failed.Load())
}

// TestAccBreachRestoresRealTraffic breaches a Prometheus guardrail at the second step.
func TestAccBreachRestoresRealTraffic(t *testing.T) {
	t.Parallel()
	proxy, prom := haproxytest.Start(t), prometheustest.Start(t)
	prom.Show("error_rate", 0.01)
	w := acctest.NewWorkspace(t)
	w.Write("main.tf", proxied(proxy, approved+`
  gradual_duration = "9s"
  steps            = 3
  guardrail {
    name      = "errors"
    query     = "error_rate"
    max       = 0.05
    on_breach = "rollback"
  }`,
		fmt.Sprintf("prometheus { url = %q }", prom.URL)))
	tr := &traffic{proxy: proxy, steps: map[string]*sample{}}
	done := make(chan time.Duration, 1)
	go func() {
		await := func(weight string) {
			for limit := time.Now().Add(time.Minute); tr.weight(t) != weight && time.Now().Before(limit); {
				time.Sleep(10 * time.Millisecond)
			}
		}
		await("40")
		prom.Set("error_rate", 0.5)
		breached := time.Now()
		await("10") // the original weight, not the one that a step of 10% would set
		done <- time.Since(breached)
	}()
	w.MustFail("apply", "-auto-approve", "-no-color")
	const interval, slack = 3 * time.Second, 500 * time.Millisecond // the slack is for reading and writing
	if took := <-done; took > interval+slack || tr.weight(t) != "10" {
		t.Errorf("back after %s, weight %s", took, tr.weight(t))
	} else {
		t.Logf("back at 10%% %s after the breach", took)
	}
}
