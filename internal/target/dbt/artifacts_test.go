package dbt

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hugeFile makes a file of 200 MB. It takes no space on the disk.
func hugeFile(t *testing.T, path string) {
	t.Helper()
	write(t, path, `{"metadata": {"project_name": "shop"}, "nodes": {`)
	const huge = 200 << 20
	if err := os.Truncate(path, huge); err != nil {
		t.Fatal(err)
	}
}

// manifestOf writes a manifest of a project without nodes.
func manifestOf(t *testing.T, folder, project string) {
	t.Helper()
	write(t, filepath.Join(folder, "manifest.json"), fmt.Sprintf(`{"metadata": {"dbt_schema_version": `+
		`"https://schemas.getdbt.com/dbt/manifest/v12.json", "project_name": %q}, "nodes": {}, "sources": {}}`, project))
}

// TestStateFolderIsCheckedBeforeDBTStarts covers artifacts of another project, artifacts that are too large, and what
// is no artifact. It is not parallel, because it measures memory.
//
//nolint:paralleltest // it measures memory
func TestStateFolderIsCheckedBeforeDBTStarts(t *testing.T) {
	cfg := shop(t)
	state := filepath.Join(cfg.ProjectDir, "state")
	ctx, log := listen(t)
	c := cli(t, cfg)
	for name, test := range map[string]struct {
		artifacts func(t *testing.T)
		texts     []string
	}{
		"a manifest of another project": {func(t *testing.T) {
			t.Helper()
			manifestOf(t, state, "billing")
		}, []string{"another dbt project", `"billing"`, `"shop"`}},
		"a manifest of 200 MB": {func(t *testing.T) {
			t.Helper()
			hugeFile(t, filepath.Join(state, "manifest.json"))
		}, []string{"manifest.json is too large", "200 MB", "128 MB"}},
		"results of 200 MB": {func(t *testing.T) {
			t.Helper()
			hugeFile(t, filepath.Join(state, "run_results.json"))
		}, []string{"run_results.json is too large"}},
		"no JSON": {func(t *testing.T) {
			t.Helper()
			write(t, filepath.Join(state, "manifest.json"), "<html>")
		}, []string{"manifest.json", "invalid character"}},
		"half a manifest": {func(t *testing.T) {
			t.Helper()
			write(t, filepath.Join(state, "manifest.json"), `{"nodes": {"a": [1`)
		}, []string{"manifest.json", "EOF"}},
		"a folder": {func(t *testing.T) {
			t.Helper()
			if err := os.MkdirAll(filepath.Join(state, "manifest.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, []string{"manifest.json is not a file"}},
		"a file": {func(t *testing.T) {
			t.Helper()
			write(t, state, "{}")
		}, []string{"state is a file"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(state); err != nil {
				t.Fatal(err)
			}
			test.artifacts(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.List(ctx, Selection{Models: []string{"state:modified"}, State: "state"})
			runtime.ReadMemStats(&after)
			p := wantProblem(t, err, ErrSelection, append(test.texts, "Nothing has run")...)
			if !slices.Equal(p.Path, []string{"state"}) {
				t.Errorf("path %v", p.Path)
			}
			const most = 20 << 20
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d MB of memory were used", used>>20)
			}
		})
	}
	for _, folder := range []string{"nowhere", "models"} {
		_, err := c.List(ctx, Selection{Models: []string{"inbox_emails"}, State: folder, Defer: true})
		wantProblem(t, err, ErrSelection, filepath.Join(cfg.ProjectDir, folder)+" has no manifest.json")
	}
	if n := log.count("helper started"); n > 0 {
		t.Errorf("dbt was started %d times", n)
	}
}

// TestArtifactsOfTheProjectAreNotRead leaves artifacts of another project, which dbt can't read, where dbt itself would
// use them.
func TestArtifactsOfTheProjectAreNotRead(t *testing.T) {
	t.Parallel()
	throughBoth(t, func(t *testing.T, cfg Config) {
		target := filepath.Join(cfg.ProjectDir, "target")
		hugeFile(t, filepath.Join(target, "manifest.json"))
		write(t, filepath.Join(target, "partial_parse.msgpack"), "of another project")
		write(t, filepath.Join(target, "graph.gpickle"), "of another project")
		l, err := cli(t, cfg).List(t.Context(), example)
		if err != nil || len(l.Models) != len(example.Models) {
			t.Errorf("%+v, %v", l.Models, err)
		}
	})
}

// TestManifestOfAScriptIsChecked starts dbt by scripts whose manifest can't be used.
func TestManifestOfAScriptIsChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		then  string // what the script does after dbt
		texts []string
	}{
		"another project": {`sed -i 's/"project_name": "shop"/"project_name": "billing"/' "$DBT_TARGET_PATH/manifest.json"`,
			[]string{"another dbt project", `"billing"`, `"shop"`}},
		"200 MB": {`truncate -s 200M "$DBT_TARGET_PATH/manifest.json"`,
			[]string{"manifest.json is too large", "200 MB", "the dbt command itself"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := shop(t)
			wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
			script(t, wrapper, cfg.Executable+" \"$@\" || exit $?\n"+test.then+"\n")
			cfg.Executable = wrapper
			_, err := cli(t, cfg).List(t.Context(), example)
			p := wantProblem(t, err, ErrUnhandled, append(test.texts, "Nothing has run")...)
			if strings.Join(p.Path, ".") != "dbt.executable" {
				t.Errorf("path %v", p.Path)
			}
		})
	}
}
