package dbt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

var example = Selection{Models: []string{"inbox_emails", "triage_results"}, Threads: 4}

// counting wraps dbt: each start adds a line to a file.
func counting(t *testing.T, cfg *Config) func() int {
	t.Helper()
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	wrapper := filepath.Join(dir, "dbt")
	script(t, wrapper, "echo \"$@\" >> "+count+"\nexec "+cfg.Executable+" \"$@\"\n")
	cfg.Executable = wrapper
	return func() int {
		data, err := os.ReadFile(count)
		if err != nil {
			return 0
		}
		return strings.Count(string(data), "\n")
	}
}

func TestListByCommandAnswersWithModelsAndWhatDependsOnThem(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	starts := counting(t, &cfg)
	c := New(cfg, clock.System{})
	ctx := cache.With(t.Context(), ledger())
	got, err := c.List(ctx, example)
	if err != nil {
		t.Fatal(err)
	}
	want := Listing{
		Models: []Model{
			{Name: "inbox_emails", UniqueID: "model.shop.inbox_emails", Path: "models/inbox_emails.sql",
				Materialization: "table", SchemaChange: "ignore", Relation: Relation{"shop", "main", "inbox_emails"}},
			{Name: "triage_results", UniqueID: "model.shop.triage_results", Path: "models/triage_results.sql",
				Materialization: "incremental", SchemaChange: "ignore", HasUniqueKey: true,
				Relation: Relation{"shop", "main", "triage_results"}},
		},
		DownstreamModels: []string{"addresses", "triage_daily", "triage_history"},
		Exposures:        []string{"inbox_dashboard"},
		DBTVersion:       got.DBTVersion, Content: got.Content, Programs: got.Programs,
		Identity: map[string]string{"project": cfg.ProjectDir, "target": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(got.DBTVersion, "1.") {
		t.Errorf("dbt version %q", got.DBTVersion)
	}

	// Asked again, by many at once and by another process's CLI, dbt is not started.
	again := New(cfg, clock.System{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if cached, err := again.List(ctx, example); err != nil || !cmp.Equal(cached, got) {
				t.Errorf("second listing: %v, %v", cached, err)
			}
		})
	}
	wg.Wait()
	if n := starts(); n != 1 {
		t.Errorf("dbt was started %d times for one selection of an unchanged project", n)
	}

	// Callers that ask at the same time share one dbt; for a changed project, dbt is asked again.
	write(t, filepath.Join(cfg.ProjectDir, "models", "extra.sql"), "select * from {{ ref('triage_results') }}")
	for range 4 {
		wg.Go(func() {
			l, err := again.List(ctx, example)
			if err != nil || !cmp.Equal(l.DownstreamModels, []string{"addresses", "extra", "triage_daily",
				"triage_history"}) {
				t.Errorf("listing of the changed project: %v, %v", l, err)
			}
		})
	}
	wg.Wait()
	if n := starts(); n != 2 {
		t.Errorf("dbt was started %d times, want 2", n)
	}
}

func TestListFindsModelsThatAlwaysFullRefresh(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	got, err := New(cfg, clock.System{}).List(t.Context(), Selection{
		Models: []string{"triage_history", "tag:daily"}, Upstream: true, Exclude: []string{"inbox_emails"},
		Vars: map[string]any{"triage_days": 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names, always []string
	for _, m := range got.Models {
		names = append(names, m.Name)
		if m.FullRefresh != nil && *m.FullRefresh {
			always = append(always, m.Name)
		}
	}
	if diff := cmp.Diff([]string{"triage_daily", "triage_history", "triage_results"}, names); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"triage_history"}, always); diff != "" {
		t.Errorf("always full refresh (-want +got):\n%s", diff)
	}
}

// TestListOnlyReads lets dbt look at a project and a warehouse that it may not write to. Permissions do not bind root,
// so dbt is started without that privilege there.
func TestListOnlyReads(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	prepare := New(cfg, clock.System{})
	run, err := prepare.Start(t.Context(), prepare.RunCommand(example), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		wrapper := filepath.Join(t.TempDir(), "dbt")
		script(t, wrapper, `exec setpriv --bounding-set=-dac_override -- `+cfg.Executable+` "$@"`+"\n")
		cfg.Executable = wrapper
	}
	chmod(t, cfg.ProjectDir, "a-w")
	t.Cleanup(func() { chmod(t, cfg.ProjectDir, "u+w") })
	mayNotWrite(t, cfg.ProjectDir)
	before := snapshot(t, cfg.ProjectDir)
	cfg.WorkDir = filepath.Join(t.TempDir(), "work")
	if _, err := New(cfg, clock.System{}).List(t.Context(), Selection{Models: []string{"triage_results"},
		Upstream: true, FullRefresh: true}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, cfg.ProjectDir)); diff != "" {
		t.Errorf("List changed the project (-before +after):\n%s", diff)
	}
}

func chmod(t *testing.T, dir, mode string) {
	t.Helper()
	if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "chmod", "-R", mode,
		dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// mayNotWrite proves the premise: a program started as dbt will be can't write there.
func mayNotWrite(t *testing.T, dir string) {
	t.Helper()
	argv := []string{"touch", filepath.Join(dir, "probe")}
	if os.Geteuid() == 0 {
		argv = append([]string{"setpriv", "--bounding-set=-dac_override", "--"}, argv...)
	}
	if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "ermission denied") {
		t.Fatalf("the project is not read-only: %v %s", err, out)
	}
}

func TestListErrors(t *testing.T) {
	t.Parallel()
	one := Selection{Models: []string{"inbox_emails"}}
	tests := map[string]struct {
		selection Selection
		prepare   func(t *testing.T, cfg *Config)
		sentinel  error
		texts     []string
		path      []string
	}{
		"one of two names unknown": {
			selection: Selection{Models: []string{"inbox_emails", "triage_result"}},
			sentinel:  ErrUnknownModel, texts: []string{`"triage_result"`,
				"Did you mean triage_results"}, path: []string{"models"},
		},
		"nothing left": {
			selection: Selection{Models: []string{"inbox_emails"}, Exclude: []string{"tag:daily", "inbox_emails"}},
			sentinel:  ErrNoMatch, texts: []string{"--exclude tag:daily inbox_emails"}, path: []string{"models"},
		},
		"ephemeral only": {selection: Selection{Models: []string{"addresses"}}, sentinel: ErrNoMatch,
			texts: []string{"ephemeral"}, path: []string{"models"}},
		"an exposure": {
			selection: Selection{Models: []string{"exposure:inbox_dashboard", "categories+"}}, sentinel: ErrNoMatch,
			texts: []string{"matches only exposure inbox_dashboard, seed categories"}, path: []string{"models"},
		},
		"nothing by a selector of selectors.yml": {
			selection: Selection{Selector: "codes"}, sentinel: ErrNoMatch,
			texts: []string{"--selector codes", "matches only seed categories", "Correct the selector in " +
				"selectors.yml"}, path: []string{"selector"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "selectors.yml"),
					"selectors:\n  - name: codes\n    definition: categories\n")
			},
		},
		"disabled": {
			selection: Selection{Models: []string{"inbox_emails", "retired"}}, sentinel: ErrUnknownModel,
			texts: []string{`"retired" is disabled`}, path: []string{"models"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "retired.sql"),
					"{{ config(enabled=false) }} select 1\n")
			},
		},
		"a seed beside a model": {
			selection: Selection{Models: []string{"inbox_emails", "categories"}},
			sentinel:  ErrUnknownModel, texts: []string{`"categories" is a seed`}, path: []string{"models"},
		},
		"broken template": {
			selection: one, sentinel: ErrCompilation, texts: []string{"models/broken.sql, line 2"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "broken.sql"), "select\n{% if %} 1")
			},
		},
		"broken properties": {
			selection: one, sentinel: ErrCompilation, texts: []string{"bad.yml, line 2"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "bad.yml"), "version: [ 2\n")
			},
		},
		"a circle": {
			selection: one, sentinel: ErrCompilation, texts: []string{"in a circle", "model.shop.round"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "round.sql"), "select * from {{ ref('round') }}\n")
			},
		},
		"Latin-1": {
			selection: one, sentinel: ErrCompilation, texts: []string{"is not UTF-8", "grep"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "coffee.sql"), "select 'caf\xe9' as drink\n")
			},
		},
		"a secret in a model": {
			selection: one, sentinel: ErrEnvironment, texts: []string{"DBT_ENV_SECRET_PASSWORD", "Read it only in"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "open.sql"),
					"select '{{ env_var('DBT_ENV_SECRET_PASSWORD') }}' as password\n")
			},
		},
		"unknown target": {
			selection: one, sentinel: ErrUnknownTarget, texts: []string{"nowhere", "- dev",
				"- prod"}, path: []string{"dbt", "target"},
			prepare: func(_ *testing.T, cfg *Config) { cfg.Target = "nowhere" },
		},
		"malformed profiles": {
			selection: one, sentinel: ErrProfiles, texts: []string{"Syntax error near line"}, path: []string{"dbt",
				"profiles_dir"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "profiles.yml"), "shop: {target: dev\n")
			},
		},
		"missing variable": {
			selection: one, sentinel: ErrEnvironment, texts: []string{"SHOP_NEEDED"}, path: []string{"dbt",
				"environment"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "models", "needs.sql"), "select '{{ env_var('SHOP_NEEDED') }}'")
			},
		},
		"packages not installed": {
			selection: one, sentinel: ErrPackagesMissing, texts: []string{"dbt deps"},
			prepare: func(t *testing.T, cfg *Config) {
				write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - local: ../shared\n")
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := shop(t)
			if test.prepare != nil {
				test.prepare(t, &cfg)
			}
			_, err := New(cfg, clock.System{}).List(t.Context(), test.selection)
			p := wantProblem(t, err, test.sentinel, test.texts...)
			if diff := cmp.Diff(test.path, p.Path); diff != "" {
				t.Errorf("path (-want +got):\n%s", diff)
			}
			if strings.Contains(p.Error(), filepath.Join(cfg.WorkDir, "scratch")) {
				t.Errorf("the problem names a folder that is gone: %v", &p)
			}
		})
	}
}
