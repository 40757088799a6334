package acctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is a git repository with the dbt package triage_utils, which a Project gets from its branch main.
type Package struct {
	Dir     string
	project *Project
}

// NewPackage makes a package, adds it to the project, and installs it. Its macro queue_of, which triage_results calls,
// spreads ids over 3 queues. Its model is old_queues.
func (p *Project) NewPackage() *Package {
	p.t.Helper()
	k := &Package{Dir: p.t.TempDir(), project: p}
	k.git("init", "--quiet", "--initial-branch=main")
	k.write("dbt_project.yml", "name: triage_utils\nversion: '1.0'\n")
	k.Commit(3, "old_queues") //nolint:mnd // as documented
	p.Write("models/triage_results.sql", "{{ config(materialized='table') }}\n"+
		"select id, {{ triage_utils.queue_of('id') }} as queue from {{ ref('inbox_emails') }}\n")
	p.Write("packages.yml", fmt.Sprintf("packages:\n  - git: %q\n    revision: main\n", k.Dir))
	p.Deps()
	return k
}

// Commit makes the newest version of the package, with so many queues and that model only. It is not installed.
func (k *Package) Commit(queues int, model string) {
	k.project.t.Helper()
	if err := os.RemoveAll(filepath.Join(k.Dir, "models")); err != nil {
		k.project.t.Fatal(err)
	}
	k.write("macros/queues.sql", fmt.Sprintf("{%% macro queue_of(id) %%}{{ id }} %% %d{%% endmacro %%}\n", queues))
	k.write("models/"+model+".sql", fmt.Sprintf("select %d as queues\n", queues))
	k.git("add", "--all")
	k.git("commit", "--quiet", "--message", model)
}

// Queues returns how many queues the table triage_results has, as text.
func (p *Project) Queues() string {
	p.t.Helper()
	return p.command(nil, filepath.Join(filepath.Dir(DBT(p.t)), "python"), "-c",
		"import duckdb, sys\nprint(duckdb.connect(sys.argv[1], read_only=True).execute("+
			"'select count(distinct queue) from triage_results').fetchone()[0])", p.Warehouse)
}

// Deps runs `dbt deps` with dbt itself.
func (p *Project) Deps(args ...string) {
	p.t.Helper()
	p.command(p.Environment(), DBT(p.t), append([]string{"deps", "--quiet"}, args...)...)
}

// command runs a command in the project, and returns what it prints.
func (p *Project) command(env []string, name string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), name, args...)
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (k *Package) git(args ...string) {
	k.project.t.Helper()
	k.project.command(nil, "git",
		append([]string{"-C", k.Dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
}

func (k *Package) write(name, text string) {
	k.project.t.Helper()
	other := Project{Dir: k.Dir, t: k.project.t}
	other.Write(name, text)
}
