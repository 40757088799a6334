package dbt

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// ownEnvironment makes a virtual environment with the real dbt. Its entry point and the RECORD files of its packages
// can be changed.
func ownEnvironment(t *testing.T) (root string) {
	t.Helper()
	root = must(filepath.EvalSymlinks(t.TempDir()))
	real := must(filepath.EvalSymlinks(filepath.Dir(filepath.Dir(dbtPath(t)))))
	packages := must(filepath.Glob(filepath.Join(real, "lib", "python*", "site-packages")))[0]
	base := must(filepath.EvalSymlinks(filepath.Join(real, "bin", "python")))
	own := filepath.Join(root, "lib", filepath.Base(filepath.Dir(packages)), "site-packages")
	write(t, filepath.Join(root, "pyvenv.cfg"), "home = "+filepath.Dir(base)+"\n")
	write(t, filepath.Join(own, "real.pth"), packages+"\n")
	for _, name := range []string{"dbt_core", "dbt_duckdb", "dbt_postgres"} {
		info := must(filepath.Glob(filepath.Join(packages, name+"-*.dist-info")))[0]
		if err := copyTree(t.Context(), info, filepath.Join(own, filepath.Base(info))); err != nil {
			t.Fatal(err)
		}
	}
	python, dbt := filepath.Join(root, "bin", "python"), filepath.Join(root, "bin", "dbt")
	write(t, dbt, "#!"+python+"\nfrom dbt.cli.main import cli\ncli()\n")
	if err := errors.Join(os.Chmod(dbt, 0o700), os.Symlink(base, python)); err != nil {
		t.Fatal(err)
	}
	return root
}

func names(programs []proc.Program) (found []string) {
	for _, p := range programs {
		found = append(found, p.Name)
	}
	return found
}

// TestProgramsOfDBT edits the RECORD of dbt-core and the entry point after the review: nothing is started.
func TestProgramsOfDBT(t *testing.T) {
	t.Parallel()
	root, cfg := ownEnvironment(t), shop(t)
	cfg.Executable = filepath.Join(root, "bin", "dbt")
	core := must(filepath.Glob(filepath.Join(root, "lib", "*", "*", "dbt_core-*", "RECORD")))[0]
	c, orders := cli(t, cfg), Selection{Models: []string{"inbox_emails"}}
	list := func() Reviewed {
		l, err := c.List(t.Context(), orders)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(l.Programs); !slices.Equal(got, []string{"dbt", "dbt-core", "dbt-duckdb"}) || !l.Interface {
			t.Errorf("the programs are %q", got)
		}
		return Reviewed{Selection: orders, Content: l.Content, Identity: must(json.Marshal(l.Identity)),
			Programs: l.Programs}
	}
	first := list()
	for _, path := range []string{core, cfg.Executable} {
		before := list()
		rewrite(t, path, "dbt", "bdt") // of the same size and time
		dir := filepath.Join(t.TempDir(), "run")
		_, err := c.StartReviewed(t.Context(), before, dir)
		wantProblem(t, err, ErrNotReviewed, path)
		if exists(dir) {
			t.Errorf("%s: dbt was started", path)
		}
		rewrite(t, path, "bdt", "dbt")
	}
	if again := list(); !slices.Equal(again.Programs, first.Programs) {
		t.Errorf("%+v, then %+v", first.Programs, again.Programs)
	}
	run, err := c.StartReviewed(t.Context(), first, filepath.Join(t.TempDir(), "run"))
	if err == nil {
		_, err = run.Wait(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
	change, err := c.PreviewDeps(t.Context(), Deps{})
	if got := names(change.Programs); err != nil || !slices.Equal(got, []string{"dbt", "dbt-core"}) {
		t.Errorf("deps: %q, %v", got, err)
	}
}

// TestProgramsOfAScript names only the script: what it starts is unknown.
func TestProgramsOfAScript(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	dir := must(filepath.EvalSymlinks(t.TempDir()))
	cfg.Executable = filepath.Join(dir, "link")
	script(t, filepath.Join(dir, "dbt"), "exec "+dbtPath(t)+" \"$@\"\n")
	if err := os.Symlink("dbt", cfg.Executable); err != nil {
		t.Fatal(err)
	}
	found, err := cli(t, cfg).programs(t.Context(), "duckdb")
	if err != nil || len(found) != 1 || found[0].Path != filepath.Join(dir, "dbt") || len(found[0].SHA256) != 64 {
		t.Errorf("%+v, %v", found, err)
	}
}
