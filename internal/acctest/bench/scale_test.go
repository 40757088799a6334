// Package bench compares the provider with the minimum that it could cost: a provider without logic, the same with as
// many bytes of state, Terraform's own resource, and the requests alone. All of them run in turn in one run. Figures
// are only comparable within a run.
package bench_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

var sizes = flag.String("sizes", "10,100,1000", "how many resources a configuration has, ascending")

const (
	requests = "requests alone"
	ours     = "cache_clear"
	bare     = "bare"
	padded   = "bare, padded"
	builtin  = "terraform_data"
	// alike is the size up to which each provider is measured several times, alternating with the others.
	alike, rounds = 100, 3
)

// steps are the commands that are measured, in the order in which they run.
var steps = []string{"plan", "apply", "noop"}

// subject is a configuration of many resources of one kind.
type subject struct {
	name string
	// binary is the provider's, or "" where Terraform itself provides the resource.
	binary string
	env    []string
	config func(n int) string
}

// cost is what a subject costs at one size: the median of its rounds.
type cost struct {
	wall  map[string]time.Duration // per step
	cpu   time.Duration            // of the provider, over all steps
	peak  int                      // of the provider's memory, in bytes
	state int                      // bytes of state per resource
}

// BenchmarkScale plans, applies and plans again with growing numbers of resources.
func BenchmarkScale(b *testing.B) {
	server := elastictest.Shared(b)
	counts := list(b, *sizes)
	base := indices(b, server, counts[len(counts)-1])
	subjects := subjects(b, server, base)
	for range b.N {
		for _, n := range counts {
			costs := measure(b, subjects, n)
			for _, s := range subjects {
				b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(s.name, " ", "_"), n), func(b *testing.B) {
					report(b, costs[s.name], costs)
				})
			}
			if n == alike {
				b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(requests, " ", "_"), n), func(b *testing.B) {
					besideRequests(b, server, subjects[0], costs)
				})
			}
		}
	}
}

