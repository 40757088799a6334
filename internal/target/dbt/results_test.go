package dbt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// left runs a stand-in for dbt that exits with status 0 and leaves results, as a script around dbt does that hides the
// exit status, after a review of the model shop.a.
func left(t *testing.T, results string) (Result, error) {
	t.Helper()
	cfg, dir := standIn(t, "mkdir -p \"$DBT_TARGET_PATH\"\ncat > \"$DBT_TARGET_PATH/run_results.json\" <<'END'\n"+results+
		"\nEND\nexit 0\n")
	c := New(cfg, clock.System{})
	p, err := c.project()
	if err != nil {
		t.Fatal(err)
	}
	content, _, err := c.fileContent(t.Context(), p, []string{"model.shop.a"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := c.StartReviewed(t.Context(), Reviewed{Selection: Selection{Models: []string{"a"}}, Content: content}, dir)
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
			ErrModelsFailed, []string{"1 dbt hook failed", "dbt_project.yml"}},
		"another model": {`{"results": [` + ok + `, {"unique_id": "model.shop.b", "status": "success"}]}`, ErrNotReviewed,
			[]string{"also ran model.shop.b"}},
		"a model left out": {`{"results": []}`, ErrNotReviewed, []string{"did not run model.shop.a"}},
		"a full refresh":   {`{"results": [` + ok + `], "args": {"full_refresh": true}}`, ErrNotReviewed, []string{"full_refresh true"}},
		"another command":  {`{"results": [` + ok + `], "args": {"which": "build"}}`, ErrNotReviewed, []string{"build instead of run"}},
		"no results":       {`not JSON`, ErrUnhandled, []string{"DBT_TARGET_PATH"}},
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

func TestModelsOfOneNameAndHooksAreDistinguished(t *testing.T) {
	t.Parallel()
	c := New(Config{}, clock.System{})
	var r runResults
	for _, id := range []string{"model.shop.orders", "model.util.orders", "model.shop.items.v2",
		"operation.shop.shop-on-run-end-0"} {
		r.Results = append(r.Results, struct {
			UniqueID      string  `json:"unique_id"`
			Status        string  `json:"status"`
			Message       *string `json:"message"`
			ExecutionTime float64 `json:"execution_time"`
			Adapter       struct {
				Rows *int64 `json:"rows_affected"`
			} `json:"adapter_response"`
		}{UniqueID: id})
	}
	models, hooks := split(c.nodes(r))
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
		if r, ok := diagnose(said); !ok || !errors.Is(r.sentinel, want.sentinel) || !strings.Contains(r.next, want.next) {
			t.Errorf("%q: %v, %q", said, r.sentinel, r.next)
		}
	}
}
