package dbt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/postgrestest"
)

// TestQueriesNameTheirExecution runs a model that stores the text of its own query, and looks for the execution in it.
func TestQueriesNameTheirExecution(t *testing.T) {
	t.Parallel()
	const execution = "4f9c2a17-12"
	server := postgrestest.Start(t)
	for name, tt := range map[string]struct {
		project string // added to dbt_project.yml
		model   string
		script  bool // dbt is started by a script
		says    []string
	}{
		"dbt's own comment": {"", "current_query()", false, []string{`"app": "dbt"`,
			`"remediation_execution": "` + execution + `"`}},
		"a text of the project": {"query-comment: \"run by {{ target.name }}\"\n", "current_query()", false,
			[]string{"run by dev", "remediation execution " + execution}},
		"no comment": {"query-comment: \"\"\n", "current_query()", false, []string{"remediation execution " + execution}},
		"a script": {"", "'{{ env_var(\"DBT_ENV_CUSTOM_ENV_REMEDIATION_EXECUTION\", \"none\") }}'", true,
			[]string{execution}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := shop(t)
			schema := strings.Map(func(r rune) rune {
				if r < 'a' || r > 'z' {
					return -1
				}
				return r
			}, name)
			cfg.ProfilesDir = t.TempDir()
			write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"), server.Profile("shop", schema))
			project := filepath.Join(cfg.ProjectDir, "dbt_project.yml")
			text, err := os.ReadFile(project)
			if err != nil {
				t.Fatal(err)
			}
			write(t, project, string(text)+"\n"+tt.project)
			write(t, filepath.Join(cfg.ProjectDir, "models", "said.sql"),
				"{{ config(materialized='table') }} select "+tt.model+" as q")
			if tt.script {
				cfg.Executable = filepath.Join(t.TempDir(), "dbt")
				script(t, cfg.Executable, "exec "+dbtPath(t)+" \"$@\"\n")
			}
			c := cli(t, cfg)
			selection := Selection{Models: []string{"said"}}
			l, err := c.List(t.Context(), selection)
			if err != nil {
				t.Fatal(err)
			}
			run, err := c.StartReviewed(t.Context(), Reviewed{Selection: selection, Content: l.Content,
				Identity: must(json.Marshal(l.Identity)), Execution: execution}, filepath.Join(t.TempDir(), "run"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := run.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			out := server.Query("select q from " + schema + ".said")
			for _, says := range tt.says {
				if !strings.Contains(out, says) {
					t.Errorf("want %q in %s", says, out)
				}
			}
		})
	}
}
