package dbtrun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// answers is a dbt that returns prepared answers. TestVerbsAreWhatDBTDoes checks them against the real dbt.
type answers struct {
	dbtrun.DBT
	listing dbt.Listing
	catalog dbt.Catalog
}

func (answers) Name(context.Context) (string, error) { return "dbt:shop/prod", nil }
func (answers) RunCommand(s dbt.Selection) []string {
	return dbt.New(dbt.Config{}, nil).RunCommand(s)
}

func (a answers) List(context.Context, dbt.Selection) (dbt.Listing, error) { return a.listing, nil }

func (a answers) ListAfter(context.Context, dbt.Selection, dbt.Resolved) (dbt.Listing, error) {
	return a.listing, nil
}
func (a answers) Catalog(context.Context, dbt.Selection, dbt.Listing) (dbt.Catalog, error) {
	return a.catalog, nil
}

var postgres = map[string]string{"adapter": "postgres", "host": "db.example.com", "port": "5432", "target": "prod",
	"database": "shop", "schema": "main"}

func model(name, materialization string, change func(m *dbt.Model)) dbt.Model {
	m := dbt.Model{Name: name, UniqueID: "model.shop." + name, Materialization: materialization, SchemaChange: "ignore",
		Relation: dbt.Relation{Database: "shop", Schema: "main", Identifier: name}}
	if change != nil {
		change(&m)
	}
	return m
}

func table(name string, rows int64, columns ...string) dbt.Existing {
	return dbt.Existing{Schema: "main", Name: name, Type: "table", Rows: &rows, Columns: columns}
}

func listing(models ...dbt.Model) dbt.Listing {
	return dbt.Listing{Models: models, DBTVersion: "1.11.16", Connection: postgres, Threads: 4, Interface: true}
}

func exists(relations ...dbt.Existing) dbt.Catalog {
	return dbt.Catalog{State: dbt.CatalogRead, Relations: relations, At: time.Date(2026, 3, 31, 14, 3, 0, 0, time.UTC)}
}

func keyed(m *dbt.Model) { m.HasUniqueKey = true }

