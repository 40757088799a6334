package dbt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// standIn is a shell script instead of dbt, for tests of the process rather than of dbt.
func standIn(t *testing.T, body string) (cfg Config, dir string) {
	t.Helper()
	cfg = shop(t)
	cfg.Executable = filepath.Join(filepath.Dir(cfg.ProjectDir), "dbt")
	script(t, cfg.Executable, body)
	return cfg, filepath.Join(filepath.Dir(cfg.ProjectDir), "run")
}

func start(t *testing.T, c *CLI, dir string, args ...string) *Run {
	t.Helper()
	run, err := c.Start(t.Context(), append([]string{c.cfg.Executable}, args...), dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

//nolint:paralleltest // it sets variables of this process
func TestProcessGetsExactlyItsArgumentsAndEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"DBT_FULL_REFRESH": "1", "DBT_ENGINE_EMPTY": "1", "DBT_TARGET_PATH": "/elsewhere", "DBT_DEFER": "1",
		"PYTHONPATH":          "/elsewhere",
		"DBT_ENV_SECRET_SHOP": "from-the-parent", "AWS_REGION": "eu-central-1",
	} {
		t.Setenv(name, value)
	}
	cfg, dir := standIn(t, "pwd\nfor a; do echo \"arg:$a\"; done\nenv\n")
	cfg.Environment = map[string]string{"SHOP_USER": "reader"}
	c := New(cfg, clock.System{})
	run := start(t, c, dir, "run", "--vars", `{"a":"it's $HOME; `+"`x`"+`"}`)
	if _, err := run.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, want := range []string{
		cfg.ProjectDir, "arg:run", "arg:--vars", `arg:{"a":"it's $HOME; ` + "`x`" + `"}`, "DBT_TARGET_PATH=" +
			filepath.Join(dir, "target"), "DBT_LOG_PATH=" + dir,
		"DBT_PROJECT_DIR=" + cfg.ProjectDir, "DBT_PROFILES_DIR=" + cfg.ProjectDir, "DBT_LOG_FORMAT=json",
		"AWS_REGION=eu-central-1",
		"DBT_ENV_SECRET_SHOP=(redacted)", "SHOP_USER=(redacted)", "DBT_SEND_ANONYMOUS_USAGE_STATS=false",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("dbt did not see %s in\n%s", want, data)
		}
	}
	for _, never := range []string{"DBT_FULL_REFRESH", "DBT_ENGINE_EMPTY", "DBT_DEFER", "PYTHONPATH",
		"REMEDIATION_TEST_DBT"} {
		if strings.Contains(string(data), never+"=") {
			t.Errorf("%s reached dbt", never)
		}
	}
}

func TestProcessThatIgnoresInterruptsIsKilled(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "trap '' INT\n(while :; do sleep 0.1; done) &\necho $! > pid\nwait\nwait\n")
	cfg.Grace = 500 * time.Millisecond
	run := start(t, New(cfg, clock.System{}), dir, "run")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := run.Wait(ctx)
	wantProblem(t, err, ErrTimeout, "did not end in time")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrCancelled) {
		t.Errorf("%v does not wrap the deadline", err)
	}
	if run.alive() {
		t.Error("the process is still there")
	}
	data, err := os.ReadFile(filepath.Join(cfg.ProjectDir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return proc.Identify(child).Started == 0 })
}

func TestAdoptedProcessIsCancelled(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "trap 'echo interrupted; exit 2' INT\nwhile :; do sleep 0.1; done\n")
	c := New(cfg, clock.System{})
	first := start(t, c, dir, "run")
	run, err := c.Attach(t.Context(), dir, first.ID())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := run.Wait(ctx); !errors.Is(err, ErrCancelled) {
		t.Errorf("got %v", err)
	}
	if !logged(dir, "interrupted") {
		t.Error("the process was not interrupted")
	}
}

func TestAttachWithoutAResult(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "echo begun; while :; do sleep 0.1; done\n")
	c := New(cfg, clock.System{})
	if _, err := c.Attach(t.Context(), dir, ""); !errors.Is(err, ErrNeverStarted) {
		t.Errorf("nothing started: %v", err)
	}
	if _, err := c.Attach(t.Context(), dir, "1-2-3"); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("started elsewhere: %v", err)
	}
	run := start(t, c, dir, "run")
	adopted, err := c.Attach(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := killGroup(run.record.Process.PID); err != nil {
		t.Fatal(err)
	}
	_, err = run.Wait(t.Context())
	wantProblem(t, err, ErrUnhandled, "signal: killed")
	_, err = adopted.Wait(t.Context())
	wantProblem(t, err, ErrOutcomeUnknown, dir)
	write(t, filepath.Join(dir, "target", "run_results.json"), `{"results": [{"unique_id": "model.shop.a", "sta`)
	_, err = c.Attach(t.Context(), dir, run.ID())
	wantProblem(t, err, ErrOutcomeUnknown, dir)
	write(t, filepath.Join(dir, "target", "run_results.json"),
		`{"results": [{"unique_id": "model.shop.a.v2", "status": "reused", "later": 1}], "elapsed_time": 2.5}`)
	adopted, err = c.Attach(t.Context(), dir, run.ID())
	if err != nil {
		t.Fatal(err)
	}
	if result, err := adopted.Wait(t.Context()); err != nil || result.Nodes[0].Name != "a.v2" || result.Seconds != 2.5 {
		t.Errorf("complete results: %+v, %v", result, err)
	}
}

// TestIntentWithoutProcess covers a provider that died between its intent and its record of the process.
func TestIntentWithoutProcess(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	c := New(cfg, clock.System{})
	dir := filepath.Join(cfg.WorkDir, "run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := Run{cli: c, dir: dir}
	if err := r.recordIntent(); err != nil {
		t.Fatal(err)
	}
	_, err := c.Attach(t.Context(), dir, "")
	wantProblem(t, err, ErrOutcomeUnknown, dir)
}

func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "true\n")
	cfg.Executable = filepath.Join(filepath.Dir(dir), "garbage")
	write(t, cfg.Executable, "\x7fELF, but not really")
	if err := os.Chmod(cfg.Executable, 0o755); err != nil {
		t.Fatal(err)
	}
	c := New(cfg, clock.System{})
	_, err := c.Start(t.Context(), []string{cfg.Executable, "run"}, dir)
	wantProblem(t, err, ErrExecutable)
	if _, err := c.Attach(t.Context(), dir, ""); !errors.Is(err, ErrNeverStarted) {
		t.Errorf("got %v", err)
	}
}

func TestInterruptBySomeoneElse(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, `echo '{"info": {"name": "EndOfRunSummary"}, "data": {"keyboard_interrupt": true}}'`+"\nexit 2\n")
	_, err := start(t, New(cfg, clock.System{}), dir, "run").Wait(t.Context())
	wantProblem(t, err, ErrInterrupted)
}

func TestSilentFailureShowsStderr(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "echo 'No such option --bogus' >&2\nexit 2\n")
	_, err := start(t, New(cfg, clock.System{}), dir, "run").Wait(t.Context())
	wantProblem(t, err, ErrUnhandled, "No such option --bogus")
}
