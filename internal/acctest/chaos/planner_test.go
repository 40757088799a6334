package chaos_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/guardtest"
)

// router is a planner from its system's point of view: the share of v2, and whether v2 is up.
type router struct {
	provider string
	ledger   *ledger
	set      func(t *testing.T, percent float64, up bool)
	get      func(t *testing.T) (percent float64, up bool)
}

// plannerChange names the change of a request to a planner API.
func plannerChange(r *http.Request, body []byte) string {
	if r.Method == http.MethodGet {
		return ""
	}
	var asked map[string]any
	if json.Unmarshal(body, &asked) != nil {
		return r.URL.Path + " of no JSON"
	}
	delete(asked, "updated_by")
	text, err := json.Marshal(asked)
	if err != nil {
		return r.URL.Path
	}
	return r.URL.Path + " " + string(text)
}

func overHTTP(t *testing.T) router {
	t.Helper()
	l, api := &ledger{}, controlapi.New()
	s := httptest.NewServer(l.over(api.Handler(), plannerChange))
	t.Cleanup(s.Close)
	const whole = 100
	return router{
		provider: fmt.Sprintf("planner {\n    http { url = %q }\n  }", s.URL), ledger: l,
		set: func(_ *testing.T, percent float64, up bool) {
			api.Become(map[string]controlapi.Version{"v1": {Percent: whole - percent, Deployed: true},
				"v2": {Percent: percent, Deployed: up}})
		},
		get: func(*testing.T) (float64, bool) { v := api.Now()["v2"]; return v.Percent, v.Deployed },
	}
}

func overGuard(t *testing.T) router {
	t.Helper()
	l, api := &ledger{}, guardtest.Start(t)
	return router{
		provider: fmt.Sprintf("planner {\n    applylens {\n      url = %q\n      stable_version = \"v1\"\n"+
			"      canary_version = \"v2\"\n    }\n  }",
			behind(t, l, api.URL, plannerChange)),
		ledger: l,
		set:    func(t *testing.T, percent float64, up bool) { t.Helper(); api.Set(t, percent, up) },
		get:    func(t *testing.T) (float64, bool) { t.Helper(); return api.Get(t) },
	}
}

// document is the planner file.
type document struct {
	Revision int64             `json:"revision"`
	Stable   string            `json:"stable"`
	Versions map[string]inFile `json:"versions"`
}

type inFile struct {
	Percent float64 `json:"percent"`
	Down    bool    `json:"down,omitempty"`
}

// overFile is the planner in a file. There is no server, so the file is watched for its revisions.
func overFile(t *testing.T) router {
	t.Helper()
	l := &ledger{}
	path := filepath.Join(t.TempDir(), "planner.json")
	read := func() (document, error) {
		var d document
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &d)
		}
		return d, err
	}
	const whole = 100
	var own int64 // the newest revision that the test wrote
	set := func(t *testing.T, percent float64, up bool) {
		t.Helper()
		own += 1000
		text, err := json.Marshal(document{own, "v1", map[string]inFile{"v1": {Percent: whole - percent},
			"v2": {percent, !up}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", text, fileMode); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	set(t, 10, true)
	watch(t, l, read)
	return router{
		provider: fmt.Sprintf("planner {\n    file { path = %q }\n  }", path), ledger: l, set: set,
		get: func(t *testing.T) (float64, bool) {
			t.Helper()
			d, err := read()
			if err != nil {
				t.Fatal(err)
			}
			return d.Versions["v2"].Percent, !d.Versions["v2"].Down
		},
	}
}

// watch records every revision of the file that the test did not write (revisions of the test are multiples of a
// thousand). It fails the test for a missed revision, and for one that changes nothing.
func watch(t *testing.T, l *ledger, read func() (document, error)) {
	t.Helper()
	const every, test = 500 * time.Microsecond, 1000
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		last, err := read()
		if err != nil {
			t.Error(err)
			return
		}
		for {
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
			now, err := read()
			if err != nil || now.Revision == last.Revision {
				continue
			}
			if now.Revision%test != 0 {
				if now.Revision != last.Revision+1 && last.Revision%test != 0 ||
					maps.Equal(now.Versions, last.Versions) {
					t.Errorf("revision %d of the file follows %d: %v after %v", now.Revision, last.Revision,
						now.Versions, last.Versions)
				}
				// Its execution may have ended by now.
				l.note(effect{l.newest(), fmt.Sprintf("write %v", now.Versions)}, true)
			}
			last = now
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// canary moves v2's share up and down, in steps, or at once if steps is 0.
func canary(r router, via string, steps int) *world {
	goal := func(n int) float64 { return []float64{25, 40, 10, 30}[n%4] }
	inputs := "gradual = false"
	takes := 60 * time.Millisecond
	if steps > 0 {
		inputs = fmt.Sprintf("gradual_duration = \"%ds\"\n  steps = %d", steps, steps)
		takes = time.Duration(steps) * time.Second
	}
	return &world{
		name: fmt.Sprintf("adjust_canary_split (%s, %d steps)", via,
			steps), playbook: "adjust_canary_split", resource: "remediation_canary_split",
		provider: r.provider, ledger: r.ledger, takes: takes, steps: max(steps, 1),
		begin: func(t *testing.T, n int) string {
			t.Helper()
			if n == 0 {
				r.set(t, 10, true)
			}
			return fmt.Sprintf("version = \"v2\"\n  target_percent = %g\n  %s", goal(n), inputs)
		},
		amiss: r.isnt(goal, true),
	}
}

func (r router) isnt(goal func(n int) float64, wantUp bool) func(*testing.T, int) string {
	return func(t *testing.T, n int) string {
		t.Helper()
		if percent, up := r.get(t); percent != goal(n) || up != wantUp {
			return fmt.Sprintf("v2 has %g %%, up %t; asked for were %g %%, up %t", percent, up, goal(n), wantUp)
		}
		return ""
	}
}

// rollback takes v2 down.
func rollback(r router, via string, steps int) *world {
	inputs, takes := "immediate = true", 60*time.Millisecond
	if steps > 0 {
		inputs = fmt.Sprintf("gradual_duration = \"%ds\"\n  steps = %d", steps, steps)
		takes = time.Duration(steps) * time.Second
	}
	return &world{
		name: fmt.Sprintf("rollback_planner (%s, %d steps)", via,
			steps), playbook: "rollback_planner", resource: "remediation_planner_rollback",
		provider: r.provider, ledger: r.ledger, takes: takes, steps: max(steps, 1),
		begin: func(t *testing.T, n int) string {
			t.Helper()
			r.set(t, float64(10+n%3), true)
			return "from_version = \"v2\"\n  to_version = \"v1\"\n  " + inputs
		},
		amiss: r.isnt(func(int) float64 { return 0 }, false),
	}
}

// deploy brings v2 up with a first share.
func deploy(r router, via string) *world {
	return &world{
		name: "deploy_planner (" + via + ")", playbook: "deploy_planner", resource: "remediation_planner_deploy",
		provider: r.provider, ledger: r.ledger, takes: 60 * time.Millisecond, steps: 1,
		begin: func(t *testing.T, _ int) string {
			t.Helper()
			r.set(t, 0, false)
			return "version = \"v2\"\n  initial_percent = 5"
		},
		amiss: r.isnt(func(int) float64 { return 5 }, true),
	}
}
