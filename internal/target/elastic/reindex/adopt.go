package reindex

import (
	"context"
	"errors"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// ErrNothing means that there is no state to continue from.
var ErrNothing = errors.New("the reindex was never started")

// Adopt returns a Run for a state that another process journaled. To find a copy that was started but not journaled, it
// searches the task list for one that writes to the new index. If there is none, Wait removes the incomplete index and
// fails. ErrNothing means that the state is empty.
func (c Copier) Adopt(ctx context.Context, state State) (*Run, error) {
	if state.Old == "" || state.New == "" || state.Name == "" {
		return nil, ErrNothing
	}
	r := c.resume(state)
	if state.Stage != StageCreate {
		return r, nil
	}
	task, err := c.cluster.FindCopy(ctx, state.New)
	switch {
	case err == nil:
		r.state.Task, r.state.Stage = task, StageCopy
		return r, nil
	case elastic.IsMissing(err):
		r.unadoptable = r.failed("The reindex was interrupted while it was being set up",
			fmt.Sprintf("No task is copying to %s, and it is unknown whether one did before.", state.New), nil)
		return r, nil
	default:
		return nil, err
	}
}
