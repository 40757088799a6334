package forge

import (
	"context"
	"fmt"
)

// github reads https://docs.github.com/en/rest/pulls/reviews.
type github struct{ *client }

func (g github) approvers(ctx context.Context) ([]string, error) {
	return g.byReviews(ctx, fmt.Sprintf("/repos/%s/pulls/%d", g.repository(), g.cfg.PullRequest), "per_page")
}

// byReviews is for the APIs that list reviews with their commits. An author who can't be told ends it: anybody could be
// the author.
func (c *client) byReviews(ctx context.Context, path, sizeParameter string) ([]string, error) {
	var p pull
	if err := c.get(ctx, path, &p); err != nil {
		return nil, err
	}
	if p.User == nil || p.User.Login == "" {
		return nil, c.unreadable("the pull request has no author")
	}
	if err := c.checkHead(p.Head.SHA); err != nil {
		return nil, err
	}
	reviews, err := list[review](ctx, c, path+"/reviews", sizeParameter)
	if err != nil {
		return nil, err
	}
	return standing(reviews, p.User.Login, c.cfg.Commit), nil
}
