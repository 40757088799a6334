package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const runsTriage = `
resource "remediation_dbt_run" "triage" {
  models = ["inbox_emails"]
}
`

// dbtOf is a dbt block.
func dbtOf(executable string, project *acctest.Project, more string) string {
	return fmt.Sprintf("dbt {\n executable = %q\n project_dir = %q\n profiles_dir = %q\n%s\n}", executable, project.Dir,
		project.Dir, more)
}

// TestAccAttackCodeInAProfile plans a pull request whose profile loads a module of the project as a plugin, attaches a
// database, and names an extension and a file system. None of it is used at plan. The module runs at apply, which
// proves that it could have run.
func TestAccAttackCodeInAProfile(t *testing.T) {
	t.Parallel()
	project := acctest.NewProject(t)
	ran, attached := filepath.Join(t.TempDir(), "ran"), filepath.Join(t.TempDir(), "attached.duckdb")
	evil := fmt.Sprintf("import os\nopen(%q, 'a').write('ran')\nfrom dbt.adapters.duckdb.plugins import BasePlugin\n"+
		"class Plugin(BasePlugin):\n    pass\n", ran)
	for _, name := range []string{"evil/evil_plugin.py", "dbt_evil.py", "duckdb.py", "sitecustomize.py",
		"evil/dbt_evil.py"} {
		project.Write(name, evil)
	}
	project.Write("profiles.yml", fmt.Sprintf(`
inbox:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: %q
      module_paths: [%q]
      plugins: [{module: evil_plugin}]
      attach: [{path: %q}]
`, project.Warehouse, filepath.Join(project.Dir, "evil"), attached))
	w := acctest.NewWorkspace(t)
	w.Write("main.tf", block(`path = "journal.db"`, dbtOf(acctest.DBT(t), project, ""))+runsTriage)
	w.Must("plan", "-no-color")
	for _, path := range []string{ran, attached, project.Warehouse} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("plan made %s", path)
		}
	}
	w.Must("apply", "-auto-approve", "-no-color")
	for _, path := range []string{ran, attached} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("apply used nothing of the profile, so the test proves nothing: %v", err)
		}
	}
}

// TestAccAttackAnotherDBT plans a pull request with another program instead of dbt. The runner's policy lists the real
// one. The program doesn't start, and neither does the real one with code of the pull request.
func TestAccAttackAnotherDBT(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		executable, more, says string
	}{
		"a script":           {"SCRIPT", "", "This dbt may not be started"},
		"a relative path":    {"./dbt", "", "This dbt may not be started"},
		"a link to a script": {"LINK", "", "This dbt may not be started"},
		"a module path":      {"DBT", `environment = { PYTHONPATH = "evil" }`, "PYTHONPATH makes a program load code"},
		"a preloaded library": {"DBT", `environment = { LD_PRELOAD = "/tmp/evil.so" }`,
			"LD_PRELOAD makes a program load code"},
		"another git": {"DBT", `environment = { PATH = "/tmp/evil" }`, "PATH makes a program load code"},
		"a home":      {"DBT", `environment = { HOME = "/tmp/evil" }`, "HOME makes a program load code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project, dir := acctest.NewProject(t), t.TempDir()
			w := acctest.NewWorkspace(t)
			w.Policy(fmt.Sprintf(`{"executables": [%q]}`, acctest.DBT(t)))
			ran := filepath.Join(dir, "ran")
			script := fmt.Sprintf("#!/bin/sh\necho ran >>%q\nexec %q \"$@\"\n", ran, acctest.DBT(t))
			for _, path := range []string{filepath.Join(dir, "dbt"), filepath.Join(w.Dir, "dbt")} {
				if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be started
					t.Fatal(err)
				}
			}
			if err := os.Symlink(filepath.Join(dir, "dbt"), filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			executable := strings.NewReplacer("SCRIPT", filepath.Join(dir, "dbt"), "LINK", filepath.Join(dir, "link"),
				"DBT", acctest.DBT(t)).Replace(tt.executable)
			w.Write("main.tf", block(`path = "journal.db"`, dbtOf(executable, project, tt.more))+runsTriage)
			out := w.MustFail("plan", "-no-color")
			if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), tt.says) {
				t.Errorf("want %q, got:\n%s", tt.says, out)
			}
			if _, err := os.Stat(ran); err == nil {
				t.Error("the script was started")
			}
		})
	}
}

// TestAccListedDBTRuns runs with the dbt that the policy lists.
func TestAccListedDBTRuns(t *testing.T) {
	t.Parallel()
	project := acctest.NewProject(t)
	w := acctest.NewWorkspace(t)
	w.Policy(fmt.Sprintf(`{"executables": [%q]}`, acctest.DBT(t)))
	w.Write("main.tf", block(`path = "journal.db"`, dbtOf(acctest.DBT(t), project, ""))+runsTriage)
	w.Must("apply", "-auto-approve", "-no-color")
}

// TestAccAttackDBTReplacedAfterPlan replaces dbt's entry point at the same path between plan and apply. The plan's
// digest is still true, and apply refuses.
func TestAccAttackDBTReplacedAfterPlan(t *testing.T) {
	t.Parallel()
	project, w := acctest.NewProject(t), acctest.NewWorkspace(t)
	executable := filepath.Join(t.TempDir(), "dbt")
	write := func(more string) {
		script := "#!" + filepath.Join(filepath.Dir(acctest.DBT(t)), "python") + "\nimport sys\n" + more +
			"from dbt.cli.main import cli\nsys.exit(cli())\n"
		if err := os.WriteFile(executable, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be started
			t.Fatal(err)
		}
	}
	write("")
	w.Write("main.tf", block(`path = "journal.db"`, dbtOf(executable, project, ""))+runsTriage)
	w.Must("plan", "-no-color", "-out=saved.tfplan")
	write("import os\n")
	out := w.MustFail("apply", "-no-color", "saved.tfplan")
	for _, says := range []string{"would run another program than was reviewed", "dbt: was " + executable} {
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), says) {
			t.Errorf("want %q, got:\n%s", says, out)
		}
	}
	w.Must("plan", "-no-color", "-out=saved.tfplan")
	w.Must("apply", "-no-color", "saved.tfplan")
}
