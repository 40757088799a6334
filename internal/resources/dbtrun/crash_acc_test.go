package dbtrun_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// slowModel is a query that keeps DuckDB busy for some seconds.
const slowModel = "{{ config(materialized='table') }}\n" +
	"select count(*) as n, sum(hash(a.range + b.range)) as h from range(60000) a, range(20000) b\n"

// begin starts an apply in the background, in a separate process group, and returns when dbt runs the slow model.
func (r rig) begin(t *testing.T) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := r.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const patience, pause = 300, 100 * time.Millisecond
	for range patience {
		running, err := filepath.Glob(filepath.Join(r.Dir,
			".remediation/executions/*/target/run/*/*/triage_results.sql"))
		if err == nil && len(running) > 0 {
			return cmd, out
		}
		time.Sleep(pause)
	}
	t.Fatal("dbt did not begin")
	return nil, nil
}

// started counts the dbt processes that were ever started for executions.
func (r rig) started(t *testing.T) int {
	t.Helper()
	records, err := filepath.Glob(filepath.Join(r.Dir, ".remediation", "executions", "*", "process.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// TestAccKilledApplyIsAdopted kills Terraform and the provider while dbt runs. The next apply waits for that dbt.
func TestAccKilledApplyIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/triage_results.sql", slowModel)
	r.Write("main.tf", config("", ""))
	cmd, _ := r.begin(t)
	// Terraform and the provider exit; dbt has a separate process group.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Fatal("the apply was not killed")
	}
	if out := r.Must("plan", "-no-color"); !strings.Contains(flat(out), "is still open") {
		t.Errorf("the plan does not tell of the open execution:\n%s", out)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if n := r.started(t); n != 1 {
		t.Errorf("dbt was started %d times", n)
	}
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)
}

// TestAccTwoNamesOfOneWarehouse starts a run on the default target of the profile, and then one on the same target by
// name. The second waits, and its plan says for whom.
func TestAccTwoNamesOfOneWarehouse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/triage_results.sql", strings.Replace(slowModel, "(20000)", "(60000)", 1))
	r.Write("main.tf", config("", ""))
	named := rig{acctest.NewWorkspace(t, r.project.Environment()...), r.project}
	named.Write("main.tf", config(fmt.Sprintf("dbt { target = \"dev\" }\n  journal { path = %q }",
		filepath.Join(r.Dir, ".remediation", "journal.db")), ""))
	named.Must("plan", "-no-color") // parses the project, so that the next plan ends before the run does
	cmd, out := r.begin(t)
	plan := flat(named.Must("plan", "-no-color"))
	for _, want := range []string{"dbt:inbox/default is held by execution 3 (rerun_dbt)", "Apply waits for it"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan lacks %q:\n%s", want, plan)
		}
	}
	named.Must("apply", "-auto-approve", "-no-color")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first, second := r.Attributes(address), named.Attributes(address)
	identity := func(of map[string]any) any { p, _ := of["preview"].(map[string]any); return p["identity"] }
	if identity(first) == nil || identity(first) != identity(second) {
		t.Errorf("identities %v and %v", identity(first), identity(second))
	}
	ended, _ := first["result"].(map[string]any)
	began, _ := second["result"].(map[string]any)
	if fmt.Sprint(began["started_at"]) < fmt.Sprint(ended["finished_at"]) {
		t.Errorf("the second run began at %v, before the first ended at %v", began["started_at"], ended["finished_at"])
	}
}

// TestAccInterruptStopsDBT interrupts Terraform as Ctrl-C does.
func TestAccInterruptStopsDBT(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/triage_results.sql", slowModel)
	r.Write("main.tf", config("", ""))
	cmd, out := r.begin(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Fatal("the interrupted apply succeeded")
	}
	if status, history := r.status(t); status != "cancelled" || len(history) != 1 {
		t.Errorf("status %q, %d executions\n%s", status, len(history), out.String())
	}
	if !strings.Contains(flat(out.String()), "was canceled") {
		t.Errorf("the message:\n%s", out.String())
	}
	r.project.Repair()
	r.Must("apply", "-auto-approve", "-no-color")
	if status, history := r.status(t); status != "success" || len(history) != 2 {
		t.Errorf("after the interrupt: status %q, %d executions", status, len(history))
	}
}

// TestAccInterruptedTwice makes Terraform, and with it the provider, exit while it stops dbt. The next apply records
// the outcome of the open execution, and nothing runs twice for one execution.
func TestAccInterruptedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.project.Write("models/triage_results.sql", slowModel)
	r.Write("main.tf", config("", ""))
	cmd, out := r.begin(t)
	const between = 50 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	for running := true; running; { // a busy machine can merge two signals into one
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		select {
		case err = <-ended:
			running = false
		case <-time.After(between):
		}
	}
	if err == nil {
		t.Fatal("the interrupted apply succeeded")
	}
	if !strings.Contains(out.String(), "Two interrupts received") {
		t.Fatalf("Terraform did not leave at once:\n%s", out.String())
	}
	r.project.Repair()
	// The first apply may have to record the outcome of the open execution.
	for range 2 {
		if _, code := r.Run("apply", "-auto-approve", "-no-color", "-lock=false"); code == 0 {
			break
		}
	}
	status, history := r.status(t)
	if status != "success" || len(history) > 2 || r.started(t) != len(history) {
		t.Errorf("status %q, %d executions, dbt was started %d times", status, len(history), r.started(t))
	}
	r.empty(t)
}
