package dbt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// left runs a stand-in for dbt after a review of the model shop.a. It exits with status 0 and leaves results, like a
// script around dbt that hides the exit status.
func left(t *testing.T, results string) (Result, error) {
	t.Helper()
	cfg, dir := standIn(t, "mkdir -p \"$DBT_TARGET_PATH\"\n"+
		"cat > \"$DBT_TARGET_PATH/run_results.json\" <<'END'\n"+results+"\nEND\nexit 0\n")
	c := New(cfg, clock.System{})
	p, err := c.project()
	if err != nil {
		t.Fatal(err)
	}
	content, _, err := c.fileContent(t.Context(), p, []Model{{UniqueID: "model.shop.a"}})
	if err != nil {
		t.Fatal(err)
	}
	reviewed := Reviewed{Selection: Selection{Models: []string{"a"}}, Content: content}
	run, err := c.StartReviewed(t.Context(), reviewed, dir)
	if err != nil {
		t.Fatal(err)
	}
	return run.Wait(t.Context())
}

func TestResultsDecideAndNotTheExitStatus(t *testing.T) {
	t.Parallel()
	const ok = `{"unique_id": "model.shop.a", "status": "success"}`
	for name, test := range map[string]struct {
		results  string
		sentinel error
		texts    []string
	}{
		"success": {results: `{"results": [` + ok + `], "args": {"which": "run", "later": 1}}`},
		"a failed model": {`{"results": [{"unique_id": "model.shop.a", "status": "error", "message": "Database Error\n  no\n\n  > in macro x\n  > called by y"}]}`,
			ErrModelsFailed, []string{"a (error): Database Error no"}},
		"one of several batches": {`{"results": [{"unique_id": "model.shop.a", "status": "partial success", "message": "PARTIAL SUCCESS (1/4)"}]}`,
			ErrModelsFailed, []string{"PARTIAL SUCCESS (1/4)", "batches"}},
		"a failed hook": {`{"results": [` + ok + `, {"unique_id": "operation.shop.shop-on-run-end-0", "status": "error", "message": "no"}]}`,
			ErrModelsFailed, []string{"1 dbt hook failed", "built again by the next apply: a.", "dbt_project.yml"}},
		"a hook before all models": {`{"results": [{"unique_id": "model.shop.a", "status": "skipped"}, {"unique_id": "operation.shop.shop-on-run-start-0", "status": "error", "message": "no"}]}`,
			ErrModelsFailed, []string{"1 dbt hook failed", "No model was built."}},
		"another model": {`{"results": [` + ok + `, {"unique_id": "model.shop.b", "status": "success"}]}`, ErrNotReviewed,
			[]string{"also ran model.shop.b"}},
		"a model left out": {`{"results": []}`, ErrNotReviewed, []string{"did not run model.shop.a"}},
		"a full refresh":   {`{"results": [` + ok + `], "args": {"full_refresh": true}}`, ErrNotReviewed, []string{"full_refresh true"}},
		"another command":  {`{"results": [` + ok + `], "args": {"which": "build"}}`, ErrNotReviewed, []string{"build instead of run"}},
		"no results":       {`not JSON`, ErrUnhandled, []string{"DBT_TARGET_PATH", "environment"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := left(t, test.results)
			if test.sentinel == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantProblem(t, err, test.sentinel, test.texts...)
		})
	}
}

