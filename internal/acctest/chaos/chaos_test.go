// Package chaos_test kills processes. It runs real applies with real Terraform on real components. It kills the
// provider, Terraform or both at every point of the engine, around every change of a target, and at random times. Then
// it lets the next applies finish, and checks what the targets received, the journal, the state and the second plan.
package chaos_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

var (
	seed  = flag.Uint64("chaos.seed", 7, "what decides the order and the times of the kills")
	kills = flag.Int("chaos.kills", 16, "how many kills to make in all")
	limit = flag.Duration("chaos.for", time.Hour, "after how long no chain begins another round")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(elastictest.Main(m))
}

var digits = regexp.MustCompile(`\d+`)

// killer is the provider that kills itself, built once per test process.
var killer = sync.OnceValues(func() (string, error) { return acctest.Build("./internal/acctest/chaos/provider") })

// listed is a world before it is created, with its share of the kills.
type listed struct {
	playbook, name string
	make           func(*testing.T) *world
	part           float64
}

// worlds lists all playbooks on all targets that they can change here.
func worlds() []listed {
	return []listed{
		{"rerun_dbt", "dbt_run", dbtRun, 1.2},
		{"refresh_dbt_dependencies", "dbt_deps", dbtDeps, 1.2},
		{"clear_cache", "clear_cache", clearCache, 3},
		{"refresh_synonyms", "synonyms_reload", func(t *testing.T) *world { return refreshSynonyms(t, "reload") }, 1},
		{"refresh_synonyms", "synonyms_close_open", func(t *testing.T) *world { return refreshSynonyms(t, "close_open") }, 1},
		{"refresh_synonyms", "synonyms_reindex", func(t *testing.T) *world { return refreshSynonyms(t, "reindex") }, 1},
		{"check_metrics", "metric_gate", metricGate, 1},
		{"adjust_canary_split", "canary_http", func(t *testing.T) *world { return canary(overHTTP(t), "http", 0) }, 2},
		{"adjust_canary_split", "canary_http_gradual", func(t *testing.T) *world { return canary(overHTTP(t), "http", 2) }, 2},
		{"adjust_canary_split", "canary_guard_gradual", func(t *testing.T) *world { return canary(overGuard(t), "applylens", 2) }, 1},
		{"adjust_canary_split", "canary_file", func(t *testing.T) *world { return canary(overFile(t), "file", 0) }, 1},
		{"rollback_planner", "rollback_http", func(t *testing.T) *world { return rollback(overHTTP(t), "http", 0) }, 1},
		{"rollback_planner", "rollback_guard", func(t *testing.T) *world { return rollback(overGuard(t), "applylens", 0) }, 1},
		{"rollback_planner", "rollback_file_gradual", func(t *testing.T) *world { return rollback(overFile(t), "file", 2) }, 1},
		{"deploy_planner", "deploy_http", func(t *testing.T) *world { return deploy(overHTTP(t), "http") }, 1},
		{"deploy_planner", "deploy_guard", func(t *testing.T) *world { return deploy(overGuard(t), "applylens") }, 1},
		{"resolve_incident", "resolve_incident", resolveIncident, 1.5},
		{"deploy_planner", "deploy_file", func(t *testing.T) *world { return deploy(overFile(t), "file") }, 1},
	}
}

func TestEveryPlaybookHasAWorld(t *testing.T) {
	t.Parallel()
	all := worlds()
	for _, playbook := range provider.ActionTypes() {
		if !slices.ContainsFunc(all, func(w listed) bool { return w.playbook == playbook }) {
			t.Errorf("%s is in no world of worlds(): nothing shows what a crash in it leaves", playbook)
		}
	}
}

// TestAccNothingLostNothingTwice runs the whole suite.
func TestAccNothingLostNothingTwice(t *testing.T) {
	t.Parallel()
	binary, err := killer()
	if err != nil {
		t.Fatal(err)
	}
	sum := newTally()
	until := time.Now().Add(*limit)
	t.Cleanup(func() {
		fmt.Print(sum.report())
		sum.complete(t)
	})
	all := 0.0
	for _, w := range worlds() {
		all += w.part
	}
	for i, w := range worlds() {
		quota := int(math.Ceil(float64(*kills) * w.part / all))
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			sum.want(quota)
			made := w.make(t)
			if made.playbook != w.playbook {
				t.Fatalf("the world is one of %s, listed under %s", made.playbook, w.playbook)
			}
			newChain(t, made, binary, sum, uint64(i)).play(quota, until)
		})
	}
}

func newChain(t *testing.T, w *world, binary string, sum *tally, stream uint64) *chain {
	t.Helper()
	const firstApply = 1500 * time.Millisecond
	c := &chain{
		t: t, w: w, ws: acctest.NewWorkspaceOf(t, binary,
			w.env...), tally: sum, dir: t.TempDir(), seen: map[int64]bool{},
		deck: &deck{
			rng:   rand.New(rand.NewPCG(*seed, stream)), //nolint:gosec // it decides when to kill
			takes: w.takes, apply: firstApply, changes: w.arm == nil, spawns: w.arm != nil, steps: w.steps,
		},
	}
	w.ledger.holder = c.holder
	w.ledger.newest = func() int64 { return c.last(journal.Filter{}) }
	t.Cleanup(func() {
		c.providers(true)
		if c.store != nil {
			_ = c.store.Close()
		}
	})
	return c
}
