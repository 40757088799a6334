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

// runIn runs a command in a folder, and returns what it prints.
func runIn(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func runGit(t *testing.T, dir string, args ...string) {
	t.Helper()
	runIn(t, dir, nil, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// repository makes a git repository with a dbt package in two tagged versions: 0.1.0 has the macro queue_of, 0.2.0 does
// not.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) { runGit(t, dir, args...) }
	write := func(name, text string) { writeFile(t, filepath.Join(dir, name), text) }
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
	project.Write("models/odd.yml", "models: [{name: not_there}]\n")
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
	first := apply()
	if first["status"] != "success" {
		t.Errorf("status %v", first["status"])
	}
	wantMessage(t, first, "compiles, with 1 warning: Did not find matching node", "not_there")
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	if out := plan("2"); !strings.Contains(out, "No package changes its version") ||
		!strings.Contains(out, "package-lock.yml stays as it is") {
		t.Errorf("a plan with nothing to change:\n%s", out)
	}
	done := apply()
	wantMessage(t, done, "Packages are installed and the project compiles")
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
	project.Write("models/odd.yml", "models: [{name: not_there}, {name: elsewhere}]\n")
	wantMessage(t, apply(), "compiles, with 1 new warning: Did not find matching node", "elsewhere")

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

// wantMessage checks the message of a result, of which the parts are all that is said about warnings.
func wantMessage(t *testing.T, values map[string]any, parts ...string) {
	t.Helper()
	result, _ := values["result"].(map[string]any)
	message := fmt.Sprint(result["message"])
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("the message lacks %q: %s", part, message)
		}
	}
	details, _ := result["details"].(map[string]any)
	if named := details["warnings"]; (named == nil) != (len(parts) == 1) ||
		strings.Contains(message, "warning") != (named != nil) {
		t.Errorf("the details say %v; the message says %s", named, message)
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
