package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// compacted names the detail of a result that reports a compaction of the journal.
const compacted = "journal_compacted"

// compact removes old entries from the journal, as part of an apply, and says so in the details of the result. A plan
// removes nothing. A failure to compact is not a failure of the execution.
func (r *run) compact(ctx context.Context, details map[string]string) map[string]string {
	keep := r.engine.cfg.Keep
	if keep == 0 {
		return details
	}
	before := r.engine.cfg.Clock.Now().Add(-keep)
	c, err := journal.Removable(ctx, r.store, before)
	if err != nil {
		return merged(details, map[string]string{compacted: "failed: " + err.Error()})
	}
	if c.Empty() {
		return details
	}
	c.By = r.engine.cfg.Self
	entry, err := r.store.Compact(ctx, c)
	if err != nil {
		return merged(details, map[string]string{compacted: "failed: " + err.Error()})
	}
	return merged(details, map[string]string{compacted: fmt.Sprintf(
		"%d executions and %d dry runs that had ended before %s were removed (entry %d of the journal lists them)",
		c.Executions, c.DryRuns, before.Format(time.RFC3339), entry.Seq)})
}
