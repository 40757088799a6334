package dbtrun_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/postgrestest"
)

// newPostgresRig is newRig on PostgreSQL. The profile is the runner's, so plans may connect with it.
func newPostgresRig(t *testing.T) (rig, *postgrestest.Server) {
	t.Helper()
	server, p, profiles := postgrestest.Start(t), acctest.NewProject(t), t.TempDir()
	p.Write("models/inbox_emails.sql", "{{ config(materialized='incremental', unique_key='id') }}\n"+
		"select id, 'sender' || (id % 7) as sender from generate_series(1, 100) id\n")
	p.Write("models/triage_daily.sql", "{{ config(schema='marts') }}\nselect queue, count(*) as emails "+
		"from {{ ref('triage_results') }} group by queue\n")
	profile := filepath.Join(profiles, "profiles.yml")
	if err := os.WriteFile(profile, []byte(server.Profile("inbox", "main")), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(p.Environment(), "DBT_PROFILES_DIR="+profiles)
	return rig{acctest.NewWorkspace(t, env...), p}, server
}

// sessionsOfDBT is what the server works on for dbt.
const sessionsOfDBT = "select pid, wait_event_type, query from pg_stat_activity where application_name = 'dbt'"

// until waits until the server answers a query with something, or with nothing.
func until(t *testing.T, server *postgrestest.Server, query string, something bool) {
	t.Helper()
	const patience, pause = 600, 100 * time.Millisecond
	for range patience {
		if (server.Query(query) != "") == something {
			return
		}
		time.Sleep(pause)
	}
	t.Fatalf("%s: got %q", query, server.Query(query))
}

// TestAccPostgreSQL covers schemas, views that are dropped, a model that waits for a lock, and a cancellation that ends
// the statement on the server.
func TestAccPostgreSQL(t *testing.T) {
	t.Parallel()
	r, server := newPostgresRig(t)
	three := strings.Replace(config("", ""), `"triage_results"]`, `"triage_results", "triage_daily"]`, 1)
	r.Write("main.tf", three)
	out := r.Must("apply", "-auto-approve", "-no-color")
	for _, want := range []string{"postgres.main.inbox_emails: create the table",
		"postgres.main_marts.triage_daily: create the view"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	server.Query("create schema board; create view board.queues as select distinct queue from main.triage_results")
	again := strings.Replace(three, "incident_id", "triggers = { run = \"2\" }\n  incident_id", 1)
	r.Write("main.tf", again)
	out = r.Must("plan", "-no-color")
	for _, want := range []string{"main.inbox_emails: delete and insert rows by its unique key",
		"main.triage_results: replace the table; drops the views on it: board.queues (NOT built again), " +
			"main_marts.triage_daily (built again by this run)", "board.queues will be dropped"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}

	lock := lockTable(t, server)
	out = flat(r.Must("plan", "-no-color"))
	for _, want := range []string{"Other sessions hold locks", "main.triage_results by session",
		"of dbt (nightly load)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	cmd := r.Command(t.Context(), "apply", "-auto-approve", "-no-color")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, server, sessionsOfDBT+" and wait_event_type = 'Lock'", true)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Fatal("the interrupted apply succeeded")
	}
	until(t, server, sessionsOfDBT, false)
	if out := flat(said.String()); !strings.Contains(out, "was canceled") ||
		!strings.Contains(out, "The apply was interrupted; 1 model done by then, unfinished: triage_results") {
		t.Errorf("the message:\n%s", said)
	}
	lock()
	if got := server.Query("select count(*) from board.queues"); got != "3" {
		t.Errorf("the table and its view changed, though the run was stopped: %s queues", got)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if got := server.Query("select to_regclass('board.queues') is null"); got != "t" {
		t.Error("the view that the plan announced as dropped still exists")
	}
}

// lockTable locks a table in another session until the function is called.
func lockTable(t *testing.T, server *postgrestest.Server) (release func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "psql", "-h", server.Host, "-p", server.Port, "-U", server.User, "-d",
		server.Database, "-X", "-q", "-v", "ON_ERROR_STOP=1")
	cmd.Env = append(os.Environ(), "PGAPPNAME=nightly load")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("begin; lock table main.triage_results;\n")); err != nil {
		t.Fatal(err)
	}
	until(t, server, "select 1 from pg_locks where relation = 'main.triage_results'::regclass and granted and "+
		"mode = 'AccessExclusiveLock'", true)
	return func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
