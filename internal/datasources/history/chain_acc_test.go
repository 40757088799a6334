package history_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // opens the journal as an attacker would

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const config = `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

resource "remediation_dbt_run" "emails" {
  models      = ["inbox_emails"]
  approved_by = "boss@example.com"
}

data "remediation_action_history" "all" {
  depends_on = [remediation_dbt_run.emails]
}

output "holds" { value = data.remediation_action_history.all.chain_holds }
output "break" { value = data.remediation_action_history.all.chain_break == null ? "" : data.remediation_action_history.all.chain_break }
`

func TestAccHistoryReportsWhetherTheChainIsIntact(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t, acctest.NewProject(t).Environment()...)
	w.Write("main.tf", config)
	w.Must("apply", "-auto-approve", "-no-color")
	if out := w.Must("output", "-no-color", "holds"); strings.TrimSpace(out) != "true" {
		t.Fatalf("untouched: %s", out)
	}
	db, err := sql.Open("sqlite", filepath.Join(w.Dir, ".remediation", "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"DROP TRIGGER entries_are_never_changed",
		"UPDATE entries SET body = replace(body, 'boss@', 'eve@') WHERE kind = 'intent'"} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.Must("apply", "-auto-approve", "-no-color")
	if out := w.Must("output", "-no-color"); !strings.Contains(out, "holds = false") ||
		!strings.Contains(out, "is not as it was written") {
		t.Errorf("edited: %s", out)
	}
}
