package dbt

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// TestUnsupportedVersionsAreRefused covers other programs named dbt, and versions that are too old, behind a script.
func TestUnsupportedVersionsAreRefused(t *testing.T) {
	t.Parallel()
	const old = "Core:\n  - installed: 1.7.20\n  - latest:    1.12.6 - Update available!"
	for name, test := range map[string]struct{ version, command, what string }{
		"dbt Core 1.7": {old,
			`{"info":{"name":"MainReportVersion"},"data":{"version":"=1.7.20"}}`, "dbt Core 1.7.20 is not supported",
		},
		"dbt Core 1.7 that logs nothing": {old, "Error: No such option", "dbt Core 1.7.20 is not supported"},
		"preview of dbt Fusion": {"dbt-fusion 2.0.0-preview.45", "dbt-fusion 2.0.0-preview.45",
			"dbt Fusion 2.0.0-preview.45 is not supported"},
		"dbt Fusion": {"dbt 2.0.1", "dbt 2.0.1", "dbt Fusion 2.0.1 is not supported"},
		"dbt Fusion with a log": {"dbt 2.0.1", `{"info":{"name":"MainReportVersion"},"data":{"version":"=2.0.1"}}`,
			"dbt Fusion 2.0.1"},
		"dbt Cloud CLI": {"dbt Cloud CLI - 0.40.18 (aa58f643 2026-06-18T20:34:06Z)", "Error: no project",
			"dbt Cloud CLI 0.40.18 is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := standIn(t, "case $1 in\n--version) cat <<'END'\n"+test.version+"\nEND\n;;\n*) echo '"+
				test.command+"'; exit 1;;\nesac\n")
			write(t, filepath.Join(cfg.ProjectDir, "packages.yml"), "packages:\n  - local: ../shared\n")
			write(t, filepath.Join(cfg.ProjectDir, "../shared/dbt_project.yml"), "name: shared\n")
			c := New(cfg, clock.System{})
			_, err := c.List(t.Context(), example)
			p := wantProblem(t, err, ErrVersion, test.what, "1.8 to 1.12")
			if strings.Join(p.Path, ".") != "dbt.executable" {
				t.Errorf("path %v", p.Path)
			}
			_, err = c.PreviewDeps(t.Context(), Deps{})
			wantProblem(t, err, ErrVersion, test.what)
		})
	}
}

// TestOldInstallationIsRefusedBeforeItStarts covers dbt's own entry point of a version that is too old.
func TestOldInstallationIsRefusedBeforeItStarts(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	bin := filepath.Join(t.TempDir(), "bin")
	started := filepath.Join(bin, "started")
	write(t, filepath.Join(bin, "../lib/python3.11/site-packages/dbt_core-1.7.20.dist-info/METADATA"), "")
	write(t, filepath.Join(bin, "python"), "") // it creates the folder
	script(t, filepath.Join(bin, "python"), "touch "+started+"\n")
	script(t, filepath.Join(bin, "dbt"), "")
	write(t, filepath.Join(bin, "dbt"), "#!"+filepath.Join(bin, "python")+"\nfrom dbt.cli.main import cli\ncli()\n")
	cfg.Executable = filepath.Join(bin, "dbt")
	c := New(cfg, clock.System{})
	_, err := c.List(t.Context(), example)
	wantProblem(t, err, ErrVersion, "dbt Core 1.7.20 is not supported", "1.8 to 1.12")
	_, err = c.PreviewDeps(t.Context(), Deps{})
	wantProblem(t, err, ErrVersion, "dbt Core 1.7.20")
	if exists(started) {
		t.Error("dbt was started")
	}
}

func TestVersionsInTheRange(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.8.0", "1.9.11", "1.10.23", "1.11.16", "1.12.6", "1.13.0b1", "", "unknown"} {
		if err := checkVersion(version); err != nil {
			t.Errorf("%q: %v", version, err)
		}
	}
	for version, warns := range map[string]bool{"1.12.6": false, "1.13.0b1": true, "1.14.2": true} {
		if got := (Selection{}).versionWarnings(Listing{DBTVersion: version}, nil); len(got) > 0 != warns {
			t.Errorf("%s: %q", version, got)
		}
	}
}

// TestMicrobatchModelsOfEachVersion lists a microbatch model with the dbt that is tested: dbt 1.8 has none, and dbt
// before 1.11.3 needs a thread more than there are such models.
func TestMicrobatchModelsOfEachVersion(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	microbatchProject(t, cfg)
	wrapped := cfg
	wrapped.Executable = filepath.Join(cfg.WorkDir, "..", "wrapper")
	script(t, wrapped.Executable, "exec "+cfg.Executable+" \"$@\"\n")
	c := cli(t, cfg)
	v, known := c.installedVersion()
	if !known {
		t.Fatalf("%s: the version is unknown", cfg.Executable)
	}
	one := Selection{Models: []string{"events", "batches"}}
	window := Selection{Models: []string{"events"}, EventTimeStart: "2025-10-01", EventTimeEnd: "2025-10-04"}
	if v.before(microbatchVersion) {
		for _, executable := range []Config{cfg, wrapped} {
			c := cli(t, executable)
			_, err := c.List(t.Context(), one)
			wantProblem(t, err, ErrVersion, "no microbatch models", "microbatch in batches. That needs dbt Core 1.9")
			_, err = c.List(t.Context(), window)
			wantProblem(t, err, ErrVersion, "no event-time window", "dbt Core 1.8.")
		}
		return
	}
	for threads, warns := range map[int]bool{1: v.before(spareThreadVersion), 2: false} {
		one.Threads = threads
		l, err := c.List(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(l.Warnings, "\n"), "Set threads to 2 or more"); got != warns {
			t.Errorf("%d threads: warnings %q", threads, l.Warnings)
		}
	}
	if _, err := c.List(t.Context(), window); err != nil {
		t.Error(err)
	}
}
