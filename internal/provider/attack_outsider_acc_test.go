package provider_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// oneLine returns output without Terraform's frame and line breaks.
func oneLine(out string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out)), " ")
}

// planned returns the file of the planner.
func planned(t *testing.T, w *acctest.Workspace) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, "planner.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAccAttackReplaceInAnOlderJournal restores the journal of before an approved execution, and replaces the resource:
// the state of the replaced resource has seen the newer journal. A resource that detects drift is read by its own code;
// the front for unchanged resources answers for the other one.
func TestAccAttackReplaceInAnOlderJournal(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	clears := fmt.Sprintf(`
resource "remediation_cache_clear" "search" {
  index_name  = %q
  cache_types = ["request"]
  approved_by = "boss@example.com"
  lifecycle {
    create_before_destroy = true
  }
}
`, s.Cached(t, "replaced").Index)
	for address, resource := range map[string]string{
		"remediation_canary_split.v2":    raises(`approved_by = "boss@example.com"`),
		"remediation_cache_clear.search": clears,
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
			w.Write("planner.json", splitFile)
			w.Write("main.tf", block(`path = "journal.db"`, `approval {
    rule {
      name      = "everything"
      playbooks = ["clear_cache"]
      minimum   = 1
    }
  }`)+resource)
			replaceInAnOlderJournal(t, w, address)
		})
	}
}

func replaceInAnOlderJournal(t *testing.T, w *acctest.Workspace, address string) {
	t.Helper()
	w.Must("plan", "-no-color")
	names := []string{"journal.db", "journal.db-wal", "journal.db-shm"}
	older := map[string][]byte{}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(w.Dir, name)); err == nil {
			older[name] = data
		}
	}
	w.Must("apply", "-auto-approve", "-no-color")
	w.Write("planner.json", splitFile)
	w.Must("plan", "-no-color", "-replace="+address, "-out=saved.tfplan")
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(w.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range older {
		w.Write(name, string(data))
	}
	state, err := os.ReadFile(filepath.Join(w.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	for command, says := range map[string]string{
		"-auto-approve -replace=" + address:                "The journal can't be relied on",
		"-auto-approve -refresh=false -replace=" + address: "The journal can't be relied on",
		"-auto-approve":                "The journal can't be relied on", // of a tainted resource
		"-auto-approve -refresh=false": "The journal can't be relied on", // the same
		"saved.tfplan":                 "The journal lacks the dry run",  // the plan was made before the journal was restored
	} {
		w.Write("terraform.tfstate", string(state))
		if strings.HasPrefix(command, "-auto-approve") && !strings.Contains(command, "-replace") {
			w.Must("taint", address)
		}
		out := oneLine(w.MustFail(append([]string{"apply", "-no-color"}, strings.Fields(command)...)...))
		if !strings.Contains(out, says) {
			t.Errorf("%s:\n%s", command, out)
		}
		if planned(t, w) != splitFile {
			t.Errorf("%s: traffic moved: %s", command, planned(t, w))
		}
	}
}

// TestAccAttackUndoInAnEditedState edits the undo in the state, to another share that needs no approval either.
func TestAccAttackUndoInAnEditedState(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	w.Write("planner.json", splitFile)
	w.Write("main.tf", block(`path = "journal.db"`, "")+raises("approved_by = \"boss@example.com\"\n"+
		"on_destroy = \"rollback\""))
	w.Must("apply", "-auto-approve", "-no-color")
	before := planned(t, w)
	state, err := os.ReadFile(filepath.Join(w.Dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	const was, is = `\"target_percent\":10`, `\"target_percent\":1`
	if !strings.Contains(string(state), was) {
		t.Fatalf("the state has no %s:\n%s", was, state)
	}
	w.Write("terraform.tfstate", strings.ReplaceAll(string(state), was, is))
	out := oneLine(w.MustFail("destroy", "-auto-approve", "-no-color"))
	if !strings.Contains(out, "The undo in the state is not the one in the journal") {
		t.Errorf("got:\n%s", out)
	}
	if planned(t, w) != before {
		t.Errorf("traffic moved: %s", planned(t, w))
	}
	w.Write("terraform.tfstate", string(state))
	w.Must("destroy", "-auto-approve", "-no-color")
}

// TestAccAttackIDInAnEditedState edits the id in the state, to an execution that the journal lacks: what the journal
// has for the execution is not compared then. Neither an undo nor a further execution runs.
func TestAccAttackIDInAnEditedState(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	w.Write("planner.json", splitFile)
	config := block(`path = "journal.db"`, "") + raises("approved_by = \"boss@example.com\"\n"+
		"on_destroy = \"rollback\"")
	w.Write("main.tf", config)
	w.Must("apply", "-auto-approve", "-no-color")
	before := planned(t, w)
	path := filepath.Join(w.Dir, "terraform.tfstate")
	state, err := os.ReadFile(path) //nolint:gosec // the test's own file
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(w.Attributes("remediation_canary_split.v2")["id"])
	identity, _, _ := strings.Cut(id, "-")
	lower := strings.Replace(config, "target_percent = 50", "target_percent = 40", 1)
	for _, other := range []string{identity + "-4711", "00000000-2", identity + "-1"} {
		if other == id {
			t.Fatalf("the id %s is not edited", id)
		}
		w.Write("terraform.tfstate", strings.ReplaceAll(string(state), `"`+id+`"`, `"`+other+`"`))
		says := "The state names execution " + other + ", and the journal has no such execution"
		w.Write("main.tf", config)
		if out := oneLine(w.MustFail("destroy", "-auto-approve", "-no-color")); !strings.Contains(out, says) {
			t.Errorf("destroy with %s:\n%s", other, out)
		}
		w.Write("main.tf", lower)
		if out := oneLine(w.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out, says) {
			t.Errorf("apply with %s:\n%s", other, out)
		}
		if planned(t, w) != before {
			t.Fatalf("%s: traffic moved: %s", other, planned(t, w))
		}
	}
	w.Write("terraform.tfstate", string(state))
	w.Write("main.tf", config)
	w.Must("destroy", "-auto-approve", "-no-color")
}

// TestAccAttackRuleByAnotherName reaches the target of a rule under names that the rule doesn't have.
func TestAccAttackRuleByAnotherName(t *testing.T) {
	t.Parallel()
	handler := controlapi.New().Handler()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = path.Clean(r.URL.Path) // as many servers do
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	port := api.URL[strings.LastIndex(api.URL, ":")+1:]
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "0.0.0.0"} {
		for _, at := range []string{"", "//", "/./"} {
			address := fmt.Sprintf("http://%s:%s%s", host, port, at)
			w := acctest.NewWorkspace(t)
			w.Write("main.tf", block(`path = "journal.db"`, fmt.Sprintf(`
  planner {
    http { url = %q }
  }
  approval {
    rule {
      name    = "production"
      targets = ["planner:http:%s"]
    }
  }`, address, api.URL))+`
resource "remediation_canary_split" "v2" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}
`)
			if out, code := w.Run("apply", "-auto-approve", "-no-color"); code == 0 ||
				!strings.Contains(oneLine(out), `the rule "production" asks for an approval`) {
				t.Errorf("%s: code %d\n%s", address, code, out)
			}
		}
	}
}
