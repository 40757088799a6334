package faultproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/canarysplit"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/plannerdeploy"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/plannerrollback"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/applylens"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
)

// router is a planner behind the proxy, and as its own system sees it.
type router struct {
	proxy   *faultproxy.Proxy
	planner func() planner.Planner
	set     func(t *testing.T, percent float64, up bool)
	get     func(t *testing.T) (percent float64, up bool)
}

// isWrite tells the requests that change something.
func isWrite(s faultproxy.Seen) bool { return s.Method != http.MethodGet }

func overHTTP(t *testing.T) router {
	t.Helper()
	api := controlapi.New()
	p := faultproxy.Before(t, api.Handler())
	const whole = 100
	return router{
		proxy: p, planner: func() planner.Planner { return httpapi.New(p.URL, "") },
		set: func(_ *testing.T, percent float64, up bool) {
			api.Become(map[string]controlapi.Version{"v1": {Percent: whole - percent, Deployed: true}, "v2": {Percent: percent, Deployed: up}})
		},
		get: func(*testing.T) (float64, bool) { v := api.Now()["v2"]; return v.Percent, v.Deployed },
	}
}

// guardBinary is the guard API, made once a test process.
var guardBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "guardapi")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "guardapi")
	out, err := exec.Command("go", "build", "-o", path, "../guardapi").CombinedOutput() //nolint:noctx // once, before what it is for
	if err != nil {
		return "", fmt.Errorf("build the guard API: %w\n%s", err, out)
	}
	return path, nil
})

func overGuard(t *testing.T) router {
	t.Helper()
	program, err := guardBinary()
	if err != nil {
		t.Fatal(err)
	}
	where := spawn.Address(t)
	call := func(method, path string, body any) (float64, bool, error) {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, false, err
		}
		req, err := http.NewRequestWithContext(context.Background(), method, "http://"+where+path, bytes.NewReader(text))
		if err != nil {
			return 0, false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, false, err
		}
		defer resp.Body.Close()
		var answer struct {
			Config struct {
				Percent float64 `json:"canary_pct"`
				Switch  bool    `json:"kill_switch"`
			} `json:"config"`
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		return answer.Config.Percent, !answer.Config.Switch, err
	}
	spawn.Start(t, func() bool { _, _, err := call(http.MethodGet, "/guard/status", nil); return err == nil }, program, "-address", where)
	p := faultproxy.Start(t, "http://"+where)
	return router{
		proxy: p, planner: func() planner.Planner { return applylens.New(applylens.Config{URL: p.URL, Stable: "v1", Canary: "v2"}) },
		set: func(t *testing.T, percent float64, up bool) {
			t.Helper()
			if _, _, err := call(http.MethodPut, "/guard/config", map[string]any{"canary_pct": percent, "kill_switch": !up}); err != nil {
				t.Fatal(err)
			}
		},
		get: func(t *testing.T) (float64, bool) {
			t.Helper()
			percent, up, err := call(http.MethodGet, "/guard/status", nil)
			if err != nil {
				t.Fatal(err)
			}
			return percent, up
		},
	}
}

// is says what is wrong with v2.
func (r router) is(wantPercent float64, wantUp bool) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		if percent, up := r.get(t); percent != wantPercent || up != wantUp {
			return fmt.Sprintf("v2 has %g %%, up %t; asked for were %g %%, up %t", percent, up, wantPercent, wantUp)
		}
		return ""
	}
}

func canary(r router) subject {
	return subject{
		proxy: r.proxy, once: isWrite, action: "adjust_canary_split",
		book:   func() playbook.Playbook { return canarysplit.New(r.planner(), clock.System{}) },
		params: map[string]any{"version": "v2", "target_percent": 25, "gradual": false},
		begin:  func(t *testing.T) { r.set(t, 10, true) }, amiss: r.is(25, true),
	}
}

func rollback(r router) subject {
	return subject{
		proxy: r.proxy, once: isWrite, action: "rollback_planner",
		book:   func() playbook.Playbook { return plannerrollback.New(r.planner(), clock.System{}) },
		params: map[string]any{"from_version": "v2", "to_version": "v1", "immediate": true},
		begin:  func(t *testing.T) { r.set(t, 10, true) }, amiss: r.is(0, false),
	}
}

func deploy(r router) subject {
	return subject{
		proxy: r.proxy, once: isWrite, action: "deploy_planner",
		book:   func() playbook.Playbook { return plannerdeploy.New(r.planner(), clock.System{}) },
		params: map[string]any{"version": "v2", "initial_percent": 5},
		begin:  func(t *testing.T) { r.set(t, 0, false) }, amiss: r.is(5, true),
	}
}