func TestBeginningOfAMessageIsShown(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"Runtime Error in model a (models/a.sql)\n  Conversion Error: Could not convert string 'x' to INT32\n\n  " +
			"LINE 4:     select cast('x' as int)\n                 ^\n  compiled code at target/run/a.sql": "Conversion Error: " +
			"Could not convert string 'x' to INT32",
		"Compilation Error in model a (models/a.sql)\n  no\n\n  > in macro x (macros/x.sql)\n  > called by a": "no",
		"Database Error in model a (models/a.sql)":                                                            "Database Error in model a (models/a.sql)",
		"one\ntwo\nthree\nfour\nfive":                                                                         "one two three",
	} {
		if got := gist(message); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
	long := strings.Repeat("a long message ", 200)
	if got := gist(long); len(got) > 300 || !strings.HasSuffix(got, " ...") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	trace := "Compilation Error\n  " + long + "\n" + strings.Repeat("  a line\n", 500)
	if p := explainText(trace, false); len(p.Why) > 1100 {
		t.Errorf("%d bytes of dbt's message in the error", len(p.Why))
	}
	failed := make([]NodeResult, 40)
	for i := range failed {
		failed[i] = NodeResult{Name: "model_with_a_name", Status: "error", Message: gist(long)}
	}
	if got := reasons(failed); len(got) > 1500 || !strings.Contains(got, "and 30 more") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestModelsOfOneNameAndHooksAreDistinguished(t *testing.T) {
	t.Parallel()
	c := New(Config{}, clock.System{})
	var r runResults
	for _, id := range []string{"model.shop.orders", "model.util.orders", "model.shop.items.v2",
		"operation.shop.shop-on-run-end-0"} {
		r.Results = append(r.Results, runResult{UniqueID: id})
	}
	models, hooks := split(c.nodes(r, nil))
	var names []string
	for _, m := range models {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); got != "shop.orders util.orders items.v2" || len(hooks) != 1 {
		t.Errorf("models %s, hooks %v", got, hooks)
	}
}

func TestWrapperThatChangesFilesIsRefused(t *testing.T) {
	t.Parallel()
	cfg, dir := standIn(t, "exit 0\n")
	c := New(cfg, clock.System{})
	p, err := c.project()
	if err != nil {
		t.Fatal(err)
	}
	content, _, err := c.fileContent(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(cfg.ProjectDir, "models", "inbox_emails.sql"), "subject", "'none' as subject")
	_, err = c.StartReviewed(t.Context(), Reviewed{Selection: example, Content: content}, dir)
	wantProblem(t, err, ErrNotReviewed, "models/inbox_emails.sql")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was started")
	}
}

func TestAdviceFitsTheFailure(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]struct {
		sentinel error
		next     string
	}{
		"Compilation Error in model a (models/a.sql)\n  The source and target schemas on this incremental model are out of sync!": {ErrSchemaChange, "full_refresh"},
		"Runtime Error in model a (models/a.sql)\n  Catalog Error: Table with name raw does not exist!":                           {ErrRelationMissing, "dbt seed"},
		"Database Error in model a (models/a.sql)\n  relation \"public.raw\" does not exist":                                      {ErrRelationMissing, "dbt seed"},
	} {
		r, ok := diagnose(said)
		if !ok || !errors.Is(r.sentinel, want.sentinel) || !strings.Contains(r.next, want.next) {
			t.Errorf("%q: %v, %q", said, r.sentinel, r.next)
		}
	}
}

// microbatchProject adds a microbatch model of three batches to the project. The second one fails.
func microbatchProject(t *testing.T, cfg Config) {
	t.Helper()
	write(t, filepath.Join(cfg.ProjectDir, "models", "events.sql"),
		"{{ config(materialized='table', event_time='happened') }}\n"+
			"select cast('2025-10-01' as timestamp) + interval (range) day as happened, range as id from range(3)\n")
	write(t, filepath.Join(cfg.ProjectDir, "models", "batches.sql"), "{{ config(materialized='incremental', "+
		"incremental_strategy='microbatch', event_time='happened', begin='2025-10-01', batch_size='day') }}\n"+
		"select happened, case when id = 1 then cast('batch ' || id as integer) else id end as id from {{ ref('events') }}\n")
}

// TestFailedBatchNamesItsCause runs a microbatch model of which one of three batches fails.
func TestFailedBatchNamesItsCause(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	microbatchProject(t, cfg)
	c := cli(t, cfg)
	if v, _ := c.installedVersion(); v.before(microbatchVersion) {
		return // TestMicrobatchModelsOfEachVersion sees that it is refused
	}
	// dbt before 1.11.3 needs a thread for the model and one for its batches.
	run, err := c.Start(t.Context(), c.RunCommand(Selection{Models: []string{"events", "batches"}, Threads: 2,
		EventTimeStart: "2025-10-01", EventTimeEnd: "2025-10-04"}), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Wait(t.Context())
	wantProblem(t, err, ErrModelsFailed, "batches (partial success): PARTIAL SUCCESS (2/3): ",
		"Could not convert string 'batch 1'")
}

func TestScriptThatDropsTheEnvironmentIsNamed(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	wrapper := filepath.Join(cfg.WorkDir, "..", "wrapper")
	script(t, wrapper, "exec env -i PATH=\"$PATH\" HOME=\"$HOME\" SHOP_DUCKDB=:memory: "+cfg.Executable+" \"$@\"\n")
	cfg.Executable = wrapper
	_, err := cli(t, cfg).List(t.Context(), example)
	wantProblem(t, err, ErrUnhandled, "drops the environment", "DBT_TARGET_PATH", "sudo -E")
}
