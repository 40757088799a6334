package engine_test

import (
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

func TestSkipIsJournaledAndHasNotRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.plan(t, request("a"))
	if err := b.Skip(t.Context(), request("a"), ""); err != nil {
		t.Fatal(err)
	}
	all, err := b.store.Find(t.Context(), journal.Filter{All: true})
	if err != nil || len(all) != 2 || all[1].Status != journal.StatusSkipped {
		t.Fatalf("the journal holds %+v, %v", all, err)
	}
	after := b.plan(t, request("a"))
	if after.Number != 1 || len(after.History) != 0 || before.Digest != after.Digest {
		t.Errorf("the skip counts as an execution: %+v", after)
	}
	if x, err := b.apply(t, request("a")); err != nil || x.Adopted || b.fake.count("dispatch") != 1 {
		t.Errorf("%d dispatches, %v", b.fake.count("dispatch"), err)
	}
}
