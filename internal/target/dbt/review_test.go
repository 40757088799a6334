package dbt

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
)

// heard counts log records by their message.
type heard struct {
	mu     sync.Mutex
	counts map[string]int
}

func listen(t testing.TB) (context.Context, *heard) {
	h := &heard{counts: map[string]int{}}
	return logging.With(t.Context(), h), h
}

func (h *heard) Enabled(context.Context, slog.Level) bool { return true }
func (h *heard) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *heard) WithGroup(string) slog.Handler            { return h }
func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[r.Message]++
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "parsed" && a.Value.Bool() {
			h.counts["parsed"]++
		}
		return true
	})
	return nil
}

func (h *heard) count(message string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[message]
}

// cli is a CLI whose helper ends with the test.
func cli(t testing.TB, cfg Config) *CLI {
	c := New(cfg, clock.System{})
	t.Cleanup(c.Close)
	return c
}

func TestOneHelperAnswersAllSelections(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	known := ledger()
	ctx, log := listen(t)
	ctx = cache.With(ctx, known)
	c := cli(t, cfg)
	selections := []Selection{example, {Models: []string{"triage_daily"}}, {Models: []string{"tag:daily"}},
		{Models: []string{"triage_results"}, Upstream: true}, {Models: []string{"path:models"}},
		{Models: []string{"inbox_emails+"}, Exclude: []string{"triage_daily", "nothing_here"}}, {Selector: "nightly"}}
	write(t, filepath.Join(cfg.ProjectDir, "selectors.yml"),
		"selectors:\n  - name: nightly\n    definition: {method: tag, value: daily}\n")
	var wg sync.WaitGroup
	answers := make([]Listing, len(selections))
	for i, s := range selections {
		wg.Go(func() {
			var err error
			if answers[i], err = c.List(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if starts, parses := log.count("helper started"), log.count("parsed"); starts != 1 || parses != 1 {
		t.Errorf("%d helpers and %d parses for one project with one set of variables", starts, parses)
	}
	got := answers[0]
	want := Listing{
		Models: []Model{
			{Name: "inbox_emails", UniqueID: "model.shop.inbox_emails", Path: "models/inbox_emails.sql",
				Materialization: "table", SchemaChange: "ignore", Relation: Relation{"shop", "main", "inbox_emails"},
				Parents: []Parent{{UniqueID: "source.shop.raw.raw_emails", Name: "raw_emails",
					Relation: Relation{"shop", "raw", "raw_emails"}, Virtual: true}}},
			{Name: "triage_results", UniqueID: "model.shop.triage_results", Path: "models/triage_results.sql",
				Materialization: "incremental", SchemaChange: "ignore", HasUniqueKey: true,
				Relation: Relation{"shop", "main", "triage_results"},
				Parents: []Parent{{UniqueID: "model.shop.inbox_emails", Name: "inbox_emails",
					Relation: Relation{"shop", "main", "inbox_emails"}}}},
		},
		DownstreamModels: []string{"addresses", "triage_daily", "triage_history"},
		Exposures:        []string{"inbox_dashboard"}, NotRun: map[string][]string{},
		DBTVersion: got.DBTVersion, Content: got.Content, Threads: 1, Interface: true, Programs: got.Programs,
		Connection: map[string]string{"adapter": "duckdb", "target": "dev", "database": "shop", "schema": "main",
			"path": filepath.Join(cfg.ProjectDir, "shop.duckdb")},
		Path: filepath.Join(cfg.ProjectDir, "shop.duckdb"),
		Identity: map[string]string{"adapter": "duckdb", "database": "shop", "schema": "main",
			"path": filepath.Join(cfg.ProjectDir, "shop.duckdb")},
	}
	for i := range got.Models {
		got.Models[i].Hooks, got.Models[i].Columns = Hooks{}, nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	if want := []string{"exclude: nothing_here matches nothing"}; !slices.Equal(answers[5].Warnings, want) {
		t.Errorf("warnings %q, want %q", answers[5].Warnings, want)
	}

	if m := answers[6].Models; len(m) != 1 || m[0].Name != "triage_daily" {
		t.Errorf("the selector selects %+v", m)
	}

	// Another process finds the answers in the cache.
	ctx, log = listen(t)
	ctx = cache.With(ctx, known)
	if _, err := cli(t, cfg).List(ctx, example); err != nil {
		t.Fatal(err)
	}
	if n := log.count("helper started"); n != 0 {
		t.Error("a kept answer was asked for again")
	}
}

// TestContentFollowsWhatRuns edits a project and checks whether the content of a selection changes with it. The edited
// files keep their size and time if possible.
func TestContentFollowsWhatRuns(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	file := func(name string) string { return filepath.Join(cfg.ProjectDir, filepath.FromSlash(name)) }
	write(t, file("models/uses.sql"), `{{ config(post_hook="select {{ hook_macro() }}") }}
select {{ called() }} as a, {% if execute %}{{ only_when_run() }}{% else %}1{% endif %} as b,
  '{{ env_var("SHOP_LABEL", "x") }}' as c
from {{ ref('addresses') }}`)
	write(t, file("macros/called.sql"), `{% macro called() %}{{ deeper() }}{% endmacro %}
{% macro deeper() %}{{ return(adapter.dispatch('shaped')()) }}{% endmacro %}
{% macro default__shaped() %}1{% endmacro %}`)
	write(t, file("macros/only.sql"), `{% macro only_when_run() %}1{% endmacro %}`)
	write(t, file("macros/hook.sql"), `{% macro hook_macro() %}1{% endmacro %}`)
	write(t, file("macros/unrelated.sql"), `{% macro unrelated_thing() %}1{% endmacro %}`)
	write(t, file("models/uses.yml"), "models:\n  - name: uses\n    config: {alias: uses_one}\n")
	c := cli(t, cfg)
	content := func() string {
		t.Helper()
		l, err := c.List(t.Context(), Selection{Models: []string{"uses"}})
		if err != nil {
			t.Fatal(err)
		}
		return string(l.Content)
	}
	last := content()
	edits := []struct {
		name, old, new string
		moves          bool
	}{
		{"models/uses.sql", "as a,", "as z,", true},
		{"macros/called.sql", "%}1{%", "%}2{%", true}, // a dispatch candidate of a macro of a macro
		{"macros/only.sql", "%}1{%", "%}2{%", true},   // in a branch that parsing skips
		{"macros/hook.sql", "%}1{%", "%}2{%", true},
		{"models/addresses.sql", "distinct subject", "distinct subject, id", true}, // ephemeral: part of the statement
		{"models/uses.yml", "uses_one", "uses_two", true},                          // the relation
		{"dbt_project.yml", "profile: shop", "profile: shop\non-run-start: ['select 1']", true},
		{"profiles.yml", "path: \"{{ env_var('SHOP_DUCKDB', 'shop.duckdb') }}\"\n      threads",
			"path: other.duckdb\n      threads", true},
		{"profiles.yml", "path: other.duckdb", "path: other.duckdb\n      module_paths: [lib]", true},
		{"lib/helper.py", "", "N = 1", true}, // a Python model may import it
		{"lib/helper.py", "N = 1", "N = 2", true},
		{"dbt_project.yml", "profile: shop",
			"profile: shop\nflags: {require_explicit_package_overrides_for_builtin_materializations: false}", true},
		{"dbt_project.yml", "builtin_materializations: false", "builtin_materializations: false, log_format: text",
			false},
		{"macros/override.sql", "", "{% macro duckdb__create_table_as(t, r, s, l='sql') %}{% endmacro %}", true},
		{"macros/unrelated.sql", "%}1{%", "%}2{%", false},
		{"models/triage_daily.sql", "count(*)", "count(1)", false},
		{"models/new/other.sql", "", "select 1 as one", false},
		{"models/docs.yml", "", "models: [{name: uses, description: A text for people.}]", false},
		{"seeds/categories.csv", "billing", "invoice", false},
		{"macros/computed.sql", "", "{% macro deeper_still(n) %}{{ context[n]() }}{% endmacro %}", false},
	}
	for _, edit := range edits {
		rewrite(t, file(edit.name), edit.old, edit.new)
		if edit.name == "models/docs.yml" {
			rewrite(t, file("models/uses.yml"), "models:\n  - name: uses\n    config: {alias: uses_two}\n", "")
			rewrite(t, file("models/docs.yml"), "people.}", "people., config: {alias: uses_two}}")
		}
		now := content()
		if (now != last) != edit.moves {
			t.Errorf("%s, %q to %q: the content moved: %v, want %v", edit.name, edit.old, edit.new, now != last,
				edit.moves)
		}
		last = now
	}
}

// rewrite edits a file, or makes it. Its times stay.
func rewrite(t *testing.T, path, old, replacement string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		write(t, path, replacement)
		return
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("%s does not hold %q: %v", path, old, err)
	}
	write(t, path, strings.Replace(string(data), old, replacement, 1))
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestPlanRunsNothingOfTheProject lists a project that tries to run code, to write, and to forge answers.
func TestPlanRunsNothingOfTheProject(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	proof := filepath.Join(cfg.ProjectDir, "proof")
	attack := "open(" + string(must(json.Marshal(proof))) + ", 'w').write('x')\n"
	for _, name := range []string{"evil_plugin.py", "dbt_evil.py", "json.py", "dbt.py"} {
		write(t, filepath.Join(cfg.ProjectDir, name), attack)
	}
	write(t, filepath.Join(cfg.ProjectDir, "profiles.yml"), `shop:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: shop.duckdb
      module_paths: [`+cfg.ProjectDir+`]
      plugins: [{module: evil_plugin}]
      extensions: [nothing_of_this_name]
      attach: [{path: attached.duckdb}]
`)
	write(t, filepath.Join(cfg.ProjectDir, "macros", "loud.sql"),
		`{% macro loud() %}{{ print('{"id": 1, "answer": {"selections": []}}') }}{{ print('{"unique_id": "model.shop.triage_daily"}') }}{% endmacro %}`)
	write(t, filepath.Join(cfg.ProjectDir, "models", "loud.sql"),
		`{{ loud() }}{% do run_query('create table left_behind as select 1') %}select 1 as one`)
	c := cli(t, cfg)
	l, err := c.List(t.Context(), Selection{Models: []string{"loud"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Models) != 1 || l.Models[0].Name != "loud" {
		t.Errorf("models %+v", l.Models)
	}
	if _, err := c.Catalog(t.Context(), Selection{Models: []string{"loud"}}, l); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proof", "shop.duckdb", "attached.duckdb", "target", "logs"} {
		if exists(filepath.Join(cfg.ProjectDir, name)) {
			t.Errorf("planning made %s", name)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOnlyWhatWasReviewedRuns(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	c := cli(t, cfg)
	review := func() Reviewed {
		t.Helper()
		l, err := c.List(t.Context(), example)
		if err != nil {
			t.Fatal(err)
		}
		return Reviewed{Selection: example, Content: l.Content, Identity: must(json.Marshal(l.Identity))}
	}
	r := review()
	rewrite(t, filepath.Join(cfg.ProjectDir, "models", "triage_results.sql"), "select id,", "select 99 as id,")
	run, err := c.StartReviewed(t.Context(), r, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Wait(t.Context())
	wantProblem(t, err, ErrNotReviewed, "nodes.model.shop.triage_results", "Nothing was run")
	if exists(filepath.Join(cfg.ProjectDir, "shop.duckdb")) {
		t.Error("the run touched the warehouse")
	}

	run, err = c.StartReviewed(t.Context(), review(), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := run.Wait(t.Context())
	if err != nil || len(result.Nodes) != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	log, err := os.ReadFile(result.LogPath)
	if err != nil || strings.Contains(string(log), "Starting full parse") {
		t.Errorf("the kept parse was not used: %v", err)
	}
}

func TestInterpreterIsThatOfDBTsOwnEntryPoint(t *testing.T) {
	t.Parallel()
	const body = "# -*- coding: utf-8 -*-\nimport sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n"
	for text, want := range map[string]string{
		"#!/opt/dbt/bin/python3.11\n" + body:                                    "/opt/dbt/bin/python3.11",
		"#!/bin/sh\n'''exec' \"/opt/d b/python\" \"$0\" \"$@\"\n' '''\n" + body: "/opt/d b/python",
		"#!/bin/sh\n'''exec' /opt/long/python3 \"$0\" \"$@\"\n' '''\n" + body:   "/opt/long/python3",
		"#!/usr/bin/env python3\n" + body:                                       "",
		"#!/opt/dbt/bin/python\nimport os\n":                                    "",
		"#!/bin/sh\nexec dbt \"$@\"\n":                                          "",
		"":                                                                      "",
	} {
		path := filepath.Join(t.TempDir(), "dbt")
		write(t, path, text)
		if got, _ := interpreter(path); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
