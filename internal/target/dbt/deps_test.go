package dbt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git",
		append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"},
			args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes a bare repository of a package with the tags v1 and v2, and returns its path and their commits.
func repository(t *testing.T) (path, v1, v2 string) {
	t.Helper()
	root := t.TempDir()
	work := filepath.Join(root, "work")
	commit := func(tag, version string) string {
		write(t, filepath.Join(work, "dbt_project.yml"),
			"name: triage_rules\nversion: \""+version+"\"\nconfig-version: 2\n")
		write(t, filepath.Join(work, "macros", "rules.sql"), "{% macro rules() %}'"+tag+"'{% endmacro %}\n")
		git(t, work, "add", ".")
		git(t, work, "commit", "-q", "-m", tag)
		git(t, work, "tag", tag)
		return git(t, work, "rev-parse", "HEAD")
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, work, "init", "-q")
	v1, v2 = commit("v1", "1.0.0"), commit("v2", "2.0.0")
	path = filepath.Join(root, "triage_rules.git")
	git(t, root, "clone", "-q", "--bare", work, path)
	return path, v1, v2
}

func packages(t *testing.T, cfg Config, repo, revision string) {
	t.Helper()
	write(t, filepath.Join(cfg.ProjectDir, "packages.yml"),
		"packages:\n  - local: ../shared\n  - git: \""+repo+"\"\n    revision: "+revision+"\n")
}

