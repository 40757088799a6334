package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/forge"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const (
	head  = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	older = "ecdd80bb57125d7ba9641ffaa4d7d2c19d3f3091"
	token = "a-very-secret-token"
)

// server answers paths with files of testdata or with its own answers, and records the requests.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	// answers are files by the path and query, as sent.
	answers map[string]string
	// before can answer instead.
	before func(http.ResponseWriter, *http.Request) bool
	header string
}

func newServer(t *testing.T, header string, answers map[string]string) *server {
	t.Helper()
	s := &server{answers: answers, header: header}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, fmt.Sprintf("%s %s %s=%s", r.Method, r.URL.RequestURI(), header,
			r.Header.Get(header)))
		s.mu.Unlock()
		if s.before != nil && s.before(w, r) {
			return
		}
		name, ok := s.answers[r.URL.RequestURI()]
		if !ok {
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
			return
		}
		text := []byte("[]")
		if name != "" {
			var err error
			if text, err = os.ReadFile(filepath.Join("testdata", name)); err != nil {
				t.Error(err)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) config(kind forge.Kind) forge.Config {
	return forge.Config{Kind: kind, URL: s.URL + "/api/", Repository: "acme/search", PullRequest: 12, Commit: head,
		Token: token}
}

const (
	pull    = "/api/repos/acme/search/pulls/12"
	request = "/api/projects/acme%2Fsearch/merge_requests/12"
)

func githubAnswers() map[string]string {
	return map[string]string{
		pull: "github_pull.json", pull + "/reviews?page=1&per_page=50": "github_reviews_1.json",
		pull + "/reviews?page=2&per_page=50": "github_reviews_2.json", pull + "/reviews?page=3&per_page=50": "",
		pull + "/commits?page=1&per_page=50": "github_commits.json", pull + "/commits?page=2&per_page=50": "",
	}
}

func giteaAnswers() map[string]string {
	return map[string]string{
		pull: "gitea_pull.json", pull + "/reviews?limit=50&page=1": "gitea_reviews_1.json",
		pull + "/reviews?limit=50&page=2": "gitea_reviews_2.json", pull + "/reviews?limit=50&page=3": "",
		pull + "/commits?limit=50&page=1": "github_commits.json", pull + "/commits?limit=50&page=2": "",
	}
}

func gitlabAnswers() map[string]string {
	return map[string]string{
		request: "gitlab_merge_request.json", request + "/approvals": "gitlab_approvals.json",
		request + "/versions?page=1&per_page=50": "gitlab_versions_1.json", request +
			"/versions?page=2&per_page=50": "gitlab_versions_2.json",
		request + "/versions?page=3&per_page=50": "",
		request + "/commits?page=1&per_page=50":  "gitlab_commits.json", request + "/commits?page=2&per_page=50": "",
	}
}

// TestContract: only boss and frank count in the fixtures. lead approved an older commit, dana withdrew the approval
// later, erin's review was dismissed, octocat is the author, gina only commented (in GitLab: approved before the push,
// in another time zone), and hugo's review is stale.
func TestContract(t *testing.T) {
	t.Parallel()
	for kind, tt := range map[forge.Kind]struct {
		header, value string
		answers       map[string]string
		asked         []string
	}{
		forge.GitHub: {"Authorization", "Bearer " + token, githubAnswers(), []string{
			pull, pull + "/reviews?page=1&per_page=50", pull + "/reviews?page=2&per_page=50", pull +
				"/reviews?page=3&per_page=50", pull + "/commits?page=1&per_page=50", pull +
				"/commits?page=2&per_page=50"}},
		forge.Gitea: {"Authorization", "token " + token, giteaAnswers(), []string{
			pull, pull + "/reviews?limit=50&page=1", pull + "/reviews?limit=50&page=2", pull +
				"/reviews?limit=50&page=3", pull + "/commits?limit=50&page=1", pull + "/commits?limit=50&page=2"}},
		forge.GitLab: {"Private-Token", token, gitlabAnswers(), []string{
			request + "/approvals", request + "/versions?page=1&per_page=50", request + "/versions?page=2&per_page=50",
			request + "/versions?page=3&per_page=50",
			request + "/commits?page=1&per_page=50", request + "/commits?page=2&per_page=50", request}},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.header, tt.answers)
			reader := forge.New(s.config(kind), clock.System{})
			for range 2 { // the second answer is remembered
				found, err := reader.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"boss", "frank"}, found.Approvers); diff != "" {
					t.Errorf("approvers (-want +got):\n%s", diff)
				}
				for _, author := range []string{"octocat", "octocat@example.com", "ivan@example.com"} {
					if !slices.Contains(found.Authors, author) {
						t.Errorf("%s is not among the authors %q", author, found.Authors)
					}
				}
			}
			var want []string
			for _, path := range tt.asked {
				want = append(want, fmt.Sprintf("GET %s %s=%s", path, tt.header, tt.value))
			}
			if diff := cmp.Diff(want, s.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDifferentHead(t *testing.T) {
	t.Parallel()
	for kind, answers := range map[forge.Kind]map[string]string{forge.GitHub: githubAnswers(),
		forge.Gitea: giteaAnswers(), forge.GitLab: gitlabAnswers()} {
		cfg := newServer(t, "Authorization", answers).config(kind)
		cfg.Commit = older
		found, err := forge.New(cfg, clock.System{}).Read(t.Context())
		if !errors.Is(err, forge.ErrOtherHead) || found.Approvers != nil {
			t.Errorf("%s: %v, %v", kind, found, err)
		}
	}
}

// A push whose version exists before the merge request shows it: neither of the two may be outdated.
func TestGitLabPushInBetween(t *testing.T) {
	t.Parallel()
	answers := gitlabAnswers()
	answers[request+"/versions?page=1&per_page=50"] = "gitlab_versions_2.json"
	found, err := forge.New(newServer(t, "Private-Token", answers).config(forge.GitLab),
		clock.System{}).Read(t.Context())
	if !errors.Is(err, forge.ErrOtherHead) || found.Approvers != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func reply(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func TestUnreadableForge(t *testing.T) {
	t.Parallel()
	only := func(suffix, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, suffix) && reply(http.StatusOK, body)(w, r)
		}
	}
	for name, tt := range map[string]struct {
		kind   forge.Kind
		before func(http.ResponseWriter, *http.Request) bool
		says   string
	}{
		"no such pull request":    {forge.GitHub, reply(http.StatusNotFound, `{"message":"Not Found"}`), "404"},
		"the token in the answer": {forge.GitHub, reply(http.StatusForbidden, "no rights for "+token), "403"},
		"another page":            {forge.Gitea, reply(http.StatusOK, "<html>"), "does not match the API's documentation"},
		"a moved repository":      {forge.GitHub, reply(http.StatusMovedPermanently, ""), "301"},
		"too long an answer": {forge.GitHub, only("/reviews", `[{"body":"`+strings.Repeat("x", 5<<20)+`"}]`),
			"it is longer than"},
		"pages without an end": {forge.GitHub, only("/reviews", `[{"state":"COMMENTED"}]`), "more than 40 pages"},
		"no author":            {forge.Gitea, reply(http.StatusOK, `{"head":{"sha":"`+head+`"}}`), "no author"},
		"no times at GitLab": {forge.GitLab, only("/approvals", `{"approved_by":[{"user":{"username":"boss"}}]}`),
			"approved_at"},
		"no versions": {forge.GitLab, only("/versions", `[]`), "no versions"},
		"more commits than it lists": {forge.GitHub, func(w http.ResponseWriter, r *http.Request) bool {
			return !strings.Contains(r.URL.Path, "/reviews") && !strings.Contains(r.URL.Path, "/commits") &&
				reply(http.StatusOK, `{"user":{"login":"ivan"},"state":"open","commits":300,"head":{"sha":"`+head+
					`"}}`)(w, r)
		}, "of the 300 commits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := map[forge.Kind]map[string]string{forge.GitHub: githubAnswers(), forge.Gitea: giteaAnswers(),
				forge.GitLab: gitlabAnswers()}[tt.kind]
			s := newServer(t, "Authorization", answers)
			s.before = tt.before
			found, err := forge.New(s.config(tt.kind), clock.System{}).Read(t.Context())
			var p *problem.Problem
			if !errors.Is(err, forge.ErrUnreadable) || !errors.As(err, &p) || p.Next == "" ||
				!strings.Contains(err.Error(), tt.says) || found.Approvers != nil {
				t.Fatalf("got %v, %v, want an error that says %q", found, err, tt.says)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	s := newServer(t, "Authorization", githubAnswers())
	var once sync.Once
	s.before = func(w http.ResponseWriter, _ *http.Request) (answered bool) {
		once.Do(func() {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			answered = true
		})
		return answered
	}
	began := time.Now()
	found, err := forge.New(s.config(forge.GitHub), clock.System{}).Read(t.Context())
	if err != nil || len(found.Approvers) != 2 || time.Since(began) < time.Second || len(s.asked) != 7 {
		t.Errorf("%v, %v after %s and %d requests", found, err, time.Since(began), len(s.asked))
	}
}

func TestForgeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "Authorization", nil)
	cfg := s.config(forge.GitHub)
	s.Close()
	if found, err := forge.New(cfg, clock.System{}).Read(t.Context()); !errors.Is(err, forge.ErrUnreadable) ||
		found.Approvers != nil {
		t.Errorf("%v, %v", found, err)
	}
	if forge.New(forge.Config{Kind: "svn"}, clock.System{}) != nil {
		t.Error("an unknown kind has a reader")
	}
}
