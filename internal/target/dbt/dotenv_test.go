package dbt

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDotEnvThatSetsFlagsIsRefused covers the .env files that dbt 1.12 reads: in the project's folder, or above it.
func TestDotEnvThatSetsFlagsIsRefused(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	own, above := filepath.Join(cfg.ProjectDir, ".env"), filepath.Join(cfg.ProjectDir, "..", ".env")
	const flag = "SHOP_COLOR=red\nexport DBT_FULL_REFRESH = true\n"
	write(t, own, flag)
	c := cli(t, cfg)
	_, err := c.List(t.Context(), example)
	if c.readsDotEnv() {
		wantProblem(t, err, ErrEnvironment, ".env", "DBT_FULL_REFRESH")
	} else if err != nil { // dbt before 1.12 does not read the file
		t.Fatal(err)
	}
	// A script may start any version.
	wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
	script(t, wrapper, "exec "+cfg.Executable+" \"$@\"\n")
	cfg.Executable = wrapper
	_, err = cli(t, cfg).List(t.Context(), example)
	wantProblem(t, err, ErrEnvironment, own, "DBT_FULL_REFRESH")
	write(t, own, "PGHOSTADDR=192.0.2.1\n") // PostgreSQL's client would connect there, whatever host the profile names
	_, err = cli(t, cfg).List(t.Context(), example)
	wantProblem(t, err, ErrEnvironment, own, "PGHOSTADDR")
	write(t, own, "SHOP_COLOR=red\n# DBT_TARGET=prod\n")
	write(t, above, flag) // not read, because the project has its own
	if _, err := cli(t, cfg).List(t.Context(), example); err != nil {
		t.Error(err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	_, err = cli(t, cfg).List(t.Context(), example)
	wantProblem(t, err, ErrEnvironment, filepath.Clean(above), "DBT_FULL_REFRESH")
}

// TestScriptThatExportsFlagsIsReported covers a script around dbt that sets a flag which the command does not show.
func TestScriptThatExportsFlagsIsReported(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
	script(t, wrapper, "export DBT_FULL_REFRESH=true\nexec "+cfg.Executable+" \"$@\"\n")
	cfg.Executable = wrapper
	c := cli(t, cfg)
	s := Selection{Models: []string{"triage_results"}, Upstream: true}
	l, err := c.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.StartReviewed(t.Context(), Reviewed{Selection: s, Content: l.Content},
		filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Wait(t.Context())
	wantProblem(t, err, ErrNotReviewed, "full_refresh true")
}
