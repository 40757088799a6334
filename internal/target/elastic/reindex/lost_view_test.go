package reindex_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// nodeDies loses every view that was opened before the aliases move, as the death of the node that holds them does: a
// search of such a view is answered with 503 from then on.
type nodeDies struct {
	next http.RoundTripper
	// atMove is called before the aliases move.
	atMove func()

	mu     sync.Mutex
	moved  bool
	views  []string
	failed int
}

var viewID = regexp.MustCompile(`"(?:pit_)?id":"([^"]+)"`)

// RoundTrip implements http.RoundTripper.
func (n *nodeDies) RoundTrip(r *http.Request) (*http.Response, error) {
	search, open := strings.HasSuffix(r.URL.Path, "/_search"), strings.HasSuffix(r.URL.Path, "/_pit")
	if strings.HasSuffix(r.URL.Path, "/_aliases") && r.Method == http.MethodPost {
		n.atMove()
		n.mu.Lock()
		n.moved = true
		n.mu.Unlock()
	}
	if search && n.lost(r) {
		const answer = `{"error":{"type":"search_phase_execution_exception","reason":"","root_cause":[],"caused_by":{` +
			`"type":"search_phase_execution_exception","reason":"Search rejected due to missing shards"}},"status":503}`
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}},
			Body:   io.NopCloser(strings.NewReader(answer))}, nil
	}
	answer, err := n.next.RoundTrip(r)
	if err == nil && (search || open) {
		err = n.note(answer)
	}
	return answer, err
}

// lost reports whether the request searches a view that was lost.
func (n *nodeDies) lost(r *http.Request) bool {
	if r.Body == nil {
		return false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || !n.moved {
		return false
	}
	for _, id := range n.views {
		if strings.Contains(string(body), id) {
			n.failed++
			return true
		}
	}
	return false
}

// note keeps the views that an answer names, until the aliases move.
func (n *nodeDies) note(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.moved {
		return err
	}
	for _, found := range viewID.FindAllSubmatch(body, -1) {
		n.views = append(n.views, string(found[1]))
	}
	return err
}

// TestLostViews writes and deletes just before the aliases move, and loses the views with which the last pass would
// find out what changed. The last pass copies both all the same.
func TestLostViews(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "lostview", 100)
	node := &nodeDies{atMove: func() {
		f.Do(t, http.MethodPut, "/"+f.old+"/_doc/last", `{"t":"last","n":1}`, nil)
		f.Do(t, http.MethodDelete, "/"+f.old+"/_doc/7", nil, nil)
	}}
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
		node.next = next
		return node
	}
	req := f.request(f.alias)
	if _, err := copier(cfg).Start(req).Wait(t.Context(), (&recorder{}).save); err != nil {
		t.Fatal(err)
	}
	if node.failed == 0 {
		t.Error("no view was lost, so the test shows nothing")
	}
	for path, want := range map[string]int{"last": http.StatusOK, "7": http.StatusNotFound, "8": http.StatusOK} {
		if status, err := f.Try(t, http.MethodGet, "/"+req.New+"/_doc/"+path, nil, nil); status != want {
			t.Errorf("document %s: status %d, %v, want %d", path, status, err, want)
		}
	}
}
