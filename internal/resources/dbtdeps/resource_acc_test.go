package dbtdeps_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const config = `
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

resource "remediation_dbt_deps" "packages" {
  incident_id = "INC-2041"
  triggers    = { run = %q }
}
`

// repository makes a git repository with a dbt package in two tagged versions: 0.1.0 has the macro queue_of, 0.2.0 does
// not.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git",
			append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet")
	for _, v := range []struct{ version, macro string }{{"0.1.0", "queue_of"}, {"0.2.0", "queue_number"}} {
		write("dbt_project.yml", "name: triage_utils\nversion: '"+v.version+"'\n")
		write("macros/queues.sql", "{% macro "+v.macro+"(id) %}{{ id }} % 3{% endmacro %}\n")
		git("add", ".")
		git("commit", "--quiet", "-m", v.version)
		git("tag", v.version)
	}
	return dir
}

func TestAccDependenciesAreRefreshedOrRestored(t *testing.T) {
	t.Parallel()
	project := acctest.NewProject(t)
	repo := repository(t)
	pin := func(revision string) {
		project.Write("packages.yml", fmt.Sprintf("packages:\n  - git: %q\n    revision: %q\n", repo, revision))
	}
	pin("0.1.0")
	w := acctest.NewWorkspace(t, project.Environment()...)
	plan := func(run string) string {
		t.Helper()
		w.Write("main.tf", fmt.Sprintf(config, run))
		return w.Must("plan", "-no-color")
	}
	apply := func() map[string]any {
		t.Helper()
		w.Must("apply", "-auto-approve", "-no-color")
		return w.Attributes("remediation_dbt_deps.packages")
	}

	out := plan("1")
	for _, want := range []string{"dbt deps", "dbt compile", "Package triage_utils: none becomes",
		"package-lock.yml is rewritten"} {
		if !strings.Contains(out, want) {
			t.Errorf("the first plan lacks %q:\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(project.Dir, "dbt_packages")); !os.IsNotExist(err) {
		t.Errorf("plan installed something: %v", err)
	}
	if got := apply(); got["status"] != "success" {
		t.Errorf("status %v", got["status"])
	}
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	if out := plan("2"); !strings.Contains(out, "No package changes its version") ||
		!strings.Contains(out, "package-lock.yml stays as it is") {
		t.Errorf("a plan with nothing to change:\n%s", out)
	}
	done := apply()
	result, _ := done["result"].(map[string]any)
	details, _ := result["details"].(map[string]any)
	for _, name := range []string{"deps_log", "compile_log"} {
		path := strings.TrimPrefix(fmt.Sprint(details[name]), "file://")
		text, err := os.ReadFile(filepath.Clean(path))
		if err != nil || !strings.Contains(string(text), "Running with dbt") {
			t.Errorf("%s at %s: %v", name, path, err)
		}
	}

	// A locked database is not the packages' fault.
	plan("locked")
	release := lock(t, project.Warehouse)
	out = w.MustFail("apply", "-auto-approve", "-no-color")
	if !strings.Contains(flat(out), "The database is locked") ||
		!strings.Contains(flat(out), "The packages are not the reason") {
		t.Errorf("a locked database:\n%s", out)
	}
	release()
	apply()

	// The next version lacks a macro that the project uses. The project no longer compiles.
	project.Write("models/triage_results.sql",
		"select id, {{ triage_utils.queue_of('id') }} as queue from {{ ref('inbox_emails') }}\n")
	pin("0.2.0")
	before := packages(t, project.Dir)
	if out := plan("3"); !strings.Contains(out, "Package triage_utils: ") {
		t.Errorf("the plan does not show the new version:\n%s", out)
	}
	if packages(t, project.Dir) != before {
		t.Error("plan touched the packages")
	}
	out = w.MustFail("apply", "-auto-approve", "-no-color")
	if !strings.Contains(out, "queue_of") || !strings.Contains(out, "previous packages were restored") {
		t.Errorf("the failure:\n%s", out)
	}
	if after := packages(t, project.Dir); after != before {
		t.Errorf("the packages are not back as they were:\nbefore\n%s\nafter\n%s", before, after)
	}
	project.Repair()
	if got := apply(); got["status"] != "success" || len(history(got)) != 6 {
		t.Errorf("status %v, history %v", got["status"], got["history"])
	}
}

// flat joins the lines that Terraform wraps and frames.
func flat(out string) string {
	return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ")
}

// lock opens the database for writing in another process until the returned function is called.
func lock(t *testing.T, warehouse string) (release func()) {
	t.Helper()
	holder := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(acctest.DBT(t)), "python"), "-c",
		"import duckdb, sys\nc = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()", warehouse)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(in.Close(), holder.Wait()); err != nil {
			t.Fatal(err)
		}
	}
}

func history(values map[string]any) []any {
	all, _ := values["history"].([]any)
	return all
}

// packages lists what is installed, with contents, and the lock file.
func packages(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{filepath.Join(dir, "dbt_packages"), filepath.Join(dir, "package-lock.yml")} {
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // the test's own files
			fmt.Fprintf(&b, "%s %s %q\n", path, info.Mode(), text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