func TestDeps(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	starts := counting(t, &cfg)
	repo, v1, v2 := repository(t)
	write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "dbt_project.yml"),
		"name: shared\nversion: 0.3.0\nconfig-version: 2\n")
	write(t, filepath.Join(cfg.ProjectDir, "..", "shared", "packages.yml"), "packages:\n  - local: nested/inner\n")
	write(t, filepath.Join(cfg.ProjectDir, "nested", "inner", "dbt_project.yml"),
		"name: inner\nversion: 0.1.0\nconfig-version: 2\n")
	packages(t, cfg, repo, "v1")
	c := New(cfg, clock.System{})
	ctx := cache.With(t.Context(), ledger())
	rules := PackageChange{Name: "triage_rules", Source: "git " + repo, Then: v1}
	shared := PackageChange{Name: "shared", Source: "local ../shared", Then: "0.3.0"}
	inner := PackageChange{Name: "inner", Source: "local nested/inner", Then: "0.1.0"}

	preview := func(why string, lockChanges bool, want ...PackageChange) {
		t.Helper()
		before := snapshot(t, cfg.ProjectDir)
		got, err := c.PreviewDeps(ctx, Deps{})
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		if diff := cmp.Diff(DepsChange{Packages: want, LockChanges: lockChanges, DBTVersion: got.DBTVersion,
			Resolved: got.Resolved, Programs: got.Programs}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
		if diff := cmp.Diff(before, snapshot(t, cfg.ProjectDir)); diff != "" {
			t.Errorf("%s: the preview changed the project (-before +after):\n%s", why, diff)
		}
	}
	run := func(argv []string) error {
		t.Helper()
		r, err := c.Start(t.Context(), argv, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Wait(t.Context())
		return err
	}
	preview("nothing installed", true, inner, shared, rules)
	if err := run(c.DepsCommands(Deps{})[0]); err != nil {
		t.Fatal(err)
	}
	inner.Now, shared.Now, rules.Now = "0.1.0", "0.3.0", v1
	reviewed := map[string]string{"inner": "0.1.0", "shared": "0.3.0", "triage_rules": v1}
	if err := c.CheckInstalled(t.Context(), reviewed); err != nil {
		t.Error(err)
	}
	reviewed["triage_rules"] = v2
	wantProblem(t, c.CheckInstalled(t.Context(), reviewed), ErrNotReviewed, "triage_rules is "+v1+" instead of "+v2)
	preview("installed", false, inner, shared, rules)
	n := starts()
	c = New(cfg, clock.System{})
	preview("installed, asked by another process", false, inner, shared, rules)
	if starts() != n {
		t.Error("dbt was asked again what follows from package-lock.yml alone")
	}

	// A new version that the project can't be compiled with: everything is restored.
	installedBefore := snapshot(t, cfg.ProjectDir)
	saveDir := filepath.Join(t.TempDir(), "execution")
	if err := c.SavePackages(t.Context(), saveDir); err != nil {
		t.Fatal(err)
	}
	packages(t, cfg, repo, "v2")
	rules.Then = v2
	preview("another version", true, inner, shared, rules)
	if err := run(c.DepsCommands(Deps{Upgrade: true})[0]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(cfg.ProjectDir, "models", "uses.sql"), "select {{ no_such_macro() }} as rule")
	err := run(c.DepsCommands(Deps{Upgrade: true})[1])
	wantProblem(t, err, ErrCompilation, "no_such_macro", "models/uses.sql")
	if err := New(cfg, clock.System{}).RestorePackages(t.Context(), saveDir); err != nil {
		t.Fatal(err)
	}
	packages(t, cfg, repo, "v1")
	if err := os.Remove(filepath.Join(cfg.ProjectDir, "models", "uses.sql")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sansTimes(installedBefore), sansTimes(snapshot(t, cfg.ProjectDir))); diff != "" {
		t.Errorf("after the restore (-before +after):\n%s", diff)
	}
	rules.Then = v1
	preview("restored", false, inner, shared, rules)
}

// sansTimes leaves the modification times out of a snapshot: those of folders are not restored.
func sansTimes(files map[string]string) map[string]string {
	out := map[string]string{}
	for path, about := range files {
		if strings.HasSuffix(path, "packages.yml") || strings.HasSuffix(path, "shop") ||
			strings.HasSuffix(path, ".duckdb") {
			continue // written by the test itself, or by dbt compile in the warehouse
		}
		parts := strings.SplitN(about, " ", 3)
		if len(parts) > 1 {
			parts[1] = ""
		}
		out[path] = strings.Join(parts, " ")
	}
	return out
}

func TestDepsThatCannotBeResolved(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	repo, _, _ := repository(t)
	write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - git: \""+repo+"\"\n    revision: v9\n")
	_, err := New(cfg, clock.System{}).PreviewDeps(t.Context(), Deps{Upgrade: true})
	wantProblem(t, err, ErrPackages, "v9", "packages.yml")
	if exists(filepath.Join(cfg.ProjectDir, "package-lock.yml")) {
		t.Error("the preview wrote a lock file")
	}
}

func TestRemoteAnswersAgeInProcess(t *testing.T) {
	t.Parallel()
	var p previews
	now := time.Date(2025, 10, 17, 10, 0, 0, 0, time.UTC)
	if _, ok := p.get("k", now); ok {
		t.Error("found what was never put")
	}
	p.put("k", freshPreview{now, DepsChange{LockChanges: true}})
	if got, ok := p.get("k", now.Add(previewAge-time.Second)); !ok || !got.LockChanges {
		t.Error("lost within its age")
	}
	if _, ok := p.get("k", now.Add(previewAge)); ok {
		t.Error("kept beyond its age")
	}
}

