package commands_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// waitTimeout bounds how long a test waits for another process.
const waitTimeout = time.Minute

// record is an execution as "journal history --json" lists it.
type record struct {
	Origin                      string
	ID, Status, Message, Holder string
	ApprovedBy                  string `json:"approved_by"`
}

func (r rig) history(args ...string) []record {
	r.t.Helper()
	var all []record
	out := r.ok(append([]string{"journal", "history", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return all
}

// share is the share of v2 in the planner file.
func (r rig) share() float64 {
	r.t.Helper()
	var d struct {
		Versions map[string]struct{ Percent float64 }
	}
	if err := json.Unmarshal([]byte(r.file("planner.json")), &d); err != nil {
		r.t.Fatal(err)
	}
	return d.Versions["v2"].Percent
}

// background is a Terraform command that runs while the test goes on.
type background struct {
	out  *strings.Builder
	done chan error
}

func (r rig) start(args ...string) background {
	r.t.Helper()
	b := background{out: &strings.Builder{}, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	cmd := r.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = b.out, b.out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cancel)
	go func() { b.done <- cmd.Wait() }()
	return b
}

// wait returns what the command printed, and whether it succeeded.
func (b background) wait(t *testing.T) (string, bool) {
	t.Helper()
	select {
	case err := <-b.done:
		return b.out.String(), err == nil
	case <-time.After(waitTimeout):
		t.Fatal("the command does not end")
		return "", false
	}
}

// running waits until an execution runs and has changed the target.
func (r rig) running(from float64) record {
	r.t.Helper()
	for end := time.Now().Add(waitTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(r.Dir, ".remediation", "journal.db")); err != nil || r.share() == from {
			continue
		}
		if all := r.history(); len(all) > 0 && all[len(all)-1].Status == "running" {
			return all[len(all)-1]
		}
	}
	r.t.Fatal("nothing runs")
	return record{}
}

// slow is a split that takes minutes, approved.
func slow(duration string) string {
	return split("canary", "25", "approved_by = \"lead@example.com\"\n  gradual_duration = \""+duration+"\"")
}

// TestAccJournalReads verifies, lists, and copies a journal, and notices an edited entry.
func TestAccJournalReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+split("canary", "25", "approved_by = \"lead@example.com\"\n  gradual = false"))
	for _, args := range [][]string{{"verify"}, {"history"}, {"backup", "copy.db"}, {"cancel", "1", "--name=ann"}} {
		_, problems, code := r.run("", append([]string{"journal"}, args...)...)
		if code != commands.ExitError || !strings.Contains(problems, "There is no journal") {
			t.Errorf("%v without a journal: exit code %d\n%s", args, code, problems)
		}
	}
	r.Must("apply", "-auto-approve", "-no-color")
	head := regexp.MustCompile(`Head: (\d+:[0-9a-f]{64})`).FindStringSubmatch(r.ok("journal", "verify"))
	if head == nil {
		t.Fatal("no head")
	}
	all := r.history()
	if len(all) != 1 || all[0].Status != "success" || all[0].ApprovedBy != "lead@example.com" ||
		all[0].ID != fmt.Sprint(r.Attributes("remediation_canary_split.canary")["id"]) {
		t.Errorf("history: %+v", all)
	}
	if text := r.ok("journal", "history", "--target", "other"); strings.Count(text, "\n") != 1 {
		t.Errorf("executions on another target: %s", text)
	}
	if text := r.ok("journal", "history", "--all"); !strings.Contains(text, "dry_run_success") ||
		!strings.Contains(text, "lead@example.com") {
		t.Errorf("history of everything: %s", text)
	}
	r.ok("journal", "backup", "copy.db")
	if info, err := os.Stat(filepath.Join(r.Dir, "copy.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	r.ok("journal", "verify", "--journal", "copy.db", "--head", head[1])
	if _, problems, code := r.run("", "journal", "backup", "copy.db"); code != commands.ExitError ||
		!strings.Contains(problems, "can't be written") {
		t.Errorf("a backup over a file: exit code %d\n%s", code, problems)
	}
	if _, problems, code := r.run("", "journal", "cancel", "99", "--name=ann"); code != commands.ExitError ||
		!strings.Contains(problems, "has no execution 99") {
		t.Errorf("cancel of nothing: exit code %d\n%s", code, problems)
	}
	if _, problems, code := r.run("", "journal", "cancel", all[0].ID, "--name=ann"); code != commands.ExitFinding ||
		!strings.Contains(problems, "has ended: success") {
		t.Errorf("cancel of an ended execution: exit code %d\n%s", code, problems)
	}
	r.edit("copy.db", `UPDATE entries SET body = replace(body, 'lead@', 'boss@')`)
	if out, _, code := r.run("", "journal", "verify", "--journal", "copy.db"); code != commands.ExitFinding ||
		!strings.Contains(out, "The journal is broken: entry") {
		t.Errorf("an edited journal: exit code %d\n%s", code, out)
	}
	if out, _, code := r.run("", "journal", "verify", "--head", "99:aa", "--json"); code != commands.ExitFinding ||
		!strings.Contains(out, "entry 99 no longer exists") {
		t.Errorf("a head that is missing: exit code %d\n%s", code, out)
	}
	if _, problems, code := r.run("", "journal", "adopt", "--journal", "copy.db", "--name=ann", "--because=x"); code !=
		commands.ExitFinding || !strings.Contains(problems, "does not repair it") {
		t.Errorf("adoption of a broken journal: exit code %d\n%s", code, problems)
	}
}

// edit changes a journal as somebody with access to its file can.
func (r rig) edit(name, statement string) {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.Dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range []string{"DROP TRIGGER entries_are_never_changed", statement} {
		if _, err := db.ExecContext(r.t.Context(), s); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// TestAccCancel asks a running apply to stop: the share goes back, and the execution is recorded as canceled.
func TestAccCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+slow("10m"))
	apply := r.start("apply", "-auto-approve", "-no-color")
	rec := r.running(10)
	if !strings.Contains(rec.Holder, "process ") {
		t.Errorf("no holder: %+v", rec)
	}
	out := r.ok("journal", "cancel", rec.ID, "--name", "ann@example.com", "--because", "wrong version")
	if !strings.Contains(out, "to stop") {
		t.Errorf("cancel says: %s", out)
	}
	if _, problems, code := r.run("", "journal", "cancel", rec.ID, "--name=bob"); code != commands.ExitFinding ||
		!strings.Contains(problems, "already") {
		t.Errorf("a second cancel: exit code %d\n%s", code, problems)
	}
	text, ok := apply.wait(t)
	if ok || !strings.Contains(text, "was canceled") ||
		!strings.Contains(text, "ann@example.com asked it to stop: wrong") {
		t.Errorf("the apply says:\n%s", text)
	}
	if share := r.share(); share != 10 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
	if all := r.history(); len(all) != 1 || all[0].Status != "cancelled" ||
		!strings.Contains(all[0].Message, "ann@example.com") {
		t.Errorf("history: %+v", all)
	}
	r.ok("journal", "verify")
}

// TestAccRelease takes an execution from a provider that lives and does nothing. Another apply adopts it, and the
// former
// holder changes nothing more.
func TestAccRelease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	journal := filepath.Join(r.Dir, ".remediation", "journal.db")
	config := strings.ReplaceAll(head(approvers)+slow("20s"), `path = "planner.json"`, fmt.Sprintf("path = %q",
		filepath.Join(r.Dir, "planner.json")))
	r.Write("main.tf", config)
	first := r.start("apply", "-auto-approve", "-no-color")
	rec := r.running(10)
	var pid int
	if _, err := fmt.Sscanf(rec.Holder, "process %d", &pid); err != nil || pid <= 1 {
		t.Fatalf("holder %q: %v", rec.Holder, err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may have ended
	if _, problems, code := r.run("", "journal", "release", rec.ID, "--name=ann"); code != commands.ExitUsage {
		t.Errorf("a release without a reason: exit code %d\n%s", code, problems)
	}
	r.ok("journal", "release", rec.ID, "--name=ann", "--because", "its machine hangs")
	other := acctest.NewWorkspace(t, "REMEDIATION_JOURNAL_PATH="+journal)
	other.Write("main.tf", config)
	// The adopted execution stopped partway. To continue it is another execution, which needs its own approval.
	refused := flat(other.MustFail("apply", "-auto-approve", "-no-color"))
	pin := regexp.MustCompile(`set expected_digest = "([0-9a-f]{64})"`).FindStringSubmatch(refused)
	if pin == nil {
		t.Fatalf("the refusal names no digest:\n%s", refused)
	}
	pinned := fmt.Sprintf("expected_digest = %q\n  approved_by", pin[1])
	other.Write("main.tf", strings.Replace(config, "approved_by", pinned, 1))
	other.Must("apply", "-auto-approve", "-no-color")
	if share := r.share(); share != 25 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if out, ok := first.wait(t); ok {
		t.Errorf("the former holder succeeded:\n%s", out)
	}
	if share := r.share(); share != 25 {
		t.Errorf("the former holder left %g%%", share)
	}
	if all := r.history(); len(all) != 2 || all[0].Status != "cancelled" || all[1].Status != "success" {
		t.Errorf("history: %+v", all)
	}
	r.ok("journal", "verify")
}

// TestAccAdopt restores an older copy of a journal. Apply refuses until the journal is adopted, and then every earlier
// approval is void.
func TestAccAdopt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := func(percent string, more string) {
		r.Write("main.tf", head(approvers)+split("canary", percent, "gradual = false\n"+more))
	}
	const named = "approved_by = \"lead@example.com\""
	config("15", named)
	r.Must("apply", "-auto-approve", "-no-color")
	r.ok("journal", "backup", "old.db")
	config("20", "approved_by = \"boss@example.com\"")
	r.Must("apply", "-auto-approve", "-no-color")
	before := regexp.MustCompile(`journal ([0-9a-f]{8})`).FindStringSubmatch(r.ok("journal", "verify"))
	for _, name := range []string{"journal.db", "journal.db-wal", "journal.db-shm"} {
		if err := os.RemoveAll(filepath.Join(r.Dir, ".remediation", name)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "cp", filepath.Join(r.Dir, "old.db"),
		filepath.Join(r.Dir, ".remediation", "journal.db")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	config("25", "approved_by = \"boss@example.com\"")
	out := flat(r.MustFail("apply", "-auto-approve", "-no-color"))
	for _, want := range []string{"The journal can't be relied on", "journal adopt"} {
		if !strings.Contains(out, want) {
			t.Errorf("the refusal lacks %q:\n%s", want, out)
		}
	}
	r.Must("plan", "-no-color", "-out=early")
	adopted := r.ok("journal", "adopt", "--name", "ann@example.com", "--because", "restored the backup")
	if before == nil || strings.Contains(adopted, before[1]) {
		t.Errorf("the identity is the same: %s", adopted)
	}
	if out := flat(r.MustFail("apply", "-no-color", "early")); !strings.Contains(out, "The journal was adopted after") {
		t.Errorf("a plan from before the adoption:\n%s", out)
	}
	refused := flat(r.MustFail("apply", "-auto-approve", "-no-color"))
	pin := regexp.MustCompile(`set expected_digest = "([0-9a-f]{64})"`).FindStringSubmatch(refused)
	if pin == nil || !strings.Contains(refused, "the journal was adopted since, which voids earlier approvals") {
		t.Fatalf("a name from before the adoption counts:\n%s", refused)
	}
	config("25", "approved_by = \"boss@example.com\"\nexpected_digest = \""+pin[1]+"\"")
	r.Must("apply", "-auto-approve", "-no-color")
	if share := r.share(); share != 25 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 || strings.Contains(out, "Warning") {
		t.Errorf("the next plan is not empty (exit code %d):\n%s", code, out)
	}
	if text := r.ok("journal", "history", "--all"); !strings.Contains(text, "restored the backup") {
		t.Errorf("the history lacks the adoption:\n%s", text)
	}
	r.ok("journal", "verify")
}

func flat(out string) string { return regexp.MustCompile(`\s*\n(│ )?\s*`).ReplaceAllString(out, " ") }

// TestAccJournalInElasticsearch reads and adopts a journal in Elasticsearch.
func TestAccJournalInElasticsearch(t *testing.T) {
	t.Parallel()
	server := elastictest.Shared(t)
	index := server.Name(t, "commands")
	r := newRig(t, "ELASTICSEARCH_ENDPOINTS="+server.URL())
	_, problems, code := r.run("", "journal", "verify", "--index", index, "--journal", "x")
	if code != commands.ExitUsage {
		t.Errorf("two journals: exit code %d\n%s", code, problems)
	}
	for _, args := range [][]string{{"verify"}, {"history"}, {"report"}, {"cancel", "1", "--name=ann"}} {
		_, problems, code := r.run("", append([]string{"journal"}, append(args, "--index", index)...)...)
		if code != commands.ExitError || !strings.Contains(flat(problems), "There is no journal "+index) {
			t.Errorf("%v of a journal that doesn't exist: exit code %d\n%s", args, code, problems)
		}
	}
	for _, path := range []string{"/_index_template/" + index, "/" + index + "-*/_mapping?expand_wildcards=all"} {
		var found map[string]any
		if status, err := server.Try(t, http.MethodGet, path, nil, &found); status/100 == 2 && len(found) > 0 {
			t.Errorf("a command that reads created %s: %v, %v", path, found, err)
		}
	}
	r.Write("main.tf", strings.Replace(head(approvers), "planner {", "journal {\n    elasticsearch { index = \""+index+
		"\" }\n  }\n  planner {", 1)+split("canary", "25", "approved_by = \"lead@example.com\"\n  gradual = false"))
	r.Must("apply", "-auto-approve", "-no-color")
	if out := r.ok("journal", "verify", "--index", index); !strings.Contains(out, "is intact") {
		t.Errorf("verify says: %s", out)
	}
	if all := r.history("--index", index); len(all) != 1 || all[0].Status != "success" {
		t.Errorf("history: %+v", all)
	}
	r.ok("journal", "adopt", "--index", index, "--name=ann", "--because=restored")
	if out := r.ok("journal", "history", "--index", index, "--all"); !strings.Contains(out, "restored") {
		t.Errorf("the history lacks the adoption:\n%s", out)
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 || strings.Contains(out, "Warning") {
		t.Errorf("a plan after the adoption (exit code %d):\n%s", code, out)
	}
	if _, problems, code := r.run("", "journal", "backup", "x.db", "--index", index); code != commands.ExitError ||
		!strings.Contains(problems, "snapshot") {
		t.Errorf("backup: exit code %d\n%s", code, problems)
	}
}
