package journal

import (
	"fmt"
	"testing"
	"time"
)

// TestTooManyGaps interleaves removable entries with kept ones. The number of gaps stays within the limit, and no
// execution is removed partially.
func TestTooManyGaps(t *testing.T) {
	t.Parallel()
	// Executions 1 and 2 run concurrently, interleaved with dry runs that are kept. Single dry runs between kept ones
	// follow.
	entries := []struct {
		execution int64
		kind      Kind
		asked     bool
	}{
		{1, KindDryRun, false}, {2, KindIntent, false}, {3, KindIntent, false}, {4, KindDryRun, true},
		{2, KindOutcome, false}, {6, KindDryRun, true}, {3, KindOutcome, false}, {8, KindDryRun, true},
		{9, KindDryRun, false}, {10, KindDryRun, true}, {11, KindDryRun, false}, {12, KindIntent, false},
		{12, KindOutcome, false}, {99, KindAcknowledged, false}, {0, KindCompaction, false},
	}
	for most, want := range map[int]string{1: "0 executions, 0 dry runs, 0 gaps", 2: "1 executions, 0 dry runs, 2 gaps",
		3: "2 executions, 0 dry runs, " +
			"3 gaps", 4: "2 executions, 1 dry runs, 4 gaps", 9: "2 executions, 2 dry runs, 6 gaps"} {
		w := collector{mostGaps: most, seen: map[int64]*candidate{}, newest: map[string]int64{}}
		for i, e := range entries {
			body := `{"status":"success"}`
			if e.kind != KindOutcome {
				body = fmt.Sprintf(`{"preview":{"approval_reasons":%s}}`,
					map[bool]string{true: `["x"]`, false: `[]`}[e.asked])
			}
			if err := w.add(Entry{Seq: int64(i + 1), Execution: e.execution, Kind: e.kind,
				Subject: Subject{Target: "t"}, Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
		c := w.compaction(time.Now())
		if got := fmt.Sprintf("%d executions, %d dry runs, %d gaps", c.Executions, c.DryRuns,
			len(c.Gaps)); got != want {
			t.Errorf("at most %d gaps: got %s, want %s", most, got, want)
		}
		gone := map[int64]int{}
		for _, g := range c.Gaps {
			for seq := g.From; seq <= g.To; seq++ {
				gone[entries[seq-1].execution]++
			}
		}
		for id, n := range gone {
			if id <= int64(len(entries)) && entries[id-1].kind == KindIntent && n != 2 {
				t.Errorf("at most %d gaps: %d entries of execution %d are gone", most, n, id)
			}
		}
	}
}
