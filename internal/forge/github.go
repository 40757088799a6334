package forge

import (
	"context"
	"fmt"
)

// github reads https://docs.github.com/en/rest/pulls/pulls and https://docs.github.com/en/rest/pulls/reviews.
type github struct{ *client }

func (g github) review(ctx context.Context) (Reviewed, error) {
	return g.byReviews(ctx, fmt.Sprintf("/repos/%s/pulls/%d", g.repository(), g.cfg.PullRequest), "per_page")
}

// byReviews reads who approved from an API whose reviews name their commit. A pull request without an author is
// refused: anybody could be the author.
func (c *client) byReviews(ctx context.Context, path, sizeParameter string) (Reviewed, error) {
	var p pull
	if err := c.get(ctx, path, &p); err != nil {
		return Reviewed{}, err
	}
	if p.User == nil || p.User.Login == "" {
		return Reviewed{}, c.unreadable("the pull request has no author")
	}
	if why := p.unready(); why != "" {
		return Reviewed{}, c.notReady(why, "Nothing has run. Approvals count once it is open and ready for review.")
	}
	if err := c.checkHead(p.Head.SHA); err != nil {
		return Reviewed{}, err
	}
	reviews, err := list[review](ctx, c, path+"/reviews", sizeParameter)
	if err != nil {
		return Reviewed{}, err
	}
	commits, err := list[commit](ctx, c, path+"/commits", sizeParameter)
	if err != nil {
		return Reviewed{}, err
	}
	if p.Commits > len(commits) {
		return Reviewed{}, c.unreadable(fmt.Sprintf("it lists %d of the %d commits of the pull request, so not every "+
			"author is known", len(commits), p.Commits))
	}
	authors := []string{p.User.Login}
	for _, one := range commits {
		authors = append(authors, one.authors()...)
	}
	approvers, objections := standing(reviews, authors, c.cfg.Commit)
	if len(objections) > 0 {
		return Reviewed{}, c.notReady("has open change requests by "+joined(objections),
			"Nothing has run. They have to approve it, or their reviews have to be dismissed.")
	}
	return Reviewed{Approvers: approvers, Authors: authors}, nil
}
