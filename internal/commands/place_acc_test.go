package commands_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// TestAccCommandsReadTheRunnersJournal keeps the journal where the runner's policy says. Without flags, commands use
// the journal that the provider uses.
func TestAccCommandsReadTheRunnersJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	platform := filepath.Join(t.TempDir(), "platform.db")
	policy := r.Policy(`{"journal": {"path": "` + platform + `"}}`)
	r.root, r.env = true, append(r.env, "REMEDIATION_POLICY="+policy, "REMEDIATION_JOURNAL_PATH=mine.db")
	r.Write("main.tf", head(approvers)+split("canary", "25", "approved_by = \"lead@example.com\"\n  gradual = false"))
	r.Must("apply", "-auto-approve", "-no-color")
	if all := r.history(); len(all) != 1 || all[0].Status != "success" {
		t.Errorf("history: %+v", all)
	}
	if out := r.ok("journal", "verify"); !strings.Contains(out, "is intact") {
		t.Errorf("verify says: %s", out)
	}
	r.Write("main.tf", head(approvers)+split("canary", "30", "gradual = false"))
	r.save()
	_, problems, code := r.run("y\n", "approve", "plan.json", "--as", "lead@example.com", "--name-only")
	if code != commands.ExitOK || strings.Contains(problems, "There is no journal") {
		t.Errorf("approve: exit code %d\n%s", code, problems)
	}
	// A flag names another journal, such as a copy.
	if _, problems, code := r.run("", "journal", "verify", "--journal", "copy.db"); code != commands.ExitError ||
		!strings.Contains(problems, "There is no journal copy.db") {
		t.Errorf("a flag: exit code %d\n%s", code, problems)
	}
	r.env = append(r.env, "REMEDIATION_POLICY="+filepath.Join(t.TempDir(), "missing.json"))
	if _, problems, code := r.run("", "journal", "history"); code != commands.ExitError ||
		!strings.Contains(flat(problems), "The runner's policy can't be used") {
		t.Errorf("a policy that is missing: exit code %d\n%s", code, problems)
	}
}

// TestAccCommandsLeaveAnEmptyFileEmpty reads an empty file, which SQLite takes for a new database.
func TestAccCommandsLeaveAnEmptyFileEmpty(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("empty.db", "")
	if _, problems, code := r.run("", "journal", "history", "--journal", "empty.db"); code != commands.ExitError ||
		!strings.Contains(flat(problems), "There is no journal empty.db") {
		t.Errorf("exit code %d\n%s", code, problems)
	}
	if text := r.file("empty.db"); text != "" {
		t.Errorf("%d bytes were written", len(text))
	}
}
