package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/forge"
)

// TestWhoseApprovalsDoNotCount changes one thing in the fixtures, whose approvers are boss and frank.
func TestWhoseApprovalsDoNotCount(t *testing.T) {
	t.Parallel()
	const approves = `,{"user":{"login":"%s","id":%d,"type":"%s"},"state":"APPROVED","commit_id":"` + head +
		`","submitted_at":"2026-01-29T10:00:00Z","id":99}]`
	more := func(login, kind string, id int) func(string) string {
		return func(s string) string {
			return strings.TrimRight(strings.TrimSpace(s), "]") + fmt.Sprintf(approves, login, id, kind)
		}
	}
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for name, tt := range map[string]struct {
		kind   forge.Kind
		path   string // of the changed answer
		change func(string) string
		says   string // a substring of the error; empty if boss and frank still count
	}{
		"a draft":                    {forge.GitHub, pull, swap(`"draft": false`, `"draft": true`), "is a draft"},
		"a draft at Gitea, by title": {forge.Gitea, pull, swap("Run the models", "WIP: Run the models"), "is a draft"},
		"a draft at GitLab":          {forge.GitLab, request, swap(`"draft": false`, `"draft": true`), "is a draft"},
		"closed":                     {forge.GitHub, pull, swap(`"open"`, `"closed"`), "is closed"},
		"closed at Gitea":            {forge.Gitea, pull, swap(`"open"`, `"closed"`), "is closed"},
		"closed at GitLab":           {forge.GitLab, request, swap(`"opened"`, `"closed"`), "is closed"},
		"merged": {forge.GitHub, pull, func(s string) string {
			return strings.NewReplacer(`"open"`, `"closed"`, `"merged": false`, `"merged": true`).Replace(s)
		}, ""},
		"merged at GitLab": {forge.GitLab, request, swap(`"opened"`, `"merged"`), ""},
		"changes requested": {forge.GitHub, "/reviews?page=2", swap(`"DISMISSED"`, `"CHANGES_REQUESTED"`),
			"change requests by"},
		"changes requested at Gitea": {forge.Gitea, "/reviews?limit=50&page=2", swap("REQUEST_REVIEW",
			"REQUEST_CHANGES"), "change requests by dana"},
		"changes requested at GitLab": {forge.GitLab, request, swap(`"mergeable"`, `"requested_changes"`),
			"open change requests"},
		"a bot":             {forge.GitHub, "/reviews?page=2", more("helper", "Bot", 7), ""},
		"an app":            {forge.GitHub, "/reviews?page=2", more("helper[bot]", "User", 7), ""},
		"actions of Gitea":  {forge.Gitea, "/reviews?limit=50&page=2", more("robot", "", -2), ""},
		"a token of GitLab": {forge.GitLab, request + "/approvals", swap(`"gina"`, `"project_3_bot_1f"`), ""},
		"the author of a commit": {forge.GitHub, "/commits?page=1", swap(`"login": "octocat"`, `"login": "ivan"`),
			""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := map[forge.Kind]map[string]string{forge.GitHub: githubAnswers(), forge.Gitea: giteaAnswers(),
				forge.GitLab: gitlabAnswers()}[tt.kind]
			s := newServer(t, "Authorization", answers)
			changed := false
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				uri := r.URL.RequestURI()
				if file := answers[uri]; file != "" && (uri == tt.path || tt.path[1] != 'a' && strings.Contains(uri,
					tt.path)) {
					text, err := os.ReadFile(filepath.Join("testdata", file))
					now := tt.change(string(text))
					if err != nil || now == string(text) {
						t.Errorf("%s is not changed: %v", file, err)
					}
					changed = true
					_, _ = w.Write([]byte(now))
					return true
				}
				return false
			}
			found, err := forge.New(s.config(tt.kind), clock.System{}).Read(t.Context())
			if tt.says != "" {
				if !errors.Is(err, forge.ErrNotOpen) || !strings.Contains(err.Error(), tt.says) ||
					found.Approvers != nil {
					t.Errorf("%v, %v", found, err)
				}
				return
			}
			if diff := cmp.Diff([]string{"boss", "frank"}, found.Approvers); diff != "" || err != nil || !changed {
				t.Errorf("%v, changed %t (-want +got):\n%s", err, changed, diff)
			}
		})
	}
}

