package forge

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// user is an account as GitHub and Gitea encode it.
type user struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	// Type is "Bot" for GitHub's apps. Gitea has none.
	Type string `json:"type"`
}

// pull is a pull request as GitHub and Gitea encode it.
type pull struct {
	User  *user  `json:"user"`
	State string `json:"state"`
	// Merged reports that it was closed by a merge, after which its approvals still count.
	Merged bool `json:"merged"`
	Draft  bool `json:"draft"`
	// Title marks drafts in older Gitea versions.
	Title string `json:"title"`
	Head  struct {
		SHA string `json:"sha"`
	} `json:"head"`
	// Commits is GitHub's number of commits. Its list of them ends after 250.
	Commits int `json:"commits"`
}

var draftTitle = regexp.MustCompile(`(?i)^\s*(wip:|\[wip\])`)

// unready returns why approvals of the pull request don't count, or "" if they do.
func (p pull) unready() string {
	switch {
	case p.Draft, draftTitle.MatchString(p.Title):
		return "is a draft"
	case p.State != "open" && !p.Merged:
		return "is closed, and was not merged"
	}
	return ""
}

// commit is a commit of a pull request as GitHub and Gitea encode it.
type commit struct {
	Author *user `json:"author"`
	Commit struct {
		Author struct {
			Email string `json:"email"`
		} `json:"author"`
		Message string `json:"message"`
	} `json:"commit"`
}

// authors returns the logins and mail addresses of the commit's author and co-authors.
func (c commit) authors() (names []string) {
	if c.Author != nil && c.Author.Login != "" {
		names = append(names, c.Author.Login)
	}
	return append(names, people(c.Commit.Author.Email, c.Commit.Message)...)
}

// coAuthor matches the trailer that names another author of a commit, as all three forges read it.
var coAuthor = regexp.MustCompile(`(?im)^[ \t]*co-authored-by:(.*)$`)

// address matches a mail address within a trailer.
var address = regexp.MustCompile(`[^\s<>,;]+@[^\s<>,;]+`)

// people returns the mail addresses of a commit's author and of the co-authors in its message. An address that a forge
// gives to an account is followed by the account's login.
func people(author, message string) (names []string) {
	emails := []string{author}
	for _, trailer := range coAuthor.FindAllStringSubmatch(message, -1) {
		emails = append(emails, address.FindAllString(trailer[1], -1)...)
	}
	for _, email := range emails {
		if email == "" {
			continue
		}
		names = append(names, email)
		if login := private.FindStringSubmatch(email); login != nil {
			names = append(names, login[1])
		}
	}
	return names
}

// private matches the addresses that hide a mail address: 1234+login@users.noreply.github.com, or without the number,
// 1234-login@users.noreply.gitlab.com, and login@noreply.gitea.example.com.
var private = regexp.MustCompile(`(?i)^(?:\d+[+-])?([^@+]+)@(?:users\.)?noreply\.`)

// review is one review as GitHub and Gitea encode it. Stale and Dismissed are Gitea's; GitHub has a state for dismissed
// reviews.
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

// neutral returns the states that don't change an earlier review by the same person: comments, and reviews that are not
// sent yet.
func neutral() []string { return []string{"COMMENTED", "COMMENT", "PENDING"} }

// objecting returns the states of a review that requests changes.
func objecting() []string { return []string{"CHANGES_REQUESTED", "REQUEST_CHANGES"} }

// botName matches the accounts of GitLab's tokens, GitHub's apps, and Gitea's actions.
var botName = regexp.MustCompile(`(?i)(\[bot\]$|^(project|group)_\d+_bot|^(ghost|gitea-actions|github-actions)$)`)

// bot reports whether the account does not belong to a person. System accounts of Gitea have negative IDs.
func (u user) bot() bool { return u.Type == "Bot" || u.ID < 0 || botName.MatchString(u.Login) }

// standing returns who approved the commit in their last review, and who requested changes in theirs, to any commit.
// Any other last review withdraws an earlier approval: a dismissal, a new request for review, or an unknown state.
func standing(reviews []review, authors []string, commit string) (approvers, objections []string) {
	reviews = slices.DeleteFunc(slices.Clone(reviews), func(r review) bool {
		return r.User == nil || r.User.Login == "" || slices.Contains(neutral(), r.State)
	})
	slices.SortStableFunc(reviews, func(a, b review) int {
		return cmp.Or(a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	last := map[string]review{}
	for _, r := range reviews {
		last[strings.ToLower(r.User.Login)] = r
	}
	for login, r := range last {
		author := among(authors, login)
		switch {
		case r.Dismissed:
		case slices.Contains(objecting(), r.State):
			objections = append(objections, r.User.Login)
		case r.State == stateApproved && !r.Stale && strings.EqualFold(r.CommitID, commit) && !author && !r.User.bot():
			approvers = append(approvers, r.User.Login)
		}
	}
	slices.Sort(approvers)
	slices.Sort(objections)
	return approvers, objections
}

// among reports whether the login is one of the names.
func among(names []string, login string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, login) })
}

func joined(names []string) string { return strings.Join(names, ", ") }
