package dbt

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// slowSQL keeps DuckDB busy for minutes on any machine.
const slowSQL = "select max(hash(a.i, b.i)) as h from range(1000000) a(i), range(1000000) b(i)"

// briefSQL keeps DuckDB busy for a second or more.
const briefSQL = "{{ config(materialized='table') }} select max(hash(a.i, b.i)) as h from range(20000) a(i), " +
	"range(20000) b(i)"

func TestRunReportsTheResultOfEachModel(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	c := cli(t, cfg)
	l, err := c.List(t.Context(), example)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	reviewed := Reviewed{Selection: example, Content: l.Content, Identity: must(json.Marshal(l.Identity)),
		Programs: l.Programs, Execution: "4f9c2a17-12"}
	run, err := c.StartReviewed(t.Context(), reviewed, dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Nodes: []NodeResult{
			{UniqueID: "model.shop.inbox_emails", Name: "inbox_emails", Status: "success", Message: "OK"},
			{UniqueID: "model.shop.triage_results", Name: "triage_results", Status: "success", Message: "OK"},
		},
		LogPath: filepath.Join(dir, "dbt.log"), EventsPath: filepath.Join(dir, "dbt.jsonl"),
		TargetPath: filepath.Join(dir, "target"),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(NodeResult{}, "Seconds", "Rows", "Full"),
		cmpopts.IgnoreFields(Result{}, "Seconds")); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if got.Seconds <= 0 || got.Nodes[0].Seconds <= 0 {
		t.Errorf("no times: %+v", got)
	}
	log, err := os.ReadFile(got.LogPath)
	if err != nil || !strings.Contains(string(log), "OK created sql table model main.inbox_emails") ||
		strings.Contains(string(log), "{") {
		t.Errorf("log: %v %s", err, log)
	}
	if strings.Contains(string(log), "Starting full parse") {
		t.Error("dbt parsed the project again, though List had just parsed it")
	}
	if extra := unexpected(t, cfg.ProjectDir); len(extra) > 0 {
		t.Errorf("files in the project: %v", extra)
	}

	// Another process's CLI finds the run again long after its end, any number of times.
	for range 2 {
		found, err := New(cfg, clock.System{}).Attach(t.Context(), dir, run.ID())
		if err != nil {
			t.Fatal(err)
		}
		again, err := found.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("adopted result (-first +adopted):\n%s", diff)
		}
	}
	if _, err := c.Attach(t.Context(), dir, "1-2-other"); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("another process's folder: %v", err)
	}
	if _, err := c.Start(t.Context(), c.RunCommand(example), dir); err == nil {
		t.Error("a second start in the same folder was accepted")
	}
}

// unexpected are the files that dbt would leave in the project by default.
func unexpected(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"target", "logs", ".user.yml", "dbt_packages"} {
		if exists(filepath.Join(dir, name)) {
			found = append(found, name)
		}
	}
	return found
}

func TestFailedModelsAreNamedAndSecretsMasked(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	cfg.Environment = map[string]string{"SHOP_TOKEN": `hunter2"quoted`}
	write(t, filepath.Join(cfg.ProjectDir, "models", "broken.sql"),
		`select cast('{{ env_var("SHOP_TOKEN") }}' as int) as n from {{ ref('inbox_emails') }}`)
	write(t, filepath.Join(cfg.ProjectDir, "models", "after.sql"), `select * from {{ ref('broken') }}`)
	write(t, filepath.Join(cfg.ProjectDir, "models", "broken.yml"),
		"models:\n  - name: broken\n    config: {materialized: table}\n")
	c := New(cfg, clock.System{})
	dir := filepath.Join(t.TempDir(), "run")
	run, err := c.Start(t.Context(),
		c.RunCommand(Selection{Models: []string{"inbox_emails+"}, Exclude: []string{"triage_results+"}}), dir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := run.Wait(t.Context())
	p := wantProblem(t, err, ErrModelsFailed, "1 of 3 dbt models failed", "broken (error): ",
		"Could not convert string")
	status := map[string]string{}
	for _, n := range result.Nodes {
		status[n.Name] = n.Status
	}
	if diff := cmp.Diff(map[string]string{"inbox_emails": "success", "broken": "error", "after": "skipped"},
		status); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if !strings.Contains(p.Error(), "(redacted)") {
		t.Errorf("nothing was masked in %v", &p)
	}
	for _, root := range []string{dir, filepath.Dir(cfg.WorkDir)} {
		for path, content := range snapshot(t, root) {
			if strings.Contains(content, "hunter2") && !strings.HasPrefix(path, cfg.ProjectDir) {
				t.Errorf("%s holds the secret", path)
			}
			if strings.HasSuffix(path, ".raw") {
				t.Errorf("%s is still there", path)
			}
		}
	}
}

func TestCancelInterruptsDBT(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	cfg.Grace = 3 * time.Second
	write(t, filepath.Join(cfg.ProjectDir, "models", "slow.sql"), slowSQL+" -- {{ ref('inbox_emails') }}")
	write(t, filepath.Join(cfg.ProjectDir, "models", "slow.yml"),
		"models:\n  - name: slow\n    config: {materialized: table}\n")
	c := New(cfg, clock.System{})
	dir := filepath.Join(t.TempDir(), "run")
	run, err := c.Start(t.Context(), c.RunCommand(Selection{Models: []string{"inbox_emails", "slow"}}), dir)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the user pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer cancel(why)
		waitFor(t, func() bool { return !run.alive() || logged(dir, "START sql table model main.slow") })
	})
	result, err := run.Wait(ctx)
	waiting.Wait()
	wantProblem(t, err, ErrCancelled, why.Error(), "1 model done by then, unfinished: slow.")
	if !errors.Is(err, why) {
		t.Errorf("%v does not wrap the cause", err)
	}
	if len(result.Nodes) == 0 || result.Nodes[0].Status != "success" {
		t.Errorf("the finished model is not in the result: %+v", result)
	}
	if run.alive() {
		t.Error("dbt is still there")
	}
}

