package cacheclear_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// counter counts requests, and those that read the sizes of all indices.
type counter struct {
	next       http.RoundTripper
	count, all *atomic.Int64
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.count.Add(1)
	if strings.HasPrefix(r.URL.Path, "/*/_stats") {
		c.all.Add(1)
	}
	return c.next.RoundTrip(r)
}

// counted returns a cluster whose requests are counted.
func counted(s *elastictest.Server) (*elastic.Cluster, *counter) {
	c := &counter{count: new(atomic.Int64), all: new(atomic.Int64)}
	cfg := s.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper {
		c.next = next
		return c
	}
	return elastic.New(cfg, clock.System{}), c
}

func TestThousandPlansShareRequests(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	base := s.Name(t, "many")
	const indices, resources, parallel = 100, 1000, 10
	for i := range indices {
		s.Do(t, http.MethodPut, fmt.Sprintf("/%s-%d", base, i),
			`{"settings":{"number_of_shards":1,"number_of_replicas":0}}`, nil)
	}
	cluster, requests := counted(s)
	work := make(chan int)
	var group sync.WaitGroup
	for range parallel {
		group.Go(func() {
			for i := range work {
				input := json.RawMessage(fmt.Sprintf(`{"index_name":"%s-%d"}`, base, i%indices))
				action, err := cacheclear.New(cluster, clock.System{}).Bind(input)
				if err != nil {
					t.Error(err)
					continue
				}
				if _, err := action.Target(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := action.Preview(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range resources {
		work <- i
	}
	close(work)
	group.Wait()
	t.Logf("%d previews over %d indices: %d requests", resources, indices, requests.count.Load())
	if n := requests.count.Load(); n > 10 {
		t.Errorf("%d requests, want at most 10", n)
	}
}

// TestExecutionsShareTheSizesOfOtherIndices clears the caches of one index after the other. If each execution read the
// sizes of all indices again, a thousand executions would read a million sizes.
func TestExecutionsShareTheSizesOfOtherIndices(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	base := s.Name(t, "shared")
	const indices = 5
	cluster, requests := counted(s)
	for i := range indices {
		index := fmt.Sprintf("%s-%d", base, i)
		s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_shards":1,"number_of_replicas":0}}`, nil)
	}
	for i := range indices {
		run(t, bind(t, cluster, map[string]any{"index_name": fmt.Sprintf("%s-%d", base, i)}))
	}
	if n := requests.all.Load(); n != 1 {
		t.Errorf("%d requests for the sizes of all indices, want 1", n)
	}
}

// TestPreviewSeesWhatWasClearedBefore looks at an index before and after its caches were cleared, by an execution and
// by a caller that reads no sizes.
func TestPreviewSeesWhatWasClearedBefore(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "seen")
	makeIndex(t, s, index)
	cluster := elastic.New(s.Config, clock.System{})
	action := bind(t, cluster, map[string]any{"index_name": index})
	figures := func() string {
		preview, err := action.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(preview.Figures, "\n")
	}
	for name, empty := range map[string]func(){
		"execution": func() { run(t, action) },
		"caller": func() {
			every := elastic.Caches{Query: true, Request: true, Fielddata: true}
			if err := cluster.ClearCaches(t.Context(), []string{index}, every); err != nil {
				t.Fatal(err)
			}
		},
	} {
		fill(t, s, index)
		cluster.Forget()
		if got := figures(); !strings.Contains(got, "Cached in "+index) {
			t.Errorf("%s, before: %s", name, got)
		}
		empty()
		if got := figures(); got != "Nothing is cached" {
			t.Errorf("%s, after: %s", name, got)
		}
	}
}