func list(b *testing.B, text string) []int {
	b.Helper()
	var all []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// indices makes n empty indices, base-0 and so on.
func indices(b *testing.B, s *elastictest.Server, n int) string {
	b.Helper()
	const spare = 100
	s.Do(b, http.MethodPut, "/_cluster/settings",
		map[string]any{"persistent": map[string]any{"cluster.max_shards_per_node": n + spare}}, nil)
	base := s.Prefix(b, fmt.Sprintf("kb%x", time.Now().Unix()%(1<<16))) // as long as names in practice
	for i := range n {
		s.Do(b, http.MethodPut, fmt.Sprintf("/%s-%d?wait_for_active_shards=0", base, i),
			`{"settings":{"number_of_shards":1,"number_of_replicas":0}}`, nil)
	}
	s.Do(b, http.MethodGet, "/_cluster/health?wait_for_status=green&timeout=100s", nil, nil)
	return base
}

func subjects(b *testing.B, server *elastictest.Server, base string) []subject {
	b.Helper()
	program := func(folder, name string) string {
		path, err := acctest.BuildProgram(folder, name)
		if err != nil {
			b.Fatal(err)
		}
		return path
	}
	clearing := subject{name: ours, binary: program(".", "terraform-provider-remediation"),
		env: server.Environment(server.URL()), config: func(n int) string {
			return requires("remediation") + fmt.Sprintf("resource \"remediation_cache_clear\" \"x\" {\n  count = %d\n"+
				"  index_name = \"%s-${count.index}\"\n  cache_types = [\"query\"]\n}\n", n, base)
		}}
	least := program("./internal/acctest/bench/bare", "terraform-provider-bare")
	with := func(padding int) func(int) string {
		return func(n int) string {
			return requires("bare") + fmt.Sprintf("resource \"bare_id\" \"x\" {\n  count = %d\n  byte_length = 4\n"+
				"  padding = %d\n}\n", n, padding)
		}
	}
	plain := subject{name: bare, binary: least, config: with(0)}
	const few = 10
	missing := probe(b, clearing, few).state - probe(b, plain, few).state
	return []subject{clearing, plain, {name: padded, binary: least, config: with(missing)},
		{name: builtin, config: func(n int) string {
			return fmt.Sprintf("resource \"terraform_data\" \"x\" {\n  count = %d\n  input = count.index\n}\n", n)
		}}}
}

func requires(provider string) string {
	return fmt.Sprintf("terraform {\n  required_providers {\n    %[1]s = { source = \"applylens/%[1]s\" }\n  }\n}\n",
		provider)
}

// measure runs all subjects in turn and returns their medians.
func measure(b *testing.B, subjects []subject, n int) map[string]cost {
	b.Helper()
	times := 1
	if n <= alike {
		times = rounds
	}
	all := map[string][]cost{}
	for range times {
		for _, s := range subjects {
			all[s.name] = append(all[s.name], probe(b, s, n))
		}
	}
	medians := map[string]cost{}
	for name, costs := range all {
		m := costs[0]
		m.wall = map[string]time.Duration{}
		for _, step := range steps {
			m.wall[step] = median(costs, func(c cost) time.Duration { return c.wall[step] })
		}
		m.cpu = median(costs, func(c cost) time.Duration { return c.cpu })
		m.peak = median(costs, func(c cost) int { return c.peak })
		medians[name] = m
	}
	return medians
}

func median[T ~int | ~int64](costs []cost, of func(cost) T) T {
	all := make([]T, len(costs))
	for i, c := range costs {
		all[i] = of(c)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// probe runs one subject in a new folder.
func probe(b *testing.B, s subject, n int) cost {
	b.Helper()
	w := acctest.NewWorkspaceOf(b, filepath.Dir(s.binary), s.env...)
	w.Write("main.tf", s.config(n))
	if s.binary == "" {
		w.Must("init") // Terraform's own provider is in it
	}
	watch := watchProgram(s.binary)
	c := cost{wall: map[string]time.Duration{}}
	c.wall["plan"] = timed(b, w, "plan", "-out=saved.tfplan")
	c.wall["apply"] = timed(b, w, "apply", "saved.tfplan")
	c.wall["noop"] = timed(b, w, "plan", "-detailed-exitcode") // fails if something is left to do
	c.cpu, c.peak = watch.stop()
	info, err := os.Stat(filepath.Join(w.Dir, "terraform.tfstate"))
	if err != nil {
		b.Fatal(err)
	}
	c.state = int(info.Size()) / n
	return c
}

func timed(b *testing.B, w *acctest.Workspace, args ...string) time.Duration {
	b.Helper()
	const longest = 20 * time.Minute
	ctx, cancel := context.WithTimeout(b.Context(), longest)
	defer cancel()
	cmd := w.Command(ctx, args...)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("terraform %v: %v\n%s", args, err, out)
	}
	return time.Since(begun)
}

// report reports the cost, and its ratio to the costs of the other subjects.
func report(b *testing.B, c cost, all map[string]cost) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	for _, step := range steps {
		b.ReportMetric(c.wall[step].Seconds(), step+"-s")
		b.ReportMetric(ratio(c.wall[step], all[bare].wall[step]), step+"/bare")
	}
	b.ReportMetric(ratio(c.wall["apply"], all[padded].wall["apply"]), "apply/padded")
	b.ReportMetric(c.cpu.Seconds(), "cpu-s")
	const mega = 1 << 20
	b.ReportMetric(float64(c.peak)/mega, "peak-MB")
	if all[bare].peak > 0 {
		b.ReportMetric(ratio(c.peak, all[bare].peak), "peak/bare")
	}
	b.ReportMetric(float64(c.state), "state-B")
}

func ratio[T ~int | ~int64](a, b T) float64 { return float64(a) / float64(b) }