// late is the cause of a context that ended at a deadline.
type late struct{}

func (late) Error() string { return "the execution passed its deadline" }
func (late) Timeout() bool { return true }

func TestRunThatIsLateGetsAdvice(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "exec sleep 60\n")
	c := New(cfg, clock.System{})
	run, err := c.Start(t.Context(), c.RunCommand(example), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(late{})
	_, err = run.Wait(ctx)
	wantProblem(t, err, ErrTimeout, "passed its deadline", "Run fewer models, or use more threads")
}

func logged(dir, text string) bool {
	data, err := os.ReadFile(filepath.Join(dir, logFile))
	return err == nil && strings.Contains(string(data), text)
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for range 600 {
		if done() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("it did not happen within a minute")
}

// TestDBTOutlivesTheProvider starts dbt from a process that is killed with its group, and then adopts dbt.
func TestDBTOutlivesTheProvider(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	root := filepath.Dir(cfg.ProjectDir)
	write(t, filepath.Join(cfg.ProjectDir, "models", "inbox_emails.sql"), briefSQL)
	secret := filepath.Join(root, "shop.duckdb")
	cfg.Environment = map[string]string{"SHOP_DUCKDB": secret}
	helper := exec.CommandContext(t.Context(), os.Args[0])
	helper.Env = append(os.Environ(), helperVariable+"="+root, "REMEDIATION_TEST_DBT="+cfg.Executable)
	said, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := startGroup(helper); err != nil {
		t.Fatal(err)
	}
	id, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, id)
	}
	if err := killGroup(helper.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := helper.Wait(); err == nil {
		t.Fatal("the provider was not killed")
	}
	c := New(cfg, clock.System{})
	run, err := c.Attach(t.Context(), filepath.Join(root, "run"), strings.TrimSpace(id))
	if err != nil {
		t.Fatal(err)
	}
	if !run.alive() {
		t.Fatal("dbt died with the process that started it")
	}
	result, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Nodes) != 1 || result.Nodes[0].Status != "success" {
		t.Errorf("result: %+v", result)
	}
	for path, content := range snapshot(t, filepath.Join(root, "run")) {
		if strings.Contains(content, secret) || strings.HasSuffix(path, ".raw") {
			t.Errorf("%s is not cleaned", path)
		}
	}
}

func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	database := filepath.Join(cfg.ProjectDir, "shop.duckdb")
	python := filepath.Join(filepath.Dir(cfg.Executable), "python")
	holder := exec.CommandContext(t.Context(), python, "-c",
		"import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()", database)
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
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait()
	})
	if _, err := out.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c := New(cfg, clock.System{})
	run, err := c.Start(t.Context(), c.RunCommand(example), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Wait(t.Context())
	wantProblem(t, err, ErrLocked, "Conflicting lock is held")
	if !errors.Is(err, ErrUnhandled) {
		t.Errorf("%v is no ErrUnhandled", err)
	}
}
