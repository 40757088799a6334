package forge

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// user is an account, in the words of GitHub and Gitea.
type user struct {
	Login string `json:"login"`
}

// pull is a pull request, in the words of GitHub and Gitea.
type pull struct {
	User *user `json:"user"`
	Head struct {
		SHA string `json:"sha"`
	} `json:"head"`
}

// review is one review, in the words of GitHub and Gitea. Stale and Dismissed are Gitea's: GitHub has a state for the
// latter.
type review struct {
	ID        int64     `json:"id"`
	User      *user     `json:"user"`
	State     string    `json:"state"`
	CommitID  string    `json:"commit_id"`
	Submitted time.Time `json:"submitted_at"`
	Stale     bool      `json:"stale"`
	Dismissed bool      `json:"dismissed"`
}

const stateApproved = "APPROVED"

// silent are the states that leave an earlier review of the same person as it is: remarks, and reviews not sent yet.
var silent = []string{"COMMENTED", "COMMENT", "PENDING"}

// standing returns who approved the commit by their last word. Every other word takes an earlier approval back: changes
// requested, a dismissal, a review asked for anew, and what is not known here.
func standing(reviews []review, author, commit string) []string {
	reviews = slices.DeleteFunc(slices.Clone(reviews), func(r review) bool {
		return r.User == nil ||
			slices.Contains(silent, r.State)
	})
	slices.SortStableFunc(reviews, func(a, b review) int {
		return cmp.Or(a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	last := map[string]review{}
	for _, r := range reviews {
		last[strings.ToLower(r.User.Login)] = r
	}
	var names []string
	for login, r := range last {
		if r.State == stateApproved && !r.Stale && !r.Dismissed && strings.EqualFold(r.CommitID, commit) &&
			login != "" && !strings.EqualFold(login, author) {
			names = append(names, r.User.Login)
		}
	}
	slices.Sort(names)
	return names
}
