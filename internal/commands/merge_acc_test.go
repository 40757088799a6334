package commands_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// cluster is a way to a cluster that can be cut.
type cluster struct {
	url string
	cut atomic.Bool
	// reached counts the requests that arrived while it was cut.
	reached atomic.Int64
}

func newCluster(t *testing.T, to string) *cluster {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{}
	forward := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.cut.Load() {
			c.reached.Add(1)
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// journalIn makes Terraform and the commands use a journal: a file, or else an index.
func (r *rig) journalIn(file, index string) {
	env := []string{"REMEDIATION_JOURNAL_PATH=" + file, "REMEDIATION_JOURNAL_INDEX=" + index}
	r.Environment(env...)
	r.env = append(r.env, env...)
}

// approval saves a plan and returns the block that approves it.
func (r rig) approval(key string) string {
	r.t.Helper()
	r.save()
	block, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--key", key)
	if code != commands.ExitOK || block == "" {
		r.t.Fatalf("exit code %d\n%s%s", code, block, problems)
	}
	return block
}

// TestAccBreakGlassWithAFileJournal is the day on which the cluster with the journal is the incident: a split is moved
// with a journal file, while nobody can reach the cluster. Afterwards the file is merged into the journal. Neither the
// signature that the file has seen nor one from before counts there again.
func TestAccBreakGlassWithAFileJournal(t *testing.T) {
	t.Parallel()
	server := elastictest.Shared(t)
	index := server.Name(t, "merge")
	way := newCluster(t, server.URL())
	r := newRig(t, append(server.Environment(way.url), "ELASTICSEARCH_ENDPOINTS="+way.url)...)
	key, signer := r.keygen("key")
	config := func(percent, approval string) {
		r.Write("main.tf", head(signed(signer))+split("canary", percent, "gradual = false\n"+approval))
	}
	r.journalIn("", index)
	config("5", "")
	r.Must("apply", "-auto-approve", "-no-color")
	config("25", "")
	early := r.approval(key)
	usual := regexp.MustCompile(`journal ([0-9a-f]{8})`).FindStringSubmatch(r.ok("journal", "verify"))[1]

	way.cut.Store(true)
	file := filepath.Join(r.Dir, "break-glass.db")
	r.journalIn(file, "")
	r.ok("journal", "adopt", "--replaces", usual, "--name", "ann@example.com", "--because", "the cluster is down")
	config("25", early)
	if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out, "needs an approval") {
		t.Errorf("a signature for the other journal counts:\n%s", out)
	}
	config("25", "")
	used := r.approval(key)
	config("25", used)
	r.Must("apply", "-auto-approve", "-no-color")
	if share := r.share(); share != 25 || way.reached.Load() > 0 {
		t.Errorf("v2 has %g%% of the traffic, %d requests to the cluster", share, way.reached.Load())
	}

	way.cut.Store(false)
	r.journalIn("", index)
	config("25", used+"\n  triggers = { checked = \"1\" }")
	if out := flat(r.Must("plan", "-no-color")); !strings.Contains(out, "this is another journal") {
		t.Errorf("a plan before the merge doesn't warn:\n%s", out)
	}
	config("25", used)
	merge := []string{"journal", "merge", file, "--name", "ann@example.com", "--because", "the cluster is back",
		"--json"}
	if done := r.merged(merge...); len(done.Executions) != 1 || !done.Adopted || done.Journal == usual {
		t.Errorf("merged: %+v", done)
	}
	if done := r.merged(merge...); len(done.Executions) != 0 || done.Known != 1 || done.Adopted {
		t.Errorf("merged again: %+v", done)
	}
	r.ok("journal", "verify")
	id, _ := r.Attributes("remediation_canary_split.canary")["id"].(string)
	all := r.history()
	if len(all) != 2 || all[1].Origin != id || all[1].ApprovedBy != lead || all[1].Status != "success" {
		t.Errorf("the state has %s, the history %+v", id, all)
	}
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 || strings.Contains(out, "Warning") {
		t.Errorf("the next plan is not empty (exit code %d):\n%s", code, out)
	}
	config("25", "triggers = { again = \"1\" }")
	r.save()
	if n := r.plannedHistory(); n != 3 {
		t.Errorf("a plan lists %d executions, not the two in the state and the planned one", n)
	}
	config("5", "")
	r.Must("apply", "-auto-approve", "-no-color")
	for name, approval := range map[string]string{"used with the file": used, "made before": early} {
		config("25", approval)
		if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out, "needs an approval") {
			t.Errorf("a signature that was %s counts:\n%s", name, out)
		}
	}
}

// plannedHistory returns how many executions the saved plan lists.
func (r rig) plannedHistory() int {
	r.t.Helper()
	var plan struct {
		Changes []struct {
			Change struct{ After struct{ History []any } }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(r.file("plan.json")), &plan); err != nil {
		r.t.Fatal(err)
	}
	return len(plan.Changes[0].Change.After.History)
}

// mergedJSON is what journal merge writes.
type mergedJSON struct {
	Journal    string
	Executions []record
	Known      int `json:"merged_before"`
	Adopted    bool
}

func (r rig) merged(args ...string) mergedJSON {
	r.t.Helper()
	var done mergedJSON
	out := r.ok(args...)
	if err := json.Unmarshal([]byte(out), &done); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return done
}

// TestAccMergeRefuses checks what can't be merged: a running execution, an edited file, and a copy of the journal.
func TestAccMergeRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+slow("10m"))
	merge := func(journal, file string) (string, int) {
		_, problems, code := r.run("", "journal", "merge", file, "--journal", journal, "--name=ann", "--because=x")
		return problems, code
	}
	r.ok("journal", "adopt", "--journal", "usual.db", "--name=ann", "--because=new")
	const own = ".remediation/journal.db"
	apply := r.start("apply", "-auto-approve", "-no-color")
	rec := r.running(10)
	if text, code := merge("usual.db", own); code != commands.ExitFinding ||
		!strings.Contains(text, "has no outcome") {
		t.Errorf("a running execution: exit code %d\n%s", code, text)
	}
	r.ok("journal", "cancel", rec.ID, "--name=ann")
	apply.wait(t)
	r.ok("journal", "backup", "copy.db")
	if text, code := merge(own, "copy.db"); code != commands.ExitFinding || !strings.Contains(text, "copies of one") {
		t.Errorf("a copy: exit code %d\n%s", code, text)
	}
	if text, code := merge("usual.db", "absent.db"); code != commands.ExitError ||
		!strings.Contains(text, "no journal") {
		t.Errorf("no file: exit code %d\n%s", code, text)
	}
	r.edit("copy.db", `UPDATE entries SET body = replace(body, 'lead@', 'boss@')`)
	if text, code := merge("usual.db", "copy.db"); code != commands.ExitFinding ||
		!strings.Contains(text, "is broken") {
		t.Errorf("an edited file: exit code %d\n%s", code, text)
	}
	if all := r.history("--journal", "usual.db"); len(all) != 0 {
		t.Errorf("something was merged: %+v", all)
	}
}
