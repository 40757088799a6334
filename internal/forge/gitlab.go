package forge

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// gitlab reads https://docs.gitlab.com/api/merge_request_approvals/ and the versions of
// https://docs.gitlab.com/api/merge_requests/.
//
// An approval names no commit. It counts for the head if it is newer than the newest version, which is the last push.
// This holds whether or not the project resets approvals on push.
type gitlab struct{ *client }

// gitlabUser is an account as GitLab encodes it.
type gitlabUser struct {
	Username string `json:"username"`
}

type mergeRequest struct {
	SHA    string      `json:"sha"`
	Author *gitlabUser `json:"author"`
	State  string      `json:"state"`
	Draft  bool        `json:"draft"`
	// Status is "requested_changes" while a reviewer asks for changes.
	Status string `json:"detailed_merge_status"`
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

// unready returns why approvals of the merge request don't count, or "" if they do.
func (r mergeRequest) unready() string {
	switch {
	case r.Draft:
		return "is a draft"
	case r.State != "opened" && r.State != "merged":
		return "is closed, and was not merged"
	case r.Status == "requested_changes":
		return "has open change requests"
	}
	return ""
}

// gitlabCommit is a commit of a merge request. GitLab does not say which account its author has.
type gitlabCommit struct {
	Email   string `json:"author_email"`
	Message string `json:"message"`
}

func (g gitlab) review(ctx context.Context) (Reviewed, error) {
	path := fmt.Sprintf("/projects/%s/merge_requests/%d", url.PathEscape(g.cfg.Repository), g.cfg.PullRequest)
	// Read the approvals first. Otherwise the approval of a push between the reads would count for the version before
	// it.
	var given approvals
	if err := g.get(ctx, path+"/approvals", &given); err != nil {
		return Reviewed{}, err
	}
	versions, err := list[version](ctx, g.client, path+"/versions", "per_page")
	if err != nil {
		return Reviewed{}, err
	}
	if len(versions) == 0 {
		return Reviewed{}, g.unreadable("the merge request has no versions")
	}
	commits, err := list[gitlabCommit](ctx, g.client, path+"/commits", "per_page")
	if err != nil {
		return Reviewed{}, err
	}
	var request mergeRequest
	if err := g.get(ctx, path, &request); err != nil {
		return Reviewed{}, err
	}
	if request.Author == nil || request.Author.Username == "" {
		return Reviewed{}, g.unreadable("the merge request has no author")
	}
	if why := request.unready(); why != "" {
		return Reviewed{}, g.notReady(why, "Nothing has run. Approvals count once it is open, is not a draft, and "+
			"has no open change requests.")
	}
	newest := slices.MaxFunc(versions, func(a, b version) int { return a.Created.Compare(b.Created) })
	for _, head := range []string{request.SHA, newest.Head} {
		if err := g.checkHead(head); err != nil {
			return Reviewed{}, err
		}
	}
	found := Reviewed{Authors: []string{request.Author.Username}}
	for _, c := range commits {
		found.Authors = append(found.Authors, people(c.Email, c.Message)...)
	}
	found.Approvers, err = g.since(given, newest.Created, found.Authors)
	return found, err
}

// since returns who approved after the last push, without authors and bots.
func (g gitlab) since(given approvals, pushed time.Time, authors []string) ([]string, error) {
	var names []string
	for _, a := range given.ApprovedBy {
		switch {
		case a.User == nil || a.User.Username == "" || among(authors, a.User.Username),
			botName.MatchString(a.User.Username):
		case a.ApprovedAt == nil:
			return nil, g.unreadable("GitLab does not say when the merge request was approved (approved_at), so the " +
				"approval may be for an older commit")
		case a.ApprovedAt.After(pushed):
			names = append(names, a.User.Username)
		}
	}
	slices.Sort(names)
	return names, nil
}
