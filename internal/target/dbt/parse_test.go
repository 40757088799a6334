package dbt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"Database Error in model a (models/a.sql)\n  permission denied for schema prod":               ErrPermission,
		"Database Error\n  FATAL:  password authentication failed for user \"x\"":                     ErrPermission,
		"003001 (42501): SQL access control error:\nInsufficient privileges to operate on schema 'X'": ErrPermission,
		"User does not have bigquery.jobs.create permission in project x":                             ErrPermission,
		"Database Error\n  connection to server at \"db\" (10.0.0.1), port 5432 failed: Connection " +
			"refused": ErrConnection,
		"could not translate host name \"db\" to address: Name or service not known":                    ErrConnection,
		"Database Error\n  connection to server at \"db\", port 5432 failed: timeout expired":           ErrTimeout,
		"Database Error in model a (models/a.sql)\n  canceling statement due to statement timeout":      ErrTimeout,
		"HTTPSConnectionPool: Read timed out.":                                                          ErrTimeout,
		"IO Error: Could not set lock on file \"x.duckdb\": Conflicting lock is held in python (PID 1)": ErrLocked,
		"Compilation Error in model a (models/a.sql)\n  'timeout' is undefined":                         ErrCompilation,
		"Parsing Error\n  Error reading shop: bad.yml - Runtime Error":                                  ErrCompilation,
		"Runtime Error\n  Could not find profile named 'shop'":                                          ErrProfiles,
		"Runtime Error\n  Credentials in profile \"shop\", target \"dev\" invalid: Could not find adapter " +
			"type x!": ErrProfiles,
	} {
		if r, ok := diagnose(text); !ok || !errors.Is(r.sentinel, want) {
			t.Errorf("%q: got %v, want %v", text, r.sentinel, want)
		}
	}
	for _, text := range []string{"Binder Error: Referenced column \"unauthorized_flag\" not found",
		"Conversion Error: Could not convert string 'x' to INT32"} {
		if r, ok := diagnose(text); ok {
			t.Errorf("%q: got %v, want none", text, r.sentinel)
		}
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Compilation Error in model broken (models/a b/broken.sql)\n  Expected\n    line 12\n      " +
			"select": "models/a b/broken.sql, line 12",
		"Compilation Error\n  Model 'model.shop.x' (models/x.sql) depends on a node named 'y'": "models/x.sql",
		"Parsing Error\n  Error reading shop: sub/bad.yml - Runtime Error\n    Syntax error near " +
			"line 2": "sub/bad.yml, line 2",
		"Compilation Error\n  dbt found two macros": "",
	} {
		if got := location(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSummarizeSkipsLinesThatAreNotEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, strings.Join([]string{
		"a print of some macro", `{"info": 3}`, `[1]`, strings.Repeat("x", maxLine+10),
		`{"info": {"name": "MainReportVersion", "later": {}}, "data": {"version": "=1.11.16", "later": 1}}`,
		`{"info": {"name": "NoNodesForSelectionCriteria"}, "data": {"spec_raw": "nope"}}`,
		`{"info": {"name": "ResourceReport"}, "data": {"command_success": true, "command_wall_clock_time": 1.5}}`,
		`{"info": {"name": "Unfinished`,
	}, "\n"))
	got, err := summarize(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summary{Version: "1.11.16", Unmatched: []string{"nope"}, Finished: true, Success: true,
		Seconds: 1.5}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTailMasksAcrossWritesAndBoundsLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := tail{raw: filepath.Join(dir, "raw"), public: filepath.Join(dir, "public"),
		secrets: masker{redact.New("swordfish")}}
	write(t, l.public, "left by an earlier, interrupted copy")
	content := ""
	for i, part := range []string{"first\nsword", "fish and ", "more\n" + strings.Repeat("y", maxLine) + "z\n",
		"no end: swordfish"} {
		content += part
		write(t, l.raw, content)
		if err := l.pump(i == 3); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(l.public)
	if err != nil {
		t.Fatal(err)
	}
	want := "first\n(redacted) and more\n(a line of more than 4194304 bytes was left out)\nno end: (redacted)"
	if string(got) != want {
		t.Errorf("got %.200q", got)
	}
}

func TestMaskArtifacts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "compiled", "a.sql"), "select 'swordfish'")
	write(t, filepath.Join(dir, "clean.json"), "{}")
	write(t, filepath.Join(dir, parseState), "\x81swordfish")
	if err := New(Config{Environment: map[string]string{"A": "swordfish"}},
		clock.System{}).maskArtifacts(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "compiled", "a.sql"))
	if err != nil || string(got) != "select '(redacted)'" {
		t.Errorf("%q, %v", got, err)
	}
	if exists(filepath.Join(dir, parseState)) || !exists(filepath.Join(dir, "clean.json")) {
		t.Error("the wrong file was removed")
	}
}

