package reindex

import (
	"context"
	"errors"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// ErrNothing says that there is no state to go on with.
var ErrNothing = errors.New("the reindex was never begun")

// Adopt returns a Run for a state that another process journaled. A copy that was started and not journaled is found by
// its label; where there is none, Wait removes what is half made and fails. ErrNothing says that the state is empty.
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
		r.orphan = r.failed("The reindex was interrupted while it was being set up",
			fmt.Sprintf("No running task copies to %s, and it can't be told whether one has.", state.New), nil)
		return r, nil
	default:
		return nil, err
	}
}
