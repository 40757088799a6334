package faultproxy_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/guardtest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/applylens"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/httpapi"
)

// router is a planner behind the proxy, and from its system's point of view.
type router struct {
	proxy   *faultproxy.Proxy
	planner func() target.Planner
	set     func(t *testing.T, percent float64, up bool)
	get     func(t *testing.T) (percent float64, up bool)
}

// isWrite reports whether a request changes something.
func isWrite(s faultproxy.Seen) bool { return s.Method != http.MethodGet }

func overHTTP(t *testing.T) router {
	t.Helper()
	api := controlapi.New()
	p := faultproxy.Before(t, api.Handler())
	const whole = 100
	return router{
		proxy: p, planner: func() target.Planner { return httpapi.New(p.URL, "") },
		set: func(_ *testing.T, percent float64, up bool) {
			api.Become(map[string]controlapi.Version{"v1": {Percent: whole - percent, Deployed: true},
				"v2": {Percent: percent, Deployed: up}})
		},
		get: func(*testing.T) (float64, bool) { v := api.Now()["v2"]; return v.Percent, v.Deployed },
	}
}

func overGuard(t *testing.T) router {
	t.Helper()
	api := guardtest.Start(t)
	p := faultproxy.Start(t, api.URL)
	return router{
		proxy: p, planner: func() target.Planner {
			return applylens.New(applylens.Config{URL: p.URL, Stable: "v1",
				Canary: "v2"})
		},
		set: func(t *testing.T, percent float64, up bool) { t.Helper(); api.Set(t, percent, up) },
		get: func(t *testing.T) (float64, bool) { t.Helper(); return api.Get(t) },
	}
}

// is describes what is wrong with v2, or returns "".
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
		book:   func() playbook.Playbook { return planner.NewSplit(r.planner(), clock.System{}) },
		params: map[string]any{"version": "v2", "target_percent": 25, "gradual": false},
		begin:  func(t *testing.T) { r.set(t, 10, true) }, amiss: r.is(25, true),
	}
}

func rollback(r router) subject {
	return subject{
		proxy: r.proxy, once: isWrite, action: "rollback_planner",
		book:   func() playbook.Playbook { return planner.NewRollback(r.planner(), clock.System{}) },
		params: map[string]any{"from_version": "v2", "to_version": "v1", "immediate": true},
		begin:  func(t *testing.T) { r.set(t, 10, true) }, amiss: r.is(0, false),
	}
}

func deploy(r router) subject {
	return subject{
		proxy: r.proxy, once: isWrite, action: "deploy_planner",
		book:   func() playbook.Playbook { return planner.NewDeploy(r.planner(), clock.System{}) },
		params: map[string]any{"version": "v2", "initial_percent": 5},
		begin:  func(t *testing.T) { r.set(t, 0, false) }, amiss: r.is(5, true),
	}
}