func TestVars(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	write(t, filepath.Join(cfg.ProjectDir, "dbt_packages", "rules", "macros", "m.sql"),
		`{{ var( "from_package" ) }} {{ env_var('NOT_A_VAR') }} {% if var.has_var('asked') %}`)
	write(t, filepath.Join(cfg.ProjectDir, "dbt_packages", "rules", "dbt_project.yml"),
		"name: rules\nvars:\n  rules:\n    scoped: 1\n")
	c := New(cfg, clock.System{})
	p, err := c.project()
	if err != nil {
		t.Fatal(err)
	}
	files, err := c.files(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"triage_days", "urgent_word", "from_package", "asked", "scoped"} {
		if _, err := checkVars(p, files, map[string]any{known: 1}); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
	for unknown, near := range map[string]string{"triage_day": "triage_days", "NOT_A_VAR": "no var()"} {
		_, err := checkVars(p, files, map[string]any{"triage_days": 1, unknown: 1})
		got := wantProblem(t, err, ErrUnknownVar, unknown, near)
		if diff := cmp.Diff([]string{"vars", problem.Key(unknown)}, got.Path); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFingerprintSeesWhatMatters(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	print := func() string {
		t.Helper()
		c := New(cfg, clock.System{})
		p, err := c.project()
		if err != nil {
			t.Fatal(err)
		}
		key, err := c.fingerprint(t.Context(), p, Selection{})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	last := print()
	for _, change := range []string{"models/logs/new.sql", "macros/m.sql", "selectors.yml", "seeds/categories.csv",
		"dbt_packages/p/macros/m.sql", ".dbtignore", "profiles.yml"} {
		write(t, filepath.Join(cfg.ProjectDir, change), "changed")
		if now := print(); now == last {
			t.Errorf("%s changed nothing", change)
		} else {
			last = now
		}
	}
	cfg.WorkDir = filepath.Join(cfg.ProjectDir, "models", "work")
	for _, noise := range []string{"shop.duckdb", "target/manifest.json", "target/x.sql", "logs/dbt.yml",
		"venv/lib/x.py", "dbt_packages/p/.git/x.md", "models/work/y.sql"} {
		write(t, filepath.Join(cfg.ProjectDir, noise), "noise")
		if print() != last {
			t.Errorf("%s changed the fingerprint", noise)
		}
	}
	cfg.Environment = map[string]string{"SHOP_USER": "x"}
	if print() == last {
		t.Error("the environment changed nothing")
	}
	write(t, filepath.Join(cfg.ProjectDir, "dbt_project.yml"), "name: shop\nmodel-paths: [\"{{ env_var('M') }}\"]\n")
	last = print()
	write(t, filepath.Join(cfg.ProjectDir, "anywhere", "m.sql"), "select 1")
	if print() == last {
		t.Error("with a templated path, a file anywhere counts")
	}
}

func TestEachLineEndsWithoutNewline(t *testing.T) {
	t.Parallel()
	var got []string
	if err := eachLine(bytes.NewBufferString("a\r\n\nb"),
		func(line []byte) { got = append(got, string(line)) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "", "b"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
