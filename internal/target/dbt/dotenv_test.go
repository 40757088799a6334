package dbt

import (
	"path/filepath"
	"testing"
)

func TestDotEnvThatSetsFlagsIsRefused(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	write(t, filepath.Join(cfg.ProjectDir, ".env"), "SHOP_COLOR=red\nexport DBT_FULL_REFRESH = true\n")
	// dbt 1.11 does not read the file.
	if _, err := cli(t, cfg).List(t.Context(), example); err != nil {
		t.Fatal(err)
	}
	// A script may start any version.
	wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
	script(t, wrapper, "exec "+cfg.Executable+" \"$@\"\n")
	cfg.Executable = wrapper
	_, err := cli(t, cfg).List(t.Context(), example)
	wantProblem(t, err, ErrEnvironment, ".env", "DBT_FULL_REFRESH")
	write(t, filepath.Join(cfg.ProjectDir, ".env"), "SHOP_COLOR=red\n# DBT_TARGET=prod\n")
	if _, err := cli(t, cfg).List(t.Context(), example); err != nil {
		t.Error(err)
	}
}
