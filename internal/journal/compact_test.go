package journal

import (
	"fmt"
	"testing"
	"time"
)

// TestTooManyGaps interleaves what may go with what stays: no more gaps are made than fit, and no execution goes in
// part.
func TestTooManyGaps(t *testing.T) {
	t.Parallel()
	// Executions 1 and 2 run at once, around dry runs that stay; then there are single dry runs between others that
	// stay.
	entries := []struct {
		execution int64
		kind      Kind
		asked     bool
	}{
		{1, KindIntent, false}, {2, KindIntent, false}, {3, KindDryRun, true}, {1, KindOutcome, false}, {5, KindDryRun,
			true},
		{2, KindOutcome, false}, {7, KindDryRun, true}, {8, KindDryRun, false}, {9, KindDryRun, true}, {10, KindDryRun,
			false},
		{11, KindIntent, false}, {11, KindOutcome, false}, {99, KindAcknowledged, false}, {0, KindCompaction, false},
	}
	for most, want := range map[int]string{1: "0 executions, 0 dry runs, 0 gaps", 2: "1 executions, 0 dry runs, 2 gaps",
		3: "2 executions, 0 dry runs, " +
			"3 gaps", 4: "2 executions, 1 dry runs, 4 gaps", 9: "2 executions, 2 dry runs, 6 gaps"} {
		w := walk{mostGaps: most, seen: map[int64]*candidate{}, newest: map[string]int64{}}
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
