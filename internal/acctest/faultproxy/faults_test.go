package faultproxy_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/faultproxy"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

var (
	seed  = flag.Uint64("faults.seed", 7, "what chooses the cases and their order")
	cases = flag.Int("faults.cases", 3, "how many cases a playbook has at most; 0 for all")
	only  = flag.String("faults.only", "", "the case to run, as a failure names it")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(elastictest.Main(m))
}

// TestEveryPlaybookIsBehindTheProxy lists the playbooks without their own requests: dbt connects to the warehouse.
func TestEveryPlaybookIsBehindTheProxy(t *testing.T) {
	t.Parallel()
	without := []string{"rerun_dbt", "refresh_dbt_dependencies"}
	all := subjects()
	for _, playbook := range provider.ActionTypes() {
		behind := slices.ContainsFunc(all, func(s named) bool { return strings.HasPrefix(s.name, playbook) })
		if behind == slices.Contains(without, playbook) {
			t.Errorf("%s is behind the proxy: %t. Add it to subjects(), or here where it sends no requests itself",
				playbook, behind)
		}
	}
}

// TestFaultsLoseNothing injects each fault into each request of an apply, once and for longer than any retry.
func TestFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	stream := uint64(0)
	for _, s := range subjects() {
		stream++
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			made := s.make(t)
			if !strings.HasPrefix(s.name, made.action) && s.name != guardrailSubject {
				t.Fatalf("%s is a subject of %s", s.name, made.action)
			}
			b := newBench(t, made)
			all := b.cases()
			rng := rand.New(rand.NewPCG(*seed, stream)) //nolint:gosec // it chooses cases
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			if *only != "" {
				all = slices.DeleteFunc(all, func(c spoiled) bool { return c.String() != *only })
			} else if *cases > 0 {
				all = all[:min(*cases, len(all))]
			}
			for _, c := range all {
				b.check(c)
			}
			b.verify()
			t.Logf("%d cases, seed %d", len(all), *seed)
		})
	}
}

// cases returns all cases for the requests of an apply without a fault.
func (b *bench) cases() []spoiled {
	b.t.Helper()
	b.begin(b.t)
	b.run++
	b.proxy.Spoil("", 0, 0)
	if _, err := b.apply(); err != nil {
		b.t.Fatal(err)
	}
	n := len(b.proxy.Seen())
	if wrong := b.amiss(b.t); wrong != "" {
		b.t.Fatal(wrong)
	}
	var all []spoiled
	for nth := range n {
		for _, f := range faultproxy.Faults() {
			// More than any client retries.
			const lasting = 6
			all = append(all, spoiled{f, nth, 1}, spoiled{f, nth, lasting})
		}
	}
	return all
}

// TestEndlessAnswersAreNotRead checks that no client reads more than it can use.
func TestEndlessAnswersAreNotRead(t *testing.T) { //nolint:paralleltest // it measures the memory of the whole process
	const bound = 256 << 20
	for _, s := range subjects() {
		b := newBench(t, s.make(t))
		n, step := len(b.cases())/(2*len(faultproxy.Faults())), 1
		if *cases > 0 {
			step = n / *cases + 1
		}
		for nth := 0; nth < n; nth += step {
			b.begin(t)
			b.run++
			b.proxy.Spoil(faultproxy.Huge, nth, 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = b.apply() // another test checks whether it succeeds
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > bound {
				t.Errorf("%s: %d MiB were used for an endless answer to %s %s", s.name, used>>20,
					b.proxy.Seen()[nth].Method, b.proxy.Seen()[nth].URI)
			}
		}
	}
}
