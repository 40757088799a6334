package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// warehouse is a dbt project of many models, which exist in its DuckDB file as far as dbt has built them.
type warehouse struct {
	*acctest.Project
	b *testing.B
	w *acctest.Workspace
}

// newWarehouse makes a project with models of ten layers, and builds the first one so that there is a catalog to read.
func newWarehouse(b *testing.B, models int) warehouse {
	b.Helper()
	p := acctest.NewProject(b)
	for i := range models {
		from := "{{ ref('inbox_emails') }}"
		if i >= models/10 {
			from = fmt.Sprintf("{{ ref('model_%04d') }}", i-models/10)
		}
		p.Write(fmt.Sprintf("models/layer_%d/model_%04d.sql", 10*i/models, i), "select id, sender from "+from+"\n")
	}
	h := warehouse{p, b, acctest.NewWorkspace(b, p.Environment()...)}
	h.dbt("run", "--select", "inbox_emails", "model_0000")
	return h
}

// dbt runs a command of dbt itself.
func (h warehouse) dbt(args ...string) time.Duration {
	h.b.Helper()
	begun := time.Now()
	h.DBT(args...)
	return time.Since(begun)
}

// resources configures n resources that select different models.
func (h warehouse) resources(n int, more string) {
	h.w.Write("main.tf", requires("remediation")+fmt.Sprintf("resource \"remediation_dbt_run\" \"x\" {\n  count = %d\n"+
		"  models = [format(\"model_%%04d\", count.index)]\n%s\n}\n", n, more))
}

// planned is a plan with what the provider's log says about it.
type planned struct {
	wall time.Duration
	log  string
}

// plan measures a plan. A warehouse that was not read is a failure: a plan without it is no comparison.
func (h warehouse) plan(args ...string) planned {
	h.b.Helper()
	log := filepath.Join(h.b.TempDir(), "log")
	cmd := h.w.Command(h.b.Context(), append([]string{"plan", "-no-color"}, args...)...)
	cmd.Env = append(cmd.Env, "TF_LOG_PROVIDER=DEBUG", "TF_LOG_PATH="+log)
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(begun)
	if err != nil || strings.Contains(string(out), "was not read") {
		h.b.Fatalf("terraform plan: %v\n%s", err, out)
	}
	text, err := os.ReadFile(log) //nolint:gosec // the benchmark's own file
	if err != nil {
		h.b.Fatal(err)
	}
	return planned{wall, string(text)}
}

// count counts the lines of a message.
func (p planned) count(message string) int { return strings.Count(p.log, message) }

// longest returns the longest time in the lines of a message.
func (p planned) longest(b *testing.B, message string) time.Duration {
	b.Helper()
	longest := time.Duration(-1)
	for _, m := range regexp.MustCompile(regexp.QuoteMeta(message)+`.*\bms=(\d+)`).FindAllStringSubmatch(p.log, -1) {
		took, err := time.ParseDuration(m[1] + "ms")
		if err != nil {
			b.Fatal(err)
		}
		longest = max(longest, took)
	}
	if longest < 0 {
		b.Fatalf("the log lacks %q:\n%s", message, p.log)
	}
	return longest
}

// forget removes what the provider and dbt have cached, and the state, which belongs to the journal.
func (h warehouse) forget() {
	h.b.Helper()
	for _, path := range []string{filepath.Join(h.w.Dir, ".remediation"), filepath.Join(h.w.Dir, "terraform.tfstate"),
		filepath.Join(h.Dir, "target")} {
		if err := os.RemoveAll(path); err != nil {
			h.b.Fatal(err)
		}
	}
}

// BenchmarkDBTPlans compares plans of 100 resources on 500 models with one dbt ls: with nothing cached on either side,
// after one file was edited, and when nothing has changed. Then it compares plan and apply of one run with dbt ls and
// dbt run.
func BenchmarkDBTPlans(b *testing.B) {
	const models, resources = 500, 100
	h := newWarehouse(b, models)
	for b.Loop() {
		var all []cost
		var first planned
		for round := range rounds {
			var walls map[string]time.Duration
			walls, first = h.round(models, resources, round)
			all = append(all, cost{wall: walls})
		}
		of := func(step string) time.Duration {
			return median(all, func(c cost) time.Duration { return c.wall[step] })
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(first.longest(b, "dbt imported").Seconds(), "import-s")
		b.ReportMetric(first.longest(b, "project parsed").Seconds(), "parse-s")
		b.ReportMetric(first.longest(b, "catalog read").Seconds(), "catalog-s")
		b.ReportMetric(of("plan").Seconds(), "plan-s")
		b.ReportMetric(of("ls-first").Seconds(), "ls-s")
		b.ReportMetric(ratio(of("plan"), of("ls-first")), "100-first/ls-first")
		b.ReportMetric(ratio(of("plan-edited"), of("ls-edited")), "100-edited/ls-edited")
		b.ReportMetric(ratio(of("plan-unchanged"), of("ls")), "100-unchanged/ls")
		b.ReportMetric(ratio(of("plan+apply"), of("ls+run")), "plan+apply/(ls+run)")
	}
}

// round measures each plan once, next to dbt. The first plan may start dbt once and parse the project once, and the
// plan of an unchanged project may not parse it.
func (h warehouse) round(models, resources, round int) (walls map[string]time.Duration, first planned) {
	h.b.Helper()
	ls := func() time.Duration { return h.dbt("ls", "--select", "model_0000") }
	walls = map[string]time.Duration{}
	h.forget()
	h.resources(resources, "")
	walls["ls-first"] = ls()
	first = h.plan()
	walls["plan"] = first.wall
	if starts, parses := first.count("helper started"), first.count("project parsed"); starts != 1 || parses != 1 {
		h.b.Fatalf("%d helpers and %d parses", starts, parses)
	}
	h.Write(fmt.Sprintf("models/layer_9/model_%04d.sql", models-1),
		fmt.Sprintf("select id, %d as n from {{ ref('model_%04d') }}\n", round, models-1-models/10))
	walls["ls-edited"], walls["plan-edited"] = ls(), h.plan().wall
	walls["ls"] = ls()
	unchanged := h.plan()
	walls["plan-unchanged"] = unchanged.wall
	if unchanged.count("project parsed") > 0 {
		h.b.Fatal("a plan of an unchanged project parsed it")
	}
	h.resources(1, fmt.Sprintf("  triggers = { round = %d }", round))
	walls["plan+apply"] = h.plan("-out=saved.tfplan").wall + timed(h.b, h.w, "apply", "saved.tfplan")
	walls["ls+run"] = ls() + h.dbt("run", "--select", "model_0000")
	return walls, first
}

// BenchmarkContentFacts measures what it costs to hash the contents of a project of 2,000 models instead of looking at
// the times of its files. It compares a plan of an unchanged project with the part that is not spent on hashing.
func BenchmarkContentFacts(b *testing.B) {
	const models = 2000
	h := newWarehouse(b, models)
	h.resources(1, "")
	h.plan()
	for b.Loop() {
		var all []cost
		for range rounds {
			p := h.plan()
			hashing := p.longest(b, "project hashed")
			all = append(all, cost{wall: map[string]time.Duration{"plan": p.wall, "hashing": hashing}})
		}
		plan := median(all, func(c cost) time.Duration { return c.wall["plan"] })
		hashing := median(all, func(c cost) time.Duration { return c.wall["hashing"] })
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(plan.Seconds(), "plan-s")
		b.ReportMetric(hashing.Seconds(), "hashing-s")
		b.ReportMetric(ratio(plan, plan-hashing), "plan/without-hashing")
	}
}
