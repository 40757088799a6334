package dbt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSelectionsAreThoseOfDBT compares random selections over three projects with what `dbt ls` selects.
// REMEDIATION_TEST_SELECTIONS is the number per project, and REMEDIATION_TEST_SEED repeats a run.
func TestSelectionsAreThoseOfDBT(t *testing.T) {
	t.Parallel()
	number := func(variable string, fallback int) int {
		if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
			return n
		}
		return fallback
	}
	count, seed := number("REMEDIATION_TEST_SELECTIONS", 12), number("REMEDIATION_TEST_SEED", 1)
	for name, build := range map[string]func(t *testing.T, cfg Config){
		"plain": func(*testing.T, Config) {}, "rich": richProject, "layered": layeredProject,
	} {
		t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
			t.Parallel()
			cfg := shop(t)
			build(t, cfg)
			//nolint:gosec // the same selections for the same seed
			random := rand.New(rand.NewPCG(uint64(seed), uint64(len(name))))
			var selections []Selection
			for range count {
				selections = append(selections, drawSelection(random, atoms[name]))
			}
			answers := dbtLS(t, cfg, selections)
			c := cli(t, cfg)
			for i, s := range selections {
				compareSelection(t, c, s, answers[i])
			}
		})
	}
}

// atoms are selectors without operators, by project.
var atoms = map[string][]string{
	"plain": {"inbox_emails", "triage_results", "triage_daily", "tag:daily", "path:models", "source:raw", "shop",
		"config.materialized:incremental", "exposure:inbox_dashboard", "triage_*", "resource_type:model", "categories"},
	"rich": {"orders", "orders.v1", "orders.v2", "shop.orders", "util.orders", "package:util", "version:latest",
		"version:old", "group:finance", "access:protected", "tag:nightly", "snapshot_orders", "prices",
		"source:raw.raw_emails",
		"exposure:revenue", "file:orders_v2.sql", "path:models/marts", "resource_type:seed", "test_type:generic", "helper"},
	"layered": {"layer_0_0", "layer_1_1", "layer_2_2", "layer_3_0", "tag:even", "tag:odd", "path:models/layer_1",
		"layer_2_*", "config.materialized:view", "fqn:shop.layer_3.*", "layer_9_9"},
}

// drawSelection combines atoms with graph operators, intersections, and exclusions.
func drawSelection(random *rand.Rand, of []string) Selection {
	atom := func() string {
		a := of[random.IntN(len(of))]
		switch random.IntN(7) {
		case 0:
			return "+" + a
		case 1:
			return a + "+"
		case 2:
			return "1+" + a
		case 3:
			return a + "+1"
		case 4:
			return "@" + a
		default:
			return a
		}
	}
	add := func(to []string) []string {
		item := atom()
		if random.IntN(4) == 0 {
			item += "," + atom()
		}
		if slices.Contains(to, item) {
			return to
		}
		return append(to, item)
	}
	s := Selection{Models: add(nil)}
	for range random.IntN(3) {
		s.Models = add(s.Models)
	}
	for range random.IntN(2) {
		s.Exclude = add(s.Exclude)
	}
	return s
}

// selected is what `dbt ls` answers.
type selected struct {
	Models []string `json:"models"`
	// Unmatched is how many criteria match nothing.
	Unmatched int    `json:"unmatched"`
	Error     string `json:"error"`
}

// compareSelection compares our answer with that of `dbt ls`.
func compareSelection(t *testing.T, c *CLI, s Selection, want selected) {
	t.Helper()
	l, err := c.List(t.Context(), s)
	at := fmt.Sprintf("--select %s --exclude %s", strings.Join(s.Models, " "), strings.Join(s.Exclude, " "))
	switch {
	case want.Error != "":
		if err == nil {
			t.Errorf("%s: dbt refuses it: %s", at, want.Error)
		}
	case errors.Is(err, ErrUnknownModel):
		if want.Unmatched == 0 && !strings.Contains(err.Error(), "Not a dbt model") {
			t.Errorf("%s: dbt knows it: %v", at, err)
		}
	case errors.Is(err, ErrNoMatch):
		if len(want.Models) > 0 {
			t.Errorf("%s: dbt selects %v", at, want.Models)
		}
	case err != nil:
		t.Errorf("%s: %v", at, err)
	case !slices.Equal(l.IDs(), want.Models):
		t.Errorf("%s: got %v, dbt selects %v", at, l.IDs(), want.Models)
	}
}