func TestSaveRestoresAbsenceModesAndLinks(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	c := New(cfg, clock.System{})
	tree := filepath.Join(cfg.ProjectDir, "dbt_packages")
	lockPath := filepath.Join(cfg.ProjectDir, "package-lock.yml")
	dir := filepath.Join(t.TempDir(), "absent")
	if err := c.RestorePackages(t.Context(), dir); err == nil {
		t.Error("restored what was never saved")
	}
	if err := c.SavePackages(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tree, "a", "x.sql"), "select 1")
	write(t, lockPath, "packages: []")
	if err := c.RestorePackages(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if exists(tree) || exists(lockPath) {
		t.Error("what was absent is there after the restore")
	}

	write(t, filepath.Join(tree, "a", "x.sql"), "select 1")
	write(t, filepath.Join(tree, "a", "run.sh"), "true")
	write(t, lockPath, "packages: []")
	for path, mode := range map[string]os.FileMode{filepath.Join(tree, "a", "run.sh"): 0o755,
		filepath.Join(tree, "a", "x.sql"): 0o440, filepath.Join(tree, "a"): 0o750, lockPath: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../elsewhere", filepath.Join(tree, "dangling")); err != nil {
		t.Fatal(err)
	}
	before := sansTimes(snapshot(t, cfg.ProjectDir))
	if err := c.SavePackages(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tree, "b", "y.sql"), "select 2")
	write(t, lockPath, "packages: [{local: x}]")
	write(t, filepath.Join(cfg.ProjectDir, "dbt_packages.restoring", "half"), "left by a restore that was interrupted")
	for range 2 {
		if err := c.RestorePackages(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, sansTimes(snapshot(t, cfg.ProjectDir))); diff != "" {
			t.Errorf("after the restore (-before +after):\n%s", diff)
		}
	}
}

func TestInstallPathThatMustNotBeReplaced(t *testing.T) {
	t.Parallel()
	for _, path := range []string{".", "..", "/", "{{ env_var('X') }}"} {
		cfg := shop(t)
		write(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"), "name: shop\npackages-install-path: \""+path+"\"\n")
		err := New(cfg, clock.System{}).SavePackages(t.Context(), filepath.Join(cfg.WorkDir, "x"))
		wantProblem(t, err, ErrProjectMalformed)
	}
}

// TestUnreadablePackagesAreNoMissingPackages: what can't be read may be installed.
func TestUnreadablePackagesAreNoMissingPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if got, err := installed(project{InstallPath: loop}); err == nil {
		t.Errorf("a folder that can't be read has the packages %v", got)
	}
	write(t, filepath.Join(dir, "tree", "a", projectFile), "name: a\nversion: 1.0.0")
	if err := os.MkdirAll(filepath.Join(dir, "tree", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(projectFile, filepath.Join(dir, "tree", "b", projectFile)); err != nil {
		t.Fatal(err)
	}
	if got, err := installed(project{InstallPath: filepath.Join(dir, "tree")}); err == nil {
		t.Errorf("a package that can't be read is missing in %v", got)
	}
	if got, err := installed(project{InstallPath: filepath.Join(dir, "none")}); err != nil || len(got) != 0 {
		t.Errorf("nothing is installed: %v, %v", got, err)
	}
}

// TestReadOnlyProjectIsRefusedBeforeAnythingRuns installs to folders to which not even root can write.
func TestReadOnlyProjectIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/proc/dbt_packages", "/proc/build/missing/dbt_packages"} {
		cfg := shop(t)
		write(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"), "name: shop\npackages-install-path: "+path+"\n")
		dir := filepath.Join(cfg.WorkDir, "x")
		err := New(cfg, clock.System{}).SavePackages(t.Context(), dir)
		wantProblem(t, err, ErrReadOnly, "Nothing was changed", "Make /proc writable")
		if exists(dir) {
			t.Errorf("%s: something was saved", path)
		}
	}
}

// TestPackagesInFoldersThatDbtWillCreate saves a project whose install path has parents that do not exist yet.
func TestPackagesInFoldersThatDbtWillCreate(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	write(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"),
		"name: shop\npackages-install-path: build/deps/dbt_packages\n")
	c, dir := New(cfg, clock.System{}), filepath.Join(t.TempDir(), "x")
	if err := c.SavePackages(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(cfg.ProjectDir, "build", "deps", "dbt_packages")
	write(t, filepath.Join(tree, "a", "x.sql"), "select 1")
	if err := c.RestorePackages(t.Context(), dir); err != nil || exists(tree) {
		t.Errorf("the packages are still there: %t, %v", exists(tree), err)
	}
}
