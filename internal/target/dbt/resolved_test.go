package dbt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// changingPackage makes a repository of a package. v2 changes the macro of v1, and has another model.
func changingPackage(t *testing.T) string {
	t.Helper()
	repo := filepath.Join(t.TempDir(), "rules")
	for _, v := range []struct{ tag, model string }{{"v1", "rule_list"}, {"v2", "rule_names"}} {
		write(t, filepath.Join(repo, "dbt_project.yml"), "name: triage_rules\nversion: \"1.0\"\nconfig-version: 2\n"+
			"vars: {shade: "+v.tag+"}\n")
		write(t, filepath.Join(repo, "macros", "rules.sql"), "{% macro rule() %}'"+v.tag+"'{% endmacro %}\n")
		write(t, filepath.Join(repo, "models", v.model+".sql"), "select {{ triage_rules.rule() }} as rule\n")
		if v.tag == "v1" {
			git(t, repo, "init", "-q")
		} else {
			git(t, repo, "rm", "-q", "models/rule_list.sql")
		}
		git(t, repo, "add", ".")
		git(t, repo, "commit", "-q", "-m", v.tag)
		git(t, repo, "tag", v.tag)
	}
	return repo
}

// deps runs `dbt deps` in the project.
func deps(t *testing.T, c *CLI, d Deps) {
	t.Helper()
	run, err := c.Start(t.Context(), c.DepsCommands(d)[0], filepath.Join(t.TempDir(), "run"))
	if err == nil {
		_, err = run.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// upgradable is the shop with v1 of the package installed and v2 in packages.yml. The model uses_rules calls its
// macro.
func upgradable(t *testing.T) (cfg Config, repo string) {
	t.Helper()
	cfg, repo = shop(t), changingPackage(t)
	write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "dbt_project.yml"),
		"name: shared\nversion: 0.3.0\nconfig-version: 2\n")
	write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "models", "shared_days.sql"), "select 1 as day\n")
	write(t, filepath.Join(cfg.ProjectDir, "models", "uses_rules.sql"),
		"{{ config(materialized='incremental') }}\n"+
			"select {{ triage_rules.rule() }} as rule, '{{ var(\"shade\", 1) }}' as shade\n")
	packages(t, cfg, repo, "v1")
	deps(t, cli(t, cfg), Deps{})
	packages(t, cfg, repo, "v2")
	return cfg, repo
}

// TestListAfterDepsIsWhatDepsLeaves lists with packages that are not installed, installs them, and lists again.
func TestListAfterDepsIsWhatDepsLeaves(t *testing.T) {
	t.Parallel()
	cfg, _ := upgradable(t)
	c := New(cfg, clock.System{})
	before := snapshot(t, cfg.ProjectDir)
	change, err := c.PreviewDeps(t.Context(), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	selections := []Selection{{Models: []string{"uses_rules"}}, {Models: []string{"uses_rules"}, FullRefresh: true},
		{Models: []string{"package:triage_rules"}}, {Models: []string{"rule_names", "shared_days", "inbox_emails"}},
		{Models: []string{"uses_rules"}, Vars: map[string]any{"shade": "green"}}}
	ahead := make([]Listing, len(selections))
	old, err := c.List(t.Context(), selections[0])
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, s := range selections {
		wg.Go(func() {
			var err error
			if ahead[i], err = c.ListAfter(t.Context(), s, *change.Resolved); err != nil {
				t.Errorf("%v: %v", s, err)
			}
		})
	}
	wg.Wait()
	if string(old.Content) == string(ahead[0].Content) {
		t.Error("the content is that of the installed packages")
	}
	_, err = c.ListAfter(t.Context(), Selection{Models: []string{"rule_list"}}, *change.Resolved)
	wantProblem(t, err, ErrUnknownModel, "the packages that dbt deps will install")
	if diff := cmp.Diff(before, snapshot(t, cfg.ProjectDir)); diff != "" {
		t.Errorf("the project changed (-before +after):\n%s", diff)
	}
	made := filepath.Join(cfg.WorkDir, "scratch", "packages-*")
	if found, err := filepath.Glob(made); err != nil || len(found) != 1 {
		t.Errorf("copies: %q, %v", found, err)
	}
	c.Close()
	if found, err := filepath.Glob(made); err != nil || len(found) != 0 {
		t.Errorf("after the end: %q, %v", found, err)
	}

	live := cli(t, cfg)
	deps(t, live, Deps{})
	for i, s := range selections {
		got, err := live.List(t.Context(), s)
		if err != nil {
			t.Errorf("%v: %v", s, err)
		}
		if diff := cmp.Diff(got, ahead[i]); diff != "" {
			t.Errorf("%v (-live +ahead):\n%s", s, diff)
		}
		text, err := json.Marshal(ahead[i])
		if err != nil || strings.Contains(string(text), cfg.WorkDir) {
			t.Errorf("the answer names the copy: %s, %v", text, err)
		}
	}
}

// TestListAfterAnswersAgainWithoutDBT asks a second process for what a first one has found out.
func TestListAfterAnswersAgainWithoutDBT(t *testing.T) {
	t.Parallel()
	cfg, repo := upgradable(t)
	s := Selection{Models: []string{"uses_rules"}}
	first := cli(t, cfg)
	ctx := cache.With(t.Context(), ledger())
	change, err := first.PreviewDeps(ctx, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.ListAfter(ctx, s, *change.Resolved); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(repo, repo+"-gone"); err != nil {
		t.Fatal(err)
	}
	second := cli(t, cfg)
	if _, err := second.ListAfter(ctx, s, *change.Resolved); err != nil {
		t.Errorf("asked again: %v", err)
	}
	// A local package is read where it is, so a change of it is a change of what would run.
	write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "models", "shared_days.sql"), "select 2 as day\n")
	_, err = second.ListAfter(ctx, s, *change.Resolved)
	wantProblem(t, err, ErrNoCopy, "can't be installed in a copy", "dbt can't resolve or fetch the packages")
}

func TestPackagesThatCantBeInstalledInACopy(t *testing.T) {
	t.Parallel()
	s := Selection{Models: []string{"inbox_emails"}}
	lock := Resolved{Lock: "packages:\n  - local: ../shared\n    name: shared\nsha1_hash: x\n"}
	for name, tt := range map[string]struct {
		with     func(*Config)
		packages Resolved
		says     string
	}{
		"a script": {func(cfg *Config) {
			script(t, filepath.Join(cfg.WorkDir, "dbt"), "exec "+cfg.Executable+" \"$@\"\n")
			cfg.Executable = filepath.Join(cfg.WorkDir, "dbt")
		}, lock, "dbt is started by a script"},
		"outside of the project": {func(cfg *Config) {
			write(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"),
				"name: shop\nprofile: shop\npackages-install-path: ../elsewhere\n")
		}, lock, "outside of its own folder"},
		"no packages": {func(*Config) {}, Resolved{}, "are unknown"},
		"other packages.yml": {func(cfg *Config) {
			write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "dbt_project.yml"), "name: shared\n")
			write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - local: ../shared\n")
		}, lock, "packages.yml has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := shop(t)
			if err := os.MkdirAll(cfg.WorkDir, 0o755); err != nil {
				t.Fatal(err)
			}
			tt.with(&cfg)
			_, err := cli(t, cfg).ListAfter(t.Context(), s, tt.packages)
			wantProblem(t, err, ErrNoCopy, tt.says)
		})
	}
}
