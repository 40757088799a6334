package dbtrun_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parses runs Terraform and counts how often the provider let dbt parse the project.
func (r rig) parses(t *testing.T, args ...string) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "provider.log")
	cmd := r.Command(t.Context(), args...)
	cmd.Env = append(cmd.Env, "TF_LOG_PROVIDER=DEBUG", "TF_LOG_PATH="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("terraform %q: %v\n%s", args, err, out)
	}
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), "project parsed")
}

// TestAccCacheCountsOnlyWithItsJournal plans with the cache of an earlier plan. An answer in the cache is used only if
// its SHA-256 is in the journal.
func TestAccCacheCountsOnlyWithItsJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", ""))
	work := filepath.Join(r.Dir, ".remediation")
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"first plan", func() {}, 1},
		{"second plan", func() {}, 0},
		{"edited cache", func() { r.edit(t, filepath.Join(work, "dbt", "list", "*.json")) }, 1},
		{"plan after an edited cache", func() {}, 0},
		{"edit of another model", func() { r.project.Write("models/unrelated.sql", "select 1 as id\n") }, 1},
		{"plan after the edit", func() {}, 0},
		{"another journal", func() {
			if err := os.Rename(filepath.Join(work, "journal.db"), filepath.Join(work, "old.db")); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"plan with the same journal", func() {}, 0},
	} {
		step.do()
		if got := r.parses(t, "plan", "-no-color", "-out=saved.tfplan"); got != step.want {
			t.Errorf("%s: the project was parsed %d times, want %d", step.name, got, step.want)
		}
	}
	if n := r.parses(t, "apply", "-no-color", "saved.tfplan"); n != 0 {
		t.Errorf("apply parsed the project %d times", n)
	}
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
}

// edit makes cache entries name another model.
func (r rig) edit(t *testing.T, pattern string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cache entry %s: %v", pattern, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.ReplaceAll(string(text), "triage_results", "triage_deleted")
		if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
