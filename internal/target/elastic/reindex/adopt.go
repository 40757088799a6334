package reindex

import (
	"context"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Adopt returns a Run for a state that another process journaled. A copy that was started and not journaled is found by its label; where there is none, Wait
// removes what is half made and fails.
func Adopt(ctx context.Context, cluster *elastic.Cluster, clk clock.Clock, state State) (*Run, error) {
	r := Resume(cluster, clk, state)
	if state.Stage != StageCreate {
		return r, nil
	}
	task, err := cluster.FindCopy(ctx, state.New)
	switch {
	case err == nil:
		r.state.Task, r.state.Stage = task, StageCopy
		return r, nil
	case elastic.IsMissing(err):
		r.orphan = r.failed("The reindex was interrupted while it was being set up",
			fmt.Sprintf("No running task copies to %s, and it can't be told whether one has.", state.New), nil)
		return r, nil
	default:
		return nil, err
	}
}
