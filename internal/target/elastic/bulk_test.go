package elastic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// quick is a clock on which pauses pass at once.
type quick struct{}

func (quick) Now() time.Time { return time.Now() }

func (quick) Sleep(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }

// busy is a transport that refuses documents of bulk requests with 429, as an overloaded shard does, or loses answers.
type busy struct {
	next http.RoundTripper
	// refuse returns whether a document is refused in the n-th request. lose returns whether the n-th answer is lost.
	refuse func(n int, id string) bool
	lose   func(n int) bool

	mu sync.Mutex
	// sent are the documents of each bulk request.
	sent [][]string
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/_bulk") {
		return b.next.RoundTrip(r)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	var ids []string
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i := 0; i+1 < len(lines); i += 2 {
		var action map[string]struct {
			ID string `json:"_id"`
		}
		if err := json.Unmarshal(lines[i], &action); err != nil {
			return nil, err
		}
		for _, a := range action {
			if ids = append(ids, a.ID); !b.refuse(len(b.sent)+1, a.ID) {
				kept.Write(lines[i])
				kept.Write(lines[i+1])
			}
		}
	}
	b.sent = append(b.sent, ids)
	n := len(b.sent)
	var answer struct {
		Items []map[string]json.RawMessage `json:"items"`
	}
	if kept.Len() > 0 {
		inner := r.Clone(r.Context())
		inner.Body, inner.ContentLength = io.NopCloser(&kept), int64(kept.Len())
		res, err := b.next.RoundTrip(inner)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return nil, err
		}
	}
	if b.lose(n) {
		return nil, io.ErrUnexpectedEOF
	}
	for i, id := range ids {
		if b.refuse(n, id) {
			refused := fmt.Sprintf(`{"_id": %q, "status": 429, "error": {"type": "es_rejected_execution_exception",
				"reason": "busy"}}`, id)
			answer.Items = slices.Insert(answer.Items, i,
				map[string]json.RawMessage{"index": json.RawMessage(refused)})
		}
	}
	body, err := json.Marshal(answer)
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}}, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// TestReplaceKnowsItsOwnWrites writes four documents: two exist, one of them is changed by a client meanwhile, and two
// are created. Only refused documents are sent again, and Replace reports what it has written, whatever was lost.
func TestReplaceKnowsItsOwnWrites(t *testing.T) {
	t.Parallel()
	all := []string{"old", "client", "new", "late"}
	for name, tt := range map[string]struct {
		refuse func(n int, id string) bool
		lose   func(n int) bool
		sent   [][]string
		wrote  []string
		err    error
	}{
		"nothing is refused": {sent: [][]string{all}, wrote: []string{"late", "new", "old"}},
		"one is refused once": {refuse: func(n int, id string) bool { return n == 1 && id == "late" },
			sent: [][]string{all, {"late"}}, wrote: []string{"late", "new", "old"}},
		"two are refused, one twice": {refuse: func(n int, id string) bool {
			return n == 1 && id == "old" || n < 3 && id == "late"
		}, sent: [][]string{all, {"old", "late"}, {"late"}}, wrote: []string{"late", "new", "old"}},
		"one is refused always": {refuse: func(_ int, id string) bool { return id == "late" },
			sent:  [][]string{all, {"late"}, {"late"}, {"late"}, {"late"}},
			wrote: []string{"new", "old"}, err: elastic.ErrBusy},
		"the answer is lost": {lose: func(n int) bool { return n == 1 }, sent: [][]string{all, all},
			wrote: []string{"late", "new", "old"}},
		"one is refused, then the answer is lost": {refuse: func(n int, id string) bool { return n == 1 && id == "late" },
			lose: func(n int) bool { return n == 2 }, sent: [][]string{all, {"late"}, {"late"}},
			wrote: []string{"late", "new", "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := elastictest.Shared(t)
			index := s.Name(t, "bulk")
			s.Do(t, http.MethodPut, "/"+index, map[string]any{"settings": map[string]any{"number_of_replicas": 0}}, nil)
			t.Cleanup(func() {
				_, _ = s.Call(context.WithoutCancel(t.Context()), http.MethodDelete, "/"+index, nil, nil)
			})
			for _, id := range all[:2] {
				s.Do(t, http.MethodPut, "/"+index+"/_doc/"+id, `{"n": 0}`, nil)
			}
			var documents []elastic.Document
			for i, id := range all {
				documents = append(documents, elastic.Document{ID: id, Version: 1,
					Source: json.RawMessage(fmt.Sprintf(`{"n": %d}`, i+1))})
			}
			b := &busy{refuse: tt.refuse, lose: tt.lose}
			if b.refuse == nil {
				b.refuse = func(int, string) bool { return false }
			}
			if b.lose == nil {
				b.lose = func(int) bool { return false }
			}
			cfg := s.Config
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper { b.next = next; return b }
			cluster := elastic.New(cfg, quick{})
			now, err := cluster.Current(t.Context(), index, documents, false)
			if err != nil {
				t.Fatal(err)
			}
			s.Do(t, http.MethodPut, "/"+index+"/_doc/client", `{"n": 7}`, nil)
			wrote, err := cluster.Replace(t.Context(), index, documents, now)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.sent, b.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			after, err := cluster.Current(t.Context(), index, documents, false)
			if err != nil {
				t.Fatal(err)
			}
			var own []string
			for _, d := range after {
				if seqNo, ok := wrote[d.Key()]; ok {
					if own = append(own, d.ID); seqNo != d.SeqNo {
						t.Errorf("%s has sequence number %d, want %d", d.ID, seqNo, d.SeqNo)
					}
				}
			}
			slices.Sort(own)
			if diff := cmp.Diff(tt.wrote, own); diff != "" {
				t.Errorf("own writes (-want +got):\n%s", diff)
			}
		})
	}
}