// TestWhoWroteACommitDoesNotApproveIt makes boss the author of one of the commits.
func TestWhoWroteACommitDoesNotApproveIt(t *testing.T) {
	t.Parallel()
	s := newServer(t, "Authorization", githubAnswers())
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.RequestURI(), "/commits?page=1") &&
			reply(http.StatusOK, `[{"author": {"login": "Boss"}, "commit": {"author": {"email": "b@example.com"}}}]`)(w,
				r)
	}
	found, err := forge.New(s.config(forge.GitHub), clock.System{}).Read(t.Context())
	if err != nil || !slices.Equal(found.Approvers, []string{"frank"}) || !slices.Contains(found.Authors,
		"b@example.com") {
		t.Errorf("%v, %v", found, err)
	}
}

// TestCoAuthorsDoNotApprove names co-authors in the message of a commit, in the forms that the forges write.
func TestCoAuthorsDoNotApprove(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		trailer string
		// approvers still count, and authors has this name.
		approvers []string
		author    string
	}{
		"an address": {"Co-authored-by: Boss <b@example.com>", []string{"boss", "frank"}, "b@example.com"},
		"GitHub's private address": {"Co-authored-by: B <583231+Boss@users.noreply.github.com>",
			[]string{"frank"}, "Boss"},
		"an older private address": {"co-authored-by: B <boss@users.noreply.github.com>", []string{"frank"}, "boss"},
		"GitLab's private address": {"Co-Authored-By: B <17-frank@users.noreply.gitlab.com>",
			[]string{"boss"}, "frank"},
		"Gitea's private address": {"Co-authored-by: B <frank@noreply.gitea.example.com>",
			[]string{"boss"}, "frank"},
		"an address without brackets": {"Co-authored-by: b@example.com", []string{"boss", "frank"}, "b@example.com"},
		"two trailers": {"Co-authored-by: A <a@example.com>\\r\\nCo-authored-by: B <boss@users.noreply.github.com>",
			[]string{"frank"}, "a@example.com"},
		"another trailer": {"Signed-off-by: B <boss@users.noreply.github.com>",
			[]string{"boss", "frank"}, "octocat"},
		"a sentence about others": {"Not co-authored-by: boss@users.noreply.github.com",
			[]string{"boss", "frank"}, "octocat"},
	} {
		for kind, answers := range map[forge.Kind]map[string]string{forge.GitHub: githubAnswers(),
			forge.Gitea: giteaAnswers(), forge.GitLab: gitlabAnswers()} {
			t.Run(name+" at "+string(kind), func(t *testing.T) {
				t.Parallel()
				message := "Rename a model\\n\\n" + tt.trailer + `\n`
				s := newServer(t, "Authorization", answers)
				s.before = func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.RequestURI(), "/commits?") ||
						!strings.Contains(r.URL.RawQuery, "page=1") {
						return false
					}
					return reply(http.StatusOK, `[{"author": null, "commit": {"author": {"email": "i@example.com"},
						"message": "`+message+`"}, "author_email": "i@example.com", "message": "`+message+`"}]`)(w, r)
				}
				found, err := forge.New(s.config(kind), clock.System{}).Read(t.Context())
				if err != nil || !slices.Contains(found.Authors, tt.author) {
					t.Errorf("authors %q, %v", found.Authors, err)
				}
				if diff := cmp.Diff(tt.approvers, found.Approvers); diff != "" {
					t.Errorf("approvers (-want +got):\n%s", diff)
				}
			})
		}
	}
}
