package dbt

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

func TestRunCommand(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg  Config
		s    Selection
		want string
	}{
		"two models, four threads": {s: example, want: "dbt run --select inbox_emails triage_results --threads 4"},
		"upstream leaves what names ancestors": {
			s:    Selection{Models: []string{"a", "+b", "2+c", "@d", "tag:x", "e+"}, Upstream: true},
			want: "dbt run --select +a +b 2+c @d +tag:x +e+",
		},
		"a selector, a window and another run's state": {
			s: Selection{Selector: "nightly", State: "../prod", Defer: true, EventTimeStart: "2025-10-01",
				EventTimeEnd: "2025-10-02"},
			want: "dbt run --selector nightly --event-time-start 2025-10-01 --event-time-end 2025-10-02 " +
				"--state ../prod --defer",
		},
		"everything": {
			cfg: Config{Executable: "/opt/my dbt/bin/dbt", Target: "prod"},
			s: Selection{
				Models: []string{"m*"}, Exclude: []string{"x", "y"}, FullRefresh: true, Threads: 1,
				Vars: map[string]any{"z": "a<b", "a": []any{1, true, "it's"}},
			},
			want: `'/opt/my dbt/bin/dbt' run --select 'm*' --exclude x y --full-refresh --threads 1 --vars '{"a":[1,true,"it'"'"'s"],"z":"a<b"}' --target prod`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Line(New(test.cfg, clock.System{}).RunCommand(test.s)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDepsCommands(t *testing.T) {
	t.Parallel()
	c := New(Config{Target: "prod"}, clock.System{})
	want := [][]string{{"dbt", "deps", "--upgrade"}, {"dbt", "compile", "--target", "prod"}}
	if diff := cmp.Diff(want, c.DepsCommands(Deps{Upgrade: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dbt", "deps"}, c.DepsCommands(Deps{})[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = [][]string{{"dbt", "deps", "--vars", `{"a":1}`}, {"dbt", "compile", "--vars", `{"a":1}`, "--target", "prod"}}
	if diff := cmp.Diff(want, c.DepsCommands(Deps{Vars: map[string]any{"a": 1}})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := []string{"a"}
	tests := map[string]struct {
		s    Selection
		path string
	}{
		"none":             {Selection{}, "models"},
		"blank":            {Selection{Models: []string{"a", " "}}, "models.1"},
		"flag":             {Selection{Models: []string{"--full-refresh"}}, "models.0"},
		"two in one":       {Selection{Models: []string{"a b"}}, "models.0"},
		"twice":            {Selection{Models: []string{"a", "b", "a"}}, "models.2"},
		"bad exclude":      {Selection{Models: ok, Exclude: []string{""}}, "exclude.0"},
		"threads negative": {Selection{Models: ok, Threads: -1}, "threads"},
		"threads 10000":    {Selection{Models: ok, Threads: 10000}, "threads"},
		"intersection":     {Selection{Models: []string{"a,b"}, Upstream: true}, "models.0"},
		"two selections":   {Selection{Models: ok, Selector: "nightly"}, "selector"},
		"selector flag":    {Selection{Selector: "--empty"}, "selector"},
		"selector up":      {Selection{Selector: "nightly", Upstream: true}, "upstream"},
		"defer alone":      {Selection{Models: ok, Defer: true}, "state"},
		"state flag":       {Selection{Models: ok, State: "--empty"}, "state"},
		"half a window":    {Selection{Models: ok, EventTimeStart: "2025-10-01"}, "event_time_start"},
		"no time":          {Selection{Models: ok, EventTimeStart: "2025-10-01", EventTimeEnd: "soon"}, "event_time_end"},
		"empty window": {Selection{Models: ok, EventTimeStart: "2025-10-02", EventTimeEnd: "2025-10-01T23:00:00"},
			"event_time_start"},
		"vars": {Selection{Models: ok, Vars: map[string]any{"f": func() {}}}, "vars"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := wantProblem(t, test.s.Validate(), ErrSelection)
			if got := strings.Join(p.Path, "."); got != test.path {
				t.Errorf("path %s, want %s", got, test.path)
			}
			if _, err := New(Config{}, clock.System{}).List(t.Context(), test.s); !errors.Is(err, ErrSelection) {
				t.Errorf("List: %v", err)
			}
		})
	}
	if err := (Selection{Models: []string{"a,b", "tag:x+"}, Threads: MaxThreads}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentRefusesFlags(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"DBT_FULL_REFRESH", "DBT_ENGINE_FULL_REFRESH", "DBT_TARGET", "DBT_EMPTY",
		"DBT_SAMPLE", "DBT_DEFER", "DBT_STATE", "DBT_RECORDER_MODE", "DBT_PROFILE", "dbt_target_path", "", "A=B",
		"PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGOPTIONS"} {
		c := New(Config{Environment: map[string]string{name: "1"}}, clock.System{})
		_, err := c.environment(nil, nil)
		p := wantProblem(t, err, ErrEnvironment)
		if diff := cmp.Diff([]string{"dbt", "environment", problem.Key(name)}, p.Path); diff != "" {
			t.Error(diff)
		}
	}
	c := New(Config{Environment: map[string]string{"DBT_PASSWORD": "p", "DBT_HOST": "h", "DBT_PARTIAL_PARSE": "false",
		"PATH": "/mine"}}, clock.System{})
	got, err := c.environment([]string{"PATH=/theirs", "DBT_SCHEMA=leak", "LC_ALL=C", "TERM=xterm"},
		map[string]string{"DBT_TARGET_PATH": "/t"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"DBT_HOST=h", "DBT_PARTIAL_PARSE=false", "DBT_PASSWORD=p", "DBT_TARGET_PATH=/t", "LC_ALL=C",
		"PATH=/mine"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	r := redact.New(secretsOf(map[string]string{"KEY": "line one\nline two", "PATH": "/usr/bin:/bin"}, []string{
		"DBT_ENV_SECRET_GIT=git-token", "AWS_SECRET_ACCESS_KEY=aws-key", "AWS_REGION=eu-central-1",
		"HTTPS_PROXY=http://me:proxy-pass@proxy:3128", "OTHER_TOKEN=not-passed",
	})...)
	got := r.String(`{"m":"line one\nline two"} line two git-token aws-key eu-central-1 proxy-pass /usr/bin:/bin`)
	if want := `{"m":"(redacted)"} (redacted) (redacted) (redacted) eu-central-1 (redacted) /usr/bin:/bin`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNameAndProjectProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	write(t, filepath.Join(dir, "empty", "x"), "")
	write(t, filepath.Join(dir, "broken", "dbt_project.yml"), "name: [")
	write(t, filepath.Join(dir, "nameless", "dbt_project.yml"), "version: 1")
	for name, want := range map[string]error{
		"missing": ErrProjectMissing, "file": ErrProjectNotFolder, "empty": ErrNotAProject,
		"broken": ErrProjectMalformed, "nameless": ErrProjectMalformed,
	} {
		_, err := New(Config{ProjectDir: filepath.Join(dir, name)}, clock.System{}).Name(t.Context())
		p := wantProblem(t, err, want, name)
		if diff := cmp.Diff([]string{"dbt", "project_dir"}, p.Path); diff != "" {
			t.Error(diff)
		}
	}
	_, err := New(Config{}, clock.System{}).Name(t.Context())
	wantProblem(t, err, ErrProjectMissing)
	for target, want := range map[string]string{"": "dbt:shop/default", "prod": "dbt:shop/prod"} {
		if got, err := New(Config{ProjectDir: "testdata/shop", Target: target},
			clock.System{}).Name(t.Context()); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestExecutableProblems(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	plain := filepath.Join(t.TempDir(), "dbt")
	write(t, plain, "#!/bin/sh\n")
	for exe, text := range map[string]string{"no-such-dbt": "not found", plain: "not an executable",
		t.TempDir(): "dbt"} {
		cfg.Executable = exe
		_, err := New(cfg, clock.System{}).List(t.Context(), example)
		p := wantProblem(t, err, ErrExecutable, text)
		if diff := cmp.Diff([]string{"dbt", "executable"}, p.Path); diff != "" {
			t.Error(diff)
		}
	}
	cfg = shop(t)
	cfg.ProfilesDir = t.TempDir()
	_, err := New(cfg, clock.System{}).List(t.Context(), example)
	wantProblem(t, err, ErrProfiles, cfg.ProfilesDir)
	cfg = shop(t)
	cfg.WorkDir = filepath.Join(plain, "work")
	_, err = New(cfg, clock.System{}).List(t.Context(), example)
	var p *problem.Problem
	if !errors.As(err, &p) || !errors.Is(err, ErrWorkDir) {
		t.Errorf("work folder below a file: %v", err)
	}
}
