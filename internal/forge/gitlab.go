package forge

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// gitlab reads https://docs.gitlab.com/api/merge_request_approvals/ and the versions of
// https://docs.gitlab.com/api/merge_requests/.
//
// An approval names no commit. It is one of the head where it was given after the newest version, that is the last
// push, came to be; whether the project resets approvals on push doesn't matter then. Who requests changes loses their
// approval at GitLab itself.
type gitlab struct{ *client }

// gitlabUser is an account in GitLab's words.
type gitlabUser struct {
	Username string `json:"username"`
}

type mergeRequest struct {
	SHA    string      `json:"sha"`
	Author *gitlabUser `json:"author"`
}

type approvals struct {
	ApprovedBy []struct {
		User       *gitlabUser `json:"user"`
		ApprovedAt *time.Time  `json:"approved_at"`
	} `json:"approved_by"`
}

type version struct {
	Head    string    `json:"head_commit_sha"`
	Created time.Time `json:"created_at"`
}

func (g gitlab) approvers(ctx context.Context) ([]string, error) {
	path := fmt.Sprintf("/projects/%s/merge_requests/%d", url.PathEscape(g.cfg.Repository), g.cfg.PullRequest)
	// The approvals first: an approval of a later push is then never taken for one of the version that is read after
	// it.
	var given approvals
	if err := g.get(ctx, path+"/approvals", &given); err != nil {
		return nil, err
	}
	versions, err := list[version](ctx, g.client, path+"/versions", "per_page")
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, g.unreadable("the merge request has no versions")
	}
	var request mergeRequest
	if err := g.get(ctx, path, &request); err != nil {
		return nil, err
	}
	if request.Author == nil || request.Author.Username == "" {
		return nil, g.unreadable("the merge request has no author")
	}
	newest := slices.MaxFunc(versions, func(a, b version) int { return a.Created.Compare(b.Created) })
	for _, head := range []string{request.SHA, newest.Head} {
		if err := g.checkHead(head); err != nil {
			return nil, err
		}
	}
	return g.since(given, newest.Created, request.Author.Username)
}

// since returns who approved after the time, the author excluded.
func (g gitlab) since(given approvals, pushed time.Time, author string) ([]string, error) {
	var names []string
	for _, a := range given.ApprovedBy {
		switch {
		case a.User == nil || a.User.Username == "" || strings.EqualFold(a.User.Username, author):
		case a.ApprovedAt == nil:
			return nil, g.unreadable("GitLab doesn't say when the merge request was approved (approved_at), so the " +
				"approval may be one of an older commit")
		case a.ApprovedAt.After(pushed):
			names = append(names, a.User.Username)
		}
	}
	slices.Sort(names)
	return names, nil
}
