package forge

import (
	"context"
	"fmt"
)

// gitea reads the API that each server documents under /api/swagger. Its reviews report whether they are stale or
// dismissed.
type gitea struct{ *client }

func (g gitea) review(ctx context.Context) (Reviewed, error) {
	return g.byReviews(ctx, fmt.Sprintf("/repos/%s/pulls/%d", g.repository(), g.cfg.PullRequest), "limit")
}
