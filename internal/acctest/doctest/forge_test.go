package doctest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// head is the head commit of the pull request.
const head = "0123456789abcdef0123456789abcdef01234567"

// pullRequest is the forge as a pipeline sees it: pull request 7, with its reviews and comments, at GitHub and at
// GitLab.
type pullRequest struct {
	URL      string
	mu       sync.Mutex
	approved bool
	comments []string
}

func newPullRequest(t *testing.T) *pullRequest {
	t.Helper()
	p := &pullRequest{}
	mux := http.NewServeMux()
	answer := func(pattern string, body func() any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			found := body()
			if page := r.URL.Query().Get("page"); page != "" && page != "1" {
				found = []any{}
			}
			_ = json.NewEncoder(w).Encode(found) // the client reports what it can't read
		})
	}
	created := time.Now().Add(-time.Hour)
	answer("GET /repos/example/shop/pulls/7", func() any {
		return map[string]any{"user": user("author"), "state": "open", "head": map[string]any{"sha": head}}
	})
	answer("GET /repos/example/shop/pulls/7/commits", func() any {
		return []any{map[string]any{"author": user("author"), "commit": map[string]any{}}}
	})
	answer("GET /repos/example/shop/pulls/7/reviews", func() any {
		if !p.approved {
			return []any{}
		}
		return []any{map[string]any{"user": user("lead"), "state": "APPROVED", "commit_id": head}}
	})
	answer("GET /projects/{project}/merge_requests/7", func() any {
		return map[string]any{"sha": head, "author": user("author"), "state": "opened"}
	})
	answer("GET /projects/{project}/merge_requests/7/commits", func() any {
		return []any{map[string]any{"author_email": "author@example.com"}}
	})
	answer("GET /projects/{project}/merge_requests/7/approvals", func() any {
		if !p.approved {
			return map[string]any{"approved_by": []any{}}
		}
		return map[string]any{"approved_by": []any{map[string]any{"user": user("lead"), "approved_at": time.Now()}}}
	})
	answer("GET /projects/{project}/merge_requests/7/versions", func() any {
		return []any{map[string]any{"head_commit_sha": head, "created_at": created}}
	})
	answer("GET /repos/example/shop/issues/7/comments", p.listed)
	answer("GET /projects/{project}/merge_requests/7/notes", p.listed)
	for _, pattern := range []string{"POST /repos/example/shop/issues/7/comments",
		"POST /projects/{project}/merge_requests/7/notes",
		"PATCH /repos/example/shop/issues/comments/{id}", "PUT /projects/{project}/merge_requests/7/notes/{id}"} {
		mux.HandleFunc(pattern, p.comment)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func user(login string) map[string]any { return map[string]any{"login": login, "username": login} }

func (p *pullRequest) listed() any {
	list := []any{}
	for i, text := range p.comments {
		list = append(list, map[string]any{"id": i + 1, "body": text})
	}
	return list
}

// comment adds a comment, or changes the one in the path.
func (p *pullRequest) comment(w http.ResponseWriter, r *http.Request) {
	var body struct{ Body string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Body == "" {
		http.Error(w, "no body", http.StatusUnprocessableEntity)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var id int
	if _, err := fmt.Sscan(r.PathValue("id"), &id); err == nil && id >= 1 && id <= len(p.comments) {
		p.comments[id-1] = body.Body
		return
	}
	p.comments = append(p.comments, body.Body)
}

// approve makes lead approve the pull request.
func (p *pullRequest) approve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.approved = true
}

// only returns the comment, and fails the test unless there is exactly one.
func (p *pullRequest) only(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.comments) != 1 {
		t.Fatalf("%d comments", len(p.comments))
	}
	return p.comments[0]
}
