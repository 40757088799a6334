package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
)

// tally counts over all chains.
type tally struct {
	mu                         sync.Mutex
	playbooks, places, victims map[string]int
	executions                 map[*world]int
	violations, retries        map[string]int
	kills, torn, orphans       int
	// wanted is the number of kills that the chains should make.
	wanted int
}

func newTally() *tally {
	return &tally{
		playbooks: map[string]int{}, places: map[string]int{}, victims: map[string]int{}, executions: map[*world]int{},
		violations: map[string]int{}, retries: map[string]int{},
	}
}

func (t *tally) kill(playbook string, s shot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kills++
	t.playbooks[playbook]++
	t.places[s.where()]++
	t.victims[s.victim]++
}

// want adds the number of kills that a chain should make.
func (t *tally) want(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted += n
}

func (t *tally) count(n *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n++
}

// leave counts providers that outlived their Terraform and had to be killed.
func (t *tally) leave(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.orphans += n
}

func (t *tally) violation(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations[kind]++
}

func (t *tally) executed(w *world, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.executions[w] = n
}

// retry records why an apply without a kill failed.
func (t *tally) retry(out string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	why := "?"
	if _, after, ok := strings.Cut(flat(out), "Error: "); ok {
		why = digits.ReplaceAllString(after, "N")
		why = why[:min(len(why), 110)]
	}
	t.retries[why]++
}

// complete fails unless a run of sufficient size has made all requested kills, at every point.
func (t *tally) complete(tb testing.TB) {
	tb.Helper()
	const someSize = 300
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kills < t.wanted && !tb.Failed() {
		tb.Errorf("%d kills, asked for were %d: the time was over (-chaos.for)", t.kills, t.wanted)
	}
	if t.wanted < someSize {
		return
	}
	for _, p := range engine.Points() {
		if at := (shot{point: p}).where(); t.places[at] == 0 {
			tb.Errorf("nobody was killed %s", at)
		}
	}
}

// report returns the text that make chaos prints.
func (t *tally) report() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	table := func(title string, counts map[string]int) {
		line("%s:", title)
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			line("  %5d  %s", counts[name], name)
		}
	}
	executions := 0
	for _, n := range t.executions {
		executions += n
	}
	line("seed: %d", *seed)
	line("kills: %d", t.kills)
	table("by playbook", t.playbooks)
	table("by victim", t.victims)
	table("by place", t.places)
	table("applies without a kill that failed", t.retries)
	line("executions: %d", executions)
	line("states that Terraform left torn: %d", t.torn)
	line("providers that outlived their Terraform: %d", t.orphans)
	line("second dispatches: %d", t.violations["second"])
	line("lost records: %d", t.violations["lost"])
	line("doubled executions: %d", t.violations["doubled"])
	line("histories that differ: %d", t.violations["history"])
	return b.String()
}
