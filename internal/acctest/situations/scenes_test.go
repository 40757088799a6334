package situations_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
)

func scenes() map[string]func(t *testing.T) scene {
	return map[string]func(t *testing.T) scene{
		"canary_split": split, "planner_rollback": rollback, "planner_deploy": deploy, "metric_gate": gate,
		"cache_clear": cacheClear, "synonyms_refresh": synonyms, "incident_resolution": resolution, "dbt_run": dbtRun,
		"dbt_deps": dbtDeps,
	}
}

// onPlanner returns the provider block for a planner file, and what replaces its path.
func onPlanner(t *testing.T, shares string) (block values, anonymous []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "planner.json")
	text := `{"revision": 1, "stable": "v1", "versions": {` + shares + `}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return values{"planner": values{"file": values{"path": path}}}, []string{filepath.Dir(path), "/srv/shop"}
}

const twoVersions = `"v1": {"percent": 90}, "v2": {"percent": 10}`

// guarded adds a Prometheus whose error rate fails what is guarded by it.
func guarded(t *testing.T, s scene) scene {
	t.Helper()
	prometheus := prometheustest.Start(t)
	prometheus.Show("error_rate", 0)
	s.provider["prometheus"] = values{"url": prometheus.URL}
	s.first["guardrail"] = list{values{"name": "errors", "query": "error_rate", "max": 0.05}}
	s.fail = func() { prometheus.Show("error_rate", 0.5) }
	s.repair = func() { prometheus.Show("error_rate", 0) }
	return s
}

func split(t *testing.T) scene {
	block, anonymous := onPlanner(t, twoVersions)
	first := values{"version": "v2", "target_percent": 25, "gradual": false, "incident_id": "INC-7"}
	return guarded(t, scene{resource: "remediation_canary_split", provider: block, anonymous: anonymous, first: first,
		update: values{"target_percent": 5}, before: "remediation_canary_split",
		earlier: values{"version": "v2", "target_percent": 5, "gradual": false}})
}

func rollback(t *testing.T) scene {
	block, anonymous := onPlanner(t, twoVersions)
	return scene{resource: "remediation_planner_rollback", provider: block, anonymous: anonymous,
		first:  values{"from_version": "v2", "immediate": true, "incident_id": "INC-7"},
		slow:   values{"immediate": false, "gradual_duration": "10m", "timeouts": values{"create": "15s"}},
		update: values{"to_version": "v1", "immediate": false}, before: "remediation_canary_split",
		earlier: values{"version": "v2", "target_percent": 5, "gradual": false}}
}

func deploy(t *testing.T) scene {
	block, anonymous := onPlanner(t, `"v1": {"percent": 100}, "v2": {"percent": 0, "down": true}`)
	return guarded(t, scene{resource: "remediation_planner_deploy", provider: block, anonymous: anonymous,
		first:  values{"version": "v2", "initial_percent": 5, "incident_id": "INC-7"},
		update: values{"initial_percent": 1}})
}

func gate(t *testing.T) scene {
	s := guarded(t, scene{resource: "remediation_metric_gate", provider: values{},
		first: values{"incident_id": "INC-7", "fail": true}, update: values{"wait": "10m"}})
	return s
}

// failing is a way to a cluster on which requests with a word in their path fail.
func failing(t *testing.T, server *elastictest.Server, word string) (block values, fail, repair func()) {
	t.Helper()
	to, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	forward := httputil.NewSingleHostReverseProxy(to)
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() && strings.Contains(r.URL.Path, word) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(
				`{"error":{"type":"security_exception","reason":"action is unauthorized"},"status":403}`))
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(way.Close)
	block = values{"elasticsearch": values{"endpoints": list{way.URL}}}
	if server.Config.Username != "" {
		block = values{"elasticsearch": values{"endpoints": list{way.URL}, "username": server.Config.Username,
			"password": server.Config.Password}}
	}
	return block, func() { broken.Store(true) }, func() { broken.Store(false) }
}

func cacheClear(t *testing.T) scene {
	server := elastictest.Shared(t)
	block, fail, repair := failing(t, server, "_cache/clear")
	return scene{resource: "remediation_cache_clear", provider: block, fail: fail, repair: repair,
		first:  values{"index_name": server.Cached(t, "kb").Index, "incident_id": "INC-7"},
		update: values{"cache_types": list{"request"}}}
}

func synonyms(t *testing.T) scene {
	server := elastictest.WithFiles(t)
	block, fail, repair := failing(t, server, "_reload_search_analyzers")
	return scene{resource: "remediation_synonyms_refresh", provider: block, fail: fail, repair: repair,
		first: values{"index_name": server.Searched(t, "kb", true).Alias, "synonym_filter": "rules",
			"incident_id": "INC-7", "probe_texts": list{"notebook"}},
		update: values{"reindex": true}}
}

func resolution(t *testing.T) scene {
	service := incidenttest.Start(t, incidenttest.Observed)
	return scene{resource: "remediation_incident_resolution",
		provider: values{"incidents": values{"url": service.URL, "token": incidenttest.Token}},
		first:    values{"incident_id": "7", "notes": "The models were rerun"},
		update:   values{"notes": "The canary was rolled back"},
		fail:     func() { service.Spoil("acknowledge", incidenttest.Fault{Status: http.StatusForbidden, Body: "no"}) },
		repair:   service.Repair,
	}
}

// onDBT returns the provider block for a dbt project.
func onDBT(t *testing.T) (*acctest.Project, values, []string) {
	t.Helper()
	project := acctest.NewProject(t)
	return project, values{"dbt": values{"executable": acctest.DBT(t), "project_dir": project.Dir,
			"profiles_dir": project.Dir}},
		[]string{filepath.Dir(project.Warehouse), "/srv", project.Dir, "/srv/dbt", acctest.DBT(t), "dbt"}
}

func dbtRun(t *testing.T) scene {
	project, block, anonymous := onDBT(t)
	return scene{resource: "remediation_dbt_run", provider: block, anonymous: anonymous, fail: project.Break,
		repair: project.Repair, first: values{"models": list{"inbox_emails", "triage_results"}, "incident_id": "INC-7"},
		update: values{"full_refresh": true}, before: "remediation_dbt_deps", earlier: values{}}
}

func dbtDeps(t *testing.T) scene {
	project, block, anonymous := onDBT(t)
	const model = "models/triage_daily.sql"
	return scene{resource: "remediation_dbt_deps", provider: block, anonymous: anonymous,
		first:  values{"incident_id": "INC-7"},
		update: values{"upgrade": true},
		fail:   func() { project.Write(model, "select {{ absent_macro() }}\n") },
		repair: func() { project.Write(model, "select queue from {{ ref('triage_results') }}\n") }}
}
