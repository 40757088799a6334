package dbt

import (
	"path/filepath"
	"testing"
)

// broken is a configuration whose dbt is an entry point of an interpreter that does something else.
func broken(t *testing.T, body string) Config {
	t.Helper()
	cfg := shop(t)
	dir := filepath.Dir(cfg.ProjectDir)
	script(t, filepath.Join(dir, "python"), body)
	cfg.Executable = filepath.Join(dir, "dbt")
	script(t, cfg.Executable, "")
	write(t, cfg.Executable, "#!"+filepath.Join(dir, "python")+"\nfrom dbt.cli.main import cli\n")
	return cfg
}

func TestHelperThatDiesOrForgesIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, says string }{
		"dies at once":          {"echo no such module >&2\nexit 3\n", "no such module"},
		"dies when it is asked": {"read program\nread question\necho out of memory >&2\nexit 1\n", "out of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := cli(t, broken(t, test.body)).List(t.Context(), example)
			wantProblem(t, err, ErrUnhandled, "programmatic interface", test.says)
		})
	}
	for name, answer := range map[string]string{
		"prints":                   "hello",
		"answers another question": `{"id": 7, "answer": {}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := "read program\nread question\necho '" + answer + "'\ncat > /dev/null\n"
			if l, err := cli(t, broken(t, body)).List(t.Context(), example); err == nil {
				t.Errorf("an answer that is none was taken for one: %+v", l)
			}
		})
	}
}
