package provider_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	journalelastic "github.com/applylens/terraform-provider-remediation/internal/journal/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// block is a provider block with the journal.
func block(journal, more string) string {
	return fmt.Sprintf(`
terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
provider "remediation" {
  journal {
    %s
  }
  %s
}
`, journal, more)
}

// clears returns a resource that clears a cache. n distinguishes two requests.
func clears(index string, n int) string {
	return fmt.Sprintf(`
resource "remediation_cache_clear" "search" {
  incident_id = "INC-7"
  index_name  = %q
  cache_types = ["fielddata"]
  triggers    = { n = "%d" }
  timeouts {
    create = "15s"
    update = "15s"
  }
}
`, index, n)
}

const asksHistory = `
data "remediation_action_history" "incident" {
  incident_id = "INC-7"
  dry_runs    = false
}
locals { seen = data.remediation_action_history.incident }
output "seen" {
  value = "${local.seen.total} executions, chain holds: ${local.seen.chain_holds}"
}
`

// TestAccSharedJournal has two machines, which share nothing but the journal, work on one target.
func TestAccSharedJournal(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	name, index := on.Name(t, "shared"), on.Name(t, "cleared")
	on.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0}}`, nil)
	t.Cleanup(func() { _, _ = on.Try(t, http.MethodDelete, "/_index_template/"+name, nil, nil) })
	config := block(fmt.Sprintf("elasticsearch { index = %q }", name), "")
	machine := func() *acctest.Workspace { return acctest.NewWorkspace(t, on.Environment(on.URL())...) }

	first := machine()
	first.Write("main.tf", config+clears(index, 1))
	first.Must("apply", "-auto-approve", "-no-color")
	if out, code := first.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}
	if found, err := filepath.Glob(filepath.Join(first.Dir, "*", "*.db*")); err != nil || len(found) > 0 {
		t.Errorf("files of a journal: %v, %v", found, err)
	}

	second := machine()
	second.Write("main.tf", config+asksHistory)
	if out := second.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out,
		"1 executions, chain holds: true") {
		t.Errorf("the other machine's history:\n%s", out)
	}

	// A third machine is at work on the target.
	store, err := journalelastic.Open(t.Context(), journalelastic.Config{
		Client: elastic.New(on.Config, clock.System{}).Client(), Index: name, Clock: clock.System{},
	})
	if err != nil {
		t.Fatal(err)
	}
	known, err := store.Find(t.Context(), journal.Filter{})
	if err != nil || len(known) != 1 || known[0].Status != journal.StatusSuccess {
		t.Fatalf("%+v, %v", known, err)
	}
	subject := known[0].Subject
	subject.Request = "another"
	busy, err := store.Begin(t.Context(), subject, journal.KindIntent,
		journal.Intent{Holder: proc.Identity{Host: "third-machine", PID: 4711}})
	if err != nil {
		t.Fatal(err)
	}
	second.Write("main.tf", config+clears(index, 2)+asksHistory)
	out := second.MustFail("apply", "-auto-approve", "-no-color")
	if !strings.Contains(out, "third-machine") || !strings.Contains(out, fmt.Sprint("execution ", busy.ID)) {
		t.Errorf("it does not say who holds the target:\n%s", out)
	}
	if _, err := store.Append(t.Context(), busy.Lease(), journal.KindOutcome,
		journal.Outcome{Status: journal.StatusCancelled}); err != nil {
		t.Fatal(err)
	}
	if out := second.Must("apply", "-auto-approve", "-no-color"); !strings.Contains(out,
		"3 executions, chain holds: true") {
		t.Logf("history within the apply:\n%s", out)
	}
	if n, err := store.Count(t.Context(), journal.Filter{Incident: "INC-7"}); err != nil || n != 3 {
		t.Errorf("%d executions, %v", n, err)
	}
	if chain, err := journal.Verify(t.Context(), store); err != nil || !chain.Holds() {
		t.Errorf("%+v, %v", chain, err)
	}
}

// TestAccSharedJournalIsDown plans with a warning and applies nothing if the journal can't be reached.
func TestAccSharedJournalIsDown(t *testing.T) {
	t.Parallel()
	w := acctest.NewWorkspace(t)
	const file = `{"revision":1,"stable":"v1","versions":{"v1":{"percent":90},"v2":{"percent":10}}}`
	w.Write("planner.json", file)
	w.Write("main.tf", block("elasticsearch {}", `elasticsearch { endpoints = ["http://127.0.0.1:1"] }
  approval { approvers = ["lead@example.com"] }`)+`
resource "remediation_canary_split" "canary" {
  version        = "v2"
  target_percent = 25
  gradual        = false
  approved_by    = "lead@example.com"
}
`)
	out := w.Must("plan", "-no-color", "-out=saved")
	for _, want := range []string{"Warning:", "cannot be read or written", "Apply will refuse to run anything",
		"elasticsearch.endpoints"} {
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " "), want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	if out := w.MustFail("apply", "-no-color", "saved"); !strings.Contains(out, "cannot be read or written") {
		t.Errorf("apply says:\n%s", out)
	}
	if now, err := os.ReadFile(filepath.Join(w.Dir, "planner.json")); err != nil || string(now) != file {
		t.Errorf("the planner was touched: %s, %v", now, err)
	}
}

// TestAccJournalSettings checks that mistakes in the provider block are reported with their place.
func TestAccJournalSettings(t *testing.T) {
	t.Parallel()
	const cluster = `elasticsearch { endpoints = ["http://127.0.0.1:1"] }`
	for name, c := range map[string]struct {
		block string
		env   []string
		says  string
		at    string
	}{
		"both": {block("path = \"a.db\"\n    elasticsearch {}", cluster), nil,
			"Two journals are configured", "journal.elasticsearch"},
		"no cluster": {block(`elasticsearch {}`, ""), nil, "no cluster is configured", "journal.elasticsearch"},
		"a wildcard": {block(`elasticsearch { index = "a*" }`, cluster), nil, "lower-case letters",
			"journal.elasticsearch.index"},
		"upper case": {block(`elasticsearch { index = "Journal" }`, cluster), nil, "lower-case letters",
			"journal.elasticsearch.index"},
		"another's": {block(`elasticsearch { index = "a-entries" }`, cluster), nil, "another journal",
			"journal.elasticsearch.index"},
		"empty": {block(`elasticsearch { index = "" }`, cluster), nil, "is empty", "journal"},
		"both in environment": {block("", cluster), []string{"REMEDIATION_JOURNAL_PATH=a.db",
			"REMEDIATION_JOURNAL_INDEX=a"}, "Two journals are configured", "journal"},
		"a bad name from there": {block("", cluster), []string{"REMEDIATION_JOURNAL_INDEX=A"}, "lower-case letters",
			"journal.elasticsearch.index"},
		"no cluster from there": {block("", ""), []string{"REMEDIATION_JOURNAL_INDEX=a"}, "no cluster is configured",
			"journal.elasticsearch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t, c.env...)
			w.Write("main.tf", c.block+asksHistory)
			if out := w.MustFail("plan", "-no-color"); !strings.Contains(out, c.says) || !strings.Contains(out, c.at) {
				t.Errorf("want %q at %q:\n%s", c.says, c.at, out)
			}
		})
	}
}