// dbtLS answers all selections with `dbt ls` in one process. Ephemeral models are left out, because they never run.
func dbtLS(t *testing.T, cfg Config, selections []Selection) []selected {
	t.Helper()
	const program = `
import json, sys
from dbt.cli.main import dbtRunner

questions = json.load(sys.stdin)
unmatched = 0

def heard(event):
    global unmatched
    unmatched += event.info.name == "NoNodesForSelectionCriteria"

sys.stdout = sys.stderr
manifest = dbtRunner().invoke(["--quiet", "parse"]).result
answers = []
for q in questions:
    unmatched = 0
    argv = ["--quiet", "ls", "--resource-type", "model", "--output", "json", "--output-keys", "unique_id", "--select"]
    argv += q["models"]
    if q.get("exclude"):
        argv += ["--exclude"] + q["exclude"]
    r = dbtRunner(manifest=manifest, callbacks=[heard]).invoke(argv)
    ids = sorted(json.loads(row)["unique_id"] for row in (r.result or []))
    answers.append({"unmatched": unmatched, "error": str(r.exception or ""),
                    "models": [i for i in ids if not manifest.nodes[i].is_ephemeral_model]})
json.dump(answers, sys.__stdout__)
`
	python := filepath.Join(filepath.Dir(cfg.Executable), "python")
	cmd := exec.CommandContext(t.Context(), python, "-c", program)
	questions, err := json.Marshal(selections)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Stdin = cfg.ProjectDir, strings.NewReader(string(questions))
	cmd.Env = append(os.Environ(), "DBT_PROFILES_DIR="+cfg.ProjectDir, "DBT_SEND_ANONYMOUS_USAGE_STATS=false")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []selected
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(selections) {
		t.Fatalf("%d answers, %v:\n%s", len(answers), err, out)
	}
	return answers
}

// richProject adds a package with a model of the same name, versions, a group, a seed, a snapshot, tests, an exposure,
// and an ephemeral model.
func richProject(t *testing.T, cfg Config) {
	t.Helper()
	add := func(name, text string) { t.Helper(); write(t, filepath.Join(cfg.ProjectDir, name), text) }
	add("dbt_packages/util/dbt_project.yml", "name: util\nversion: 0.1.0\nconfig-version: 2\n")
	add("dbt_packages/util/models/orders.sql", "select 1 as id\n")
	add("dbt_packages/util/models/helper.sql", "select * from {{ ref('util', 'orders') }}\n")
	add("packages.yml", "packages:\n  - local: dbt_packages/util\n")
	add("seeds/prices.csv", "id,price\n1,2\n")
	add("models/marts/orders_v1.sql", "select 1 as id from {{ ref('prices') }}\n")
	add("models/marts/orders_v2.sql", "{{ config(tags=['nightly']) }}select 1 as id from {{ ref('cleaned') }}\n")
	add("models/marts/cleaned.sql", "{{ config(materialized='ephemeral') }}select * from {{ ref('prices') }}\n")
	add("models/marts/revenue.sql", "{{ config(tags=['nightly']) }}select * from {{ ref('shop', 'orders', v=2) }}\n")
	add("models/marts/marts.yml", `groups:
  - name: finance
    owner: {name: Finance}
models:
  - name: orders
    latest_version: 2
    config: {group: finance}
    columns: [{name: id, data_tests: [not_null]}]
    versions: [{v: 1}, {v: 2}]
exposures:
  - name: revenue
    type: dashboard
    owner: {name: Finance}
    depends_on: [ref('revenue')]
`)
	add("snapshots/orders.yml", "snapshots:\n  - name: snapshot_orders\n    relation: ref('prices')\n    config: "+
		"{unique_key: id, strategy: check, check_cols: all}\n")
}

// layeredProject adds four layers of five models.
func layeredProject(t *testing.T, cfg Config) {
	t.Helper()
	for layer := range 4 {
		for i := range 5 {
			from := "select 1 as id"
			if layer > 0 {
				const both = "select * from {{ ref('layer_%d_%d') }} union all select * from {{ ref('layer_%d_%d') }}"
				from = fmt.Sprintf(both, layer-1, i, layer-1, (i+layer)%5)
			}
			kind := [...]string{"view", "table", "ephemeral"}[(layer+i)%3]
			tag := [...]string{"even", "odd"}[i%2]
			name := fmt.Sprintf("models/layer_%d/layer_%d_%d.sql", layer, layer, i)
			write(t, filepath.Join(cfg.ProjectDir, name),
				fmt.Sprintf("{{ config(materialized='%s', tags=['%s']) }}\n%s\n", kind, tag, from))
		}
	}
}

// TestTenPlansLeaveNoRow plans a model that inserts rows when it is compiled, ten times, with a change in between.
func TestTenPlansLeaveNoRow(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	database := filepath.Join(cfg.ProjectDir, "shop.duckdb")
	python := func(sql string) string {
		t.Helper()
		const program = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
		interpreter := filepath.Join(filepath.Dir(cfg.Executable), "python")
		out, err := exec.CommandContext(t.Context(), interpreter, "-c", program, database, sql).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	python("create table main.planned (plan int)")
	c := cli(t, cfg)
	for i := range 10 {
		write(t, filepath.Join(cfg.ProjectDir, "models", "loud.sql"), fmt.Sprintf(
			"{%% do run_query('insert into main.planned values (%d)') %%}\nselect %d as one\n", i, i))
		s := Selection{Models: []string{"loud"}}
		l, err := c.List(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Catalog(t.Context(), s, l); err != nil || got.State != CatalogRead {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if got := python("select count(*) from main.planned"); got != "[(0,)]" {
		t.Errorf("ten plans left %s rows", got)
	}
}