// TestSituations compares the texts of typical dry runs with golden files. Read each one like somebody on call who was
// just woken up.
func TestSituations(t *testing.T) {
	t.Parallel()
	no := false
	inbox, triage := model("inbox_emails", "incremental", keyed), model("triage_results", "table", nil)
	many := listing()
	for i := range 168 {
		kind := [...]string{"table", "incremental", "view"}[i%3]
		many.Models = append(many.Models, model(fmt.Sprintf("a_model_with_a_rather_long_name_%03d", i), kind, nil))
	}
	view := dbt.Existing{Schema: "main", Name: "triage_board", Type: "view"}
	read := table("inbox_emails", 1200300)
	read.Dependents = [][2]string{{"main", "triage_board"}, {"marketing", "weekly_mails"}}
	for name, s := range map[string]struct {
		inputs  string
		listing dbt.Listing
		catalog dbt.Catalog
	}{
		"01_nothing_exists_yet": {`{"models": ["inbox_emails", "triage_results"]}`, listing(inbox, triage), exists()},
		"02_tables_exist": {`{"models": ["inbox_emails", "triage_results"], "threads": 8}`, listing(inbox, triage),
			exists(table("inbox_emails", 1200300), table("triage_results", 1100900))},
		"03_full_refresh": {`{"models": ["inbox_emails", "triage_results", "history", "triage_board"], "full_refresh": true}`,
			listing(inbox, triage, model("history", "incremental", func(m *dbt.Model) { m.FullRefresh = &no }),
				model("triage_board", "view", nil)),
			exists(table("inbox_emails", 1200300), table("triage_results", 1100900), table("history", 55000000), view)},
		"04_views_are_dropped": {`{"models": ["inbox_emails", "triage_board"], "full_refresh": true}`,
			listing(inbox, model("triage_board", "view", nil)), exists(read, view)},
		"05_microbatch": {`{"models": ["events"]}`, listing(model("events", "incremental", func(m *dbt.Model) {
			m.Strategy, m.BatchSize, m.Begin, m.Lookback, m.HasUniqueKey = "microbatch", "day", "2025-01-01", 3, true
		})), exists(table("events", 9000000))},
		"06_columns_change": {`{"models": ["orders", "payments"]}`, listing(
			model("orders", "incremental", func(m *dbt.Model) {
				m.SchemaChange, m.Contract, m.Columns = "append_new_columns", true, []string{"id", "amount", "currency"}
			}),
			model("payments", "incremental", func(m *dbt.Model) { m.SchemaChange = "sync_all_columns" })),
			exists(table("orders", 5000, "id", "amount"), table("payments", 4000, "id", "amount", "note"))},
		"07_catalog_not_read": {`{"models": ["inbox_emails"], "full_refresh": true}`, listing(inbox), dbt.Catalog{
			State: dbt.CatalogUnreadable, Why: "connection to server at \"db.example.com\" failed: timeout expired"}},
		"08_upstream_is_missing": {`{"models": ["triage_results"]}`, listing(model("triage_results", "table",
			func(m *dbt.Model) {
				m.Parents = []dbt.Parent{
					{UniqueID: "model.shop.inbox_emails", Name: "inbox_emails", Relation: inbox.Relation},
					{UniqueID: "seed.shop.queues", Name: "queues",
						Relation: dbt.Relation{Database: "shop", Schema: "main", Identifier: "queues"}},
				}
			})), exists(table("triage_results", 10))},
		"08_upstream_is_deferred": {`{"models": ["triage_results"], "state": "../prod", "defer": true, "upstream": true,
			"exclude": ["queues", "inbox_emails"]}`, listing(model("triage_results", "table", func(m *dbt.Model) {
			for _, id := range []string{"model.shop.inbox_emails", "model.shop.queues", "snapshot.shop.history",
				"source.shop.raw.mails"} {
				name := id[strings.LastIndexByte(id, '.')+1:]
				p := dbt.Parent{UniqueID: id, Name: name, Relation: dbt.Relation{Database: "shop", Schema: "main",
					Identifier: name}}
				if strings.HasPrefix(id, "model.") {
					p.Deferred = &dbt.Relation{Database: "shop", Schema: "prod", Identifier: name}
				}
				m.Parents = append(m.Parents, p)
			}
		})), exists(dbt.Existing{Schema: "prod", Name: "inbox_emails", Type: "table"})},
		"08_other_database": {`{"models": ["inbox_emails", "archive"]}`, func() dbt.Listing {
			l := listing(inbox, model("archive", "incremental", func(m *dbt.Model) { m.Relation.Database = "cold" }))
			l.Connection = map[string]string{"adapter": "duckdb", "path": "/srv/a/shop.duckdb", "target": "prod",
				"database": "shop", "schema": "main"}
			return l
		}(), dbt.Catalog{State: dbt.CatalogMissing, Why: "its folder does not exist"}},
		"09_168_models": {`{"models": ["tag:nightly"]}`, many, exists()},
		"10_hooks_and_what_is_not_run": {`{"models": ["+triage_results"], "upstream": true}`, func() dbt.Listing {
			l := listing(inbox, model("triage_results", "table", func(m *dbt.Model) {
				m.Hooks.Post = []string{"grant select on {{ this }} to reporting"}
			}))
			l.RunHooks = []string{"{{ log_run_end() }}"}
			l.NotRun = map[string][]string{"test": {"a", "b", "c"}, "seed": {"queues"}, "snapshot": {"inbox_snapshot"},
				"ephemeral": {"cleaned_emails"}}
			l.DownstreamModels, l.Exposures = []string{"triage_daily"}, []string{"triage_board"}
			return l
		}(), exists(table("inbox_emails", 1200300))},
		"11_script": {`{"models": ["inbox_emails"]}`, func() dbt.Listing {
			l := listing(inbox)
			l.Interface, l.Connection, l.Threads = false, nil, 0
			return l
		}(), dbt.Catalog{State: dbt.CatalogNotRead, Why: "dbt is started by a script"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.Golden(t, name+".txt", textOf(t, answers{listing: s.listing, catalog: s.catalog}, s.inputs))
		})
	}
}

// textOf is the text of a dry run, with its warnings.
func textOf(t *testing.T, of answers, inputs string) string {
	t.Helper()
	book := dbtrun.New(of, playbook.DefaultEstimates())
	action, err := book.Bind(json.RawMessage(inputs))
	if err != nil {
		t.Fatal(err)
	}
	p, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := engine.Review{Preview: p, ActionType: "rerun_dbt", Target: "dbt:shop/prod",
		Expected: 2 * p.Duration, Deadline: max(2*p.Duration, 24*time.Hour)}
	r.AsOf = time.Date(2026, 3, 31, 14, 3, 0, 0, time.UTC)
	r.Decision.Needed, r.Decision.Who = len(p.ApprovalReasons) > 0, "*@example.com"
	text := r.Text()
	for line := range strings.Lines(text) {
		if len(line) > 700 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	for _, warning := range p.Warnings {
		text += "\nWarning: " + warning + "\n"
	}
	return text
}
