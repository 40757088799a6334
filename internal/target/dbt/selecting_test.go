package dbt

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// throughBoth runs a test with dbt's own entry point and with a script that starts dbt.
func throughBoth(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Helper()
	t.Run("interface", func(t *testing.T) {
		t.Parallel()
		test(t, shop(t))
	})
	t.Run("script", func(t *testing.T) {
		t.Parallel()
		cfg := shop(t)
		wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
		script(t, wrapper, "exec "+cfg.Executable+" \"$@\"\n")
		cfg.Executable = wrapper
		test(t, cfg)
	})
}

// TestSelectorsThatMatchNothingAreNamed covers projects in which dbt treats each warning as an error, too: there, dbt's
// own answer to a misspelled name is a compilation error.
func TestSelectorsThatMatchNothingAreNamed(t *testing.T) {
	t.Parallel()
	misspelled := []string{`"triage_result" matches no`, "Did you mean triage_results"}
	for flags, tests := range map[string][]struct {
		selection Selection
		texts     []string
		not       string
	}{
		"": {
			{Selection{Models: []string{"inbox_emails", "triage_result"}}, misspelled, "inbox_emails matches"},
			{Selection{Models: []string{"triage_results,tag:nope"}, Exclude: []string{"tag:nope"}},
				[]string{`"triage_results,tag:nope" matches no`}, "exclude"},
			{Selection{Models: []string{"categories"}}, []string{`"categories" is a seed`}, ""},
			{Selection{Models: []string{"tag:nope", "path:nowhere"}}, []string{"tag:nope", "path:nowhere"}, ""},
		},
		"flags: {warn_error: true}\n": {{Selection{Models: []string{"triage_result"}}, misspelled, "compile"}},
		"flags: {warn_error_options: {include: [NoNodesForSelectionCriteria]}}\n": {
			{Selection{Models: []string{"triage_result"}}, misspelled, "compile"}},
	} {
		throughBoth(t, func(t *testing.T, cfg Config) {
			appendTo(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"), flags)
			c := cli(t, cfg)
			for _, test := range tests {
				_, err := c.List(t.Context(), test.selection)
				p := wantProblem(t, err, ErrUnknownModel, test.texts...)
				if !slices.Equal(p.Path, []string{"models"}) {
					t.Errorf("%v at %v", err, p.Path)
				}
				if test.not != "" && strings.Contains(p.Error(), test.not) {
					t.Errorf("%v contains %q", err, test.not)
				}
			}
		})
	}
}

// TestExcludeThatMatchesNothingIsAWarning runs such a selection, in a project in which dbt treats warnings as errors,
// too.
func TestExcludeThatMatchesNothingIsAWarning(t *testing.T) {
	t.Parallel()
	throughBoth(t, func(t *testing.T, cfg Config) {
		c := cli(t, cfg)
		s := Selection{Models: []string{"inbox_emails"}, Exclude: []string{"tag:nope"}}
		l, err := c.List(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"exclude: tag:nope matches nothing"}
		if !slices.Equal(l.Warnings, want) || len(l.Models) != 1 {
			t.Errorf("warnings %q, %d models", l.Warnings, len(l.Models))
		}
		runReviewed(t, c, s, l)
	})
	t.Run("warnings are errors", func(t *testing.T) {
		t.Parallel()
		throughBoth(t, func(t *testing.T, cfg Config) {
			appendTo(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"), "flags: {warn_error: true}\n")
			c := cli(t, cfg)
			s := Selection{Models: []string{"inbox_emails"}, Exclude: []string{"tag:nope"}}
			l, err := c.List(t.Context(), s)
			if _, scripted := c.python(); scripted != nil { // dbt itself would refuse to run it
				wantProblem(t, err, ErrUnknownModel, "exclude", "tag:nope", "warn_error")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			runReviewed(t, c, s, l)
		})
	})
}

func TestSelectedEphemeralModelsAreNotDownstream(t *testing.T) {
	t.Parallel()
	throughBoth(t, func(t *testing.T, cfg Config) {
		l, err := cli(t, cfg).List(t.Context(), Selection{Models: []string{"inbox_emails", "addresses"}})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(l.DownstreamModels, "addresses") || !slices.Contains(l.DownstreamModels, "triage_results") {
			t.Errorf("downstream: %v", l.DownstreamModels)
		}
	})
}

// TestInvalidSelectorsAreRefused covers the syntax of selectors, and selectors that need the artifacts of another run.
func TestInvalidSelectorsAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		selection Selection
		at        string
		texts     []string
		// scripted repeats the test with a script, where each selection starts dbt.
		scripted bool
	}{
		"an unknown method": {Selection{Models: []string{"nomethod:x"}}, "models",
			[]string{"'nomethod'", "tag:nightly"}, true},
		"@ and +": {Selection{Models: []string{"@inbox_emails+"}}, "models", []string{"@inbox_emails+"}, false},
		"state": {Selection{Models: []string{"state:modified"}}, "state",
			[]string{"no comparison manifest", "manifest.json"}, false},
		"a folder without artifacts": {Selection{Models: []string{"state:modified"}, State: "models"}, "state",
			[]string{"manifest.json"}, false},
		"result": {Selection{Models: []string{"result:error"}}, "state", []string{"run_results.json"}, true},
		"source_status": {Selection{Models: []string{"source_status:fresher+"}}, "state",
			[]string{"sources.json"}, false},
		"an unknown selector": {Selection{Selector: "weekly"}, "selector", []string{"weekly", "nightly"}, true},
		"a malformed name": {Selection{Models: []string{"1+2+inbox_emails"}}, "models",
			[]string{"1+2+inbox_emails"}, false},
		"half an intersection": {Selection{Models: []string{"inbox_emails,"}}, "models",
			[]string{`"inbox_emails," matches no`}, false},
		"no value": {Selection{Models: []string{"tag:"}}, "models", []string{`"tag:" matches no`}, false},
	}
	throughBoth(t, func(t *testing.T, cfg Config) {
		write(t, filepath.Join(cfg.ProjectDir, "selectors.yml"),
			"selectors:\n  - name: nightly\n    definition: {method: tag, value: daily}\n")
		c := cli(t, cfg)
		_, scripted := c.python()
		for name, test := range tests {
			if scripted != nil && !test.scripted {
				continue
			}
			_, err := c.List(t.Context(), test.selection)
			sentinel := ErrSelection
			if errors.Is(err, ErrUnknownModel) {
				sentinel = ErrUnknownModel
			}
			if p := wantProblem(t, err, sentinel, test.texts...); !slices.Equal(p.Path, []string{test.at}) {
				t.Errorf("%s: path %v: %v", name, p.Path, err)
			}
		}
	})
}

// TestParseThatFailsForSomeVariablesOnly asks one helper in turn with variables that the project refuses and with
// others.
func TestParseThatFailsForSomeVariablesOnly(t *testing.T) {
	t.Parallel()
	throughBoth(t, func(t *testing.T, cfg Config) {
		write(t, filepath.Join(cfg.ProjectDir, "models", "regional.sql"), "{% if var('region', 'eu') == 'mars' %}"+
			"{{ exceptions.raise_compiler_error('there is no warehouse on Mars') }}{% endif %}select 1 as id\n")
		c := cli(t, cfg)
		for _, region := range []string{"mars", "eu", "mars"} {
			s := Selection{Models: []string{"regional"}, Vars: map[string]any{"region": region}}
			l, err := c.List(t.Context(), s)
			if region == "mars" {
				wantProblem(t, err, ErrCompilation, "models/regional.sql", "no warehouse on Mars")
			} else if err != nil || len(l.Models) != 1 {
				t.Errorf("%s: %v", region, err)
			}
		}
	})
}

// runReviewed runs what was listed, and fails the test if the run fails.
func runReviewed(t *testing.T, c *CLI, s Selection, l Listing) {
	t.Helper()
	run, err := c.StartReviewed(t.Context(), Reviewed{Selection: s, Content: l.Content,
		Identity: must(json.Marshal(l.Identity)), Execution: "4f9c2a17-12"}, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// appendTo adds text to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(data)+text)
}
