package dbt

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestAttackCredentialsInARelation lists models that put a part of a credential of the runner into their relation,
// where it can't be masked. Runs get the credential, because adapters need it.
func TestAttackCredentialsInARelation(t *testing.T) {
	t.Setenv("AWS_SESSION_TOKEN", "token_of_the_runner")
	for name, byScript := range map[string]bool{"interface": false, "script": true} {
		cfg := shop(t)
		write(t, filepath.Join(cfg.ProjectDir, "models", "leak.sql"),
			"{{ config(alias='x' ~ env_var('AWS_SESSION_TOKEN')[:8] ~ (env_var('AWS_SESSION_TOKEN') | reverse)) }} "+
				"select 1 as one")
		write(t, filepath.Join(cfg.ProjectDir, "models", "plain.sql"),
			"{{ config(materialized='table') }} select '{{ env_var('AWS_SESSION_TOKEN') }}' as one")
		if byScript {
			cfg.Executable = filepath.Join(t.TempDir(), "dbt")
			script(t, cfg.Executable, "exec "+dbtPath(t)+" \"$@\"\n")
		}
		c := cli(t, cfg)
		l, err := c.List(t.Context(), Selection{Models: []string{"leak"}})
		if shown := fmt.Sprintf("%+v %v", l, err); strings.Contains(shown, "token_of") ||
			strings.Contains(shown, "rennur") {
			t.Errorf("%s: the credential is shown: %s", name, shown)
		}
		plain := Selection{Models: []string{"plain"}}
		if l, err = c.List(t.Context(), plain); err != nil {
			t.Fatal(err)
		}
		run, err := c.StartReviewed(t.Context(), Reviewed{Selection: plain, Content: l.Content,
			Identity: must(json.Marshal(l.Identity))}, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAttackPasswordOfTheProfile lists models that read the password of the runner's profile through dbt's objects.
func TestAttackPasswordOfTheProfile(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	cfg.ProfilesDir = t.TempDir()
	write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"), "shop:\n  target: dev\n  outputs:\n    dev: "+
		"{type: postgres, host: db.example.com, port: 5432, user: u, password: word_of_the_runner, dbname: d, schema: main}\n")
	c := cli(t, cfg)
	for name, read := range map[string]string{
		"adapter": "adapter.config.credentials.password", "ref": "ref.config.credentials.password",
		"whole": "adapter.config.credentials.to_dict() | string", "target": "target | string",
		"variables": "adapter.config.profile_env_vars | string",
	} {
		write(t, filepath.Join(cfg.ProjectDir, "models", "leak_"+name+".sql"),
			"{{ config(alias='"+name+"_' ~ (("+read+") | reverse)) }} select 1 as one")
		l, err := c.List(t.Context(), Selection{Models: []string{"leak_" + name}})
		if shown := fmt.Sprintf("%+v %v", l, err); err != nil || strings.Contains(shown, "rennur_eht") {
			t.Errorf("%s: the password is shown: %s", name, shown)
		}
	}
}

// TestErrorsAboutAProfileShowNoPassword covers messages of dbt that quote profiles.yml.
func TestErrorsAboutAProfileShowNoPassword(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ profile, says string }{
		"a quote is missing": {"type: postgres\n      host: h\n      password: \"hunter2!\n      user: u", "Syntax error near line"},
		"a number":           {"type: postgres\n      host: h\n      user: u\n      password: 31415926", "is not of type 'string'"},
		"a list":             {"type: postgres\n      host: h\n      user: u\n      password: [hunter2!]", "is not of type 'string'"},
	} {
		for how, byScript := range map[string]bool{"interface": false, "script": true} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				cfg := shop(t)
				cfg.ProfilesDir = t.TempDir()
				write(t, filepath.Join(cfg.ProfilesDir, "profiles.yml"),
					"shop:\n  target: dev\n  outputs:\n    dev:\n      port: 5432\n      dbname: d\n      schema: main\n      "+
						tt.profile+"\n")
				if byScript {
					cfg.Executable = filepath.Join(t.TempDir(), "dbt")
					script(t, cfg.Executable, "exec "+dbtPath(t)+" \"$@\"\n")
				}
				_, err := cli(t, cfg).List(t.Context(), Selection{Models: []string{"inbox_emails"}})
				p := wantProblem(t, err, ErrProfiles, tt.says)
				shown := fmt.Sprint(p, err)
				if strings.Contains(shown, "hunter2") || strings.Contains(shown, "31415926") {
					t.Errorf("the password is shown: %s", shown)
				}
			})
		}
	}
}
