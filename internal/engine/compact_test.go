package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// TestJournalIsCompactedByPolicyAndSaysSo ages three executions and a plan, and applies again.
func TestJournalIsCompactedByPolicyAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]time.Duration{"kept for ever": 0, "kept for a month": 30 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *engine.Config) { c.Keep = keep })
			for range 3 {
				if _, err := b.apply(t, request("a")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.Plan(t.Context(), request("b")); err != nil {
				t.Fatal(err)
			}
			b.clock.jump(60 * 24 * time.Hour)
			// A plan removes nothing.
			if _, err := b.Plan(t.Context(), request("c")); err != nil {
				t.Fatal(err)
			}
			if chain, err := journal.Verify(t.Context(), b.store); err != nil || chain.Removed != 0 {
				t.Fatalf("after a plan: %+v, %v", chain, err)
			}
			x, err := b.apply(t, request("a"))
			if err != nil {
				t.Fatal(err)
			}
			chain, err := journal.Verify(t.Context(), b.store)
			if err != nil || !chain.Holds() {
				t.Errorf("%+v, %v", chain, err)
			}
			said := x.Record.Result.Details["journal_compacted"]
			if keep == 0 {
				if said != "" || chain.Removed != 0 {
					t.Errorf("%q, %d entries removed", said, chain.Removed)
				}
				return
			}
			if !strings.Contains(said, "1 executions and 1 dry runs") || chain.Removed != 4 {
				t.Errorf("%q, %d entries removed", said, chain.Removed)
			}
			// The first execution identifies the journal, and the policy is compared with the last one. Both are kept,
			// like this one.
			if left, err := b.store.Find(t.Context(), journal.Filter{}); err != nil || len(left) != 3 {
				t.Errorf("%d executions are left, %v", len(left), err)
			}
		})
	}
}
