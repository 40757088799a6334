package chaos_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// wrapper runs in place of dbt. It records every start for an execution, kills the process that started it if the file
// says so, and then becomes dbt.
const wrapper = `#!/bin/sh
case "$DBT_TARGET_PATH" in
*/executions/*)
  echo "$1 $DBT_TARGET_PATH" >>%[1]q
  if mv %[2]q %[2]q.used 2>/dev/null; then
    provider=$PPID
    if [ "$(cat %[2]q.used)" = both ]; then
      kill -9 "$(cut -d ' ' -f 4 "/proc/$provider/stat")"
    fi
    kill -9 "$provider"
  fi
  ;;
esac
exec %[3]q "$@"
`

// workshop is a dbt project whose dbt is recorded.
type workshop struct {
	project *acctest.Project
	starts  string // one line per start
	deadly  string // the victim of the next start
	dir     string // contains the wrapper
}

func newWorkshop(t *testing.T) workshop {
	t.Helper()
	dir := t.TempDir()
	w := workshop{acctest.NewProject(t), filepath.Join(dir, "starts"), filepath.Join(dir, "deadly"),
		filepath.Join(dir, "bin")}
	if err := os.Mkdir(w.dir, dirMode); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(wrapper, w.starts, w.deadly, acctest.DBT(t))
	if err := os.WriteFile(filepath.Join(w.dir, "dbt"), []byte(text), dirMode); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return w
}

func (w workshop) env() []string {
	return []string{
		"PATH=" + w.dir + string(os.PathListSeparator) + os.Getenv("PATH"), "DBT_PROJECT_DIR=" + w.project.Dir,
		"DBT_PROFILES_DIR=" + w.project.Dir,
	}
}

// received reads the starts. The path of the artifacts contains the execution.
func (w workshop) received() (arrived, made map[effect]int, err error) {
	f, err := os.Open(w.starts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // read only
	made = map[effect]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		verb, path, _ := strings.Cut(lines.Text(), " ")
		_, after, _ := strings.Cut(path, "/executions/")
		id, err := strconv.ParseInt(strings.SplitN(after, "/", 2)[0], 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		made[effect{id, "dbt " + verb}]++
	}
	return made, made, lines.Err()
}

// world completes a world that changes things through dbt.
func (w workshop) world(t *testing.T, more world) *world {
	t.Helper()
	more.env, more.always, more.ledger = w.env(), true, &ledger{}
	more.ledger.other = func() (arrived, made map[effect]int) {
		arrived, made, err := w.received()
		if err != nil {
			t.Error(err)
		}
		return arrived, made
	}
	more.arm = func(victim string) {
		if err := os.WriteFile(w.deadly, []byte(victim), fileMode); err != nil {
			t.Error(err)
		}
	}
	more.disarm = func() bool {
		_ = os.Remove(w.deadly)
		return os.Remove(w.deadly+".used") == nil
	}
	return &more
}

// query queries the warehouse when no other process has it open.
func (w workshop) query(t *testing.T, sql string) string {
	t.Helper()
	python := filepath.Join(filepath.Dir(acctest.DBT(t)), "python")
	const program = "import duckdb,sys; print(duckdb.connect(sys.argv[1], " +
		"read_only=True).execute(sys.argv[2]).fetchone()[0])"
	out, err := exec.CommandContext(t.Context(), python, "-c", program, w.project.Warehouse, sql).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

func dbtRun(t *testing.T) *world {
	t.Helper()
	w := newWorkshop(t)
	return w.world(t, world{
		name: "rerun_dbt", playbook: "rerun_dbt", resource: "remediation_dbt_run", takes: 4 * time.Second,
		begin: func(_ *testing.T, n int) string {
			w.project.Write("models/triage_results.sql", fmt.Sprintf(
				"{{ config(materialized='table') }}\nselect id, %d as queue from {{ ref('inbox_emails') }}\n", n))
			return "models = [\"inbox_emails\", \"triage_results\"]"
		},
		amiss: func(t *testing.T, n int) string {
			t.Helper()
			if got := w.query(t, "select count(*) || ' of ' || max(queue) from "+
				"triage_results"); got != fmt.Sprintf("100 of %d", n) {
				return "the table holds " + got
			}
			return ""
		},
	})
}

func dbtDeps(t *testing.T) *world {
	t.Helper()
	w := newWorkshop(t)
	shared := t.TempDir()
	pack := func(n int) {
		text := fmt.Sprintf("name: triage_utils\nversion: '0.%d.0'\n", n)
		if err := os.WriteFile(filepath.Join(shared, "dbt_project.yml"), []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	w.project.Write("packages.yml", fmt.Sprintf("packages:\n  - local: %q\n", shared))
	return w.world(t, world{
		name: "refresh_dbt_dependencies", playbook: "refresh_dbt_dependencies", resource: "remediation_dbt_deps",
		takes: 6 * time.Second, steps: 1,
		begin: func(_ *testing.T, n int) string {
			pack(n)
			return ""
		},
		amiss: func(t *testing.T, n int) string {
			t.Helper()
			text, err := os.ReadFile(filepath.Join(w.project.Dir, "dbt_packages", "triage_utils", "dbt_project.yml"))
			if err != nil || !strings.Contains(string(text), fmt.Sprintf("'0.%d.0'", n)) {
				return fmt.Sprintf("the package is %q, %v", text, err)
			}
			return ""
		},
	})
}
