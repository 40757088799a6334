package synonyms_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// watched passes requests on, remembers them, and calls before and after with each.
type watched struct {
	next          http.RoundTripper
	mu            *sync.Mutex
	seen          *[]string
	before, after func(request string)
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	name := r.Method + " " + r.URL.Path
	w.mu.Lock()
	*w.seen = append(*w.seen, name)
	w.mu.Unlock()
	if w.before != nil {
		w.before(name)
	}
	res, err := w.next.RoundTrip(r)
	if w.after != nil {
		w.after(name)
	}
	return res, err
}

// watch returns what connects with the given calls around each request, and the requests.
func watch(cfg elastic.Config, before, after func(string)) (elastic.Config, *[]string) {
	mu, seen := &sync.Mutex{}, &[]string{}
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return watched{next, mu, seen, before, after} }
	return cfg, seen
}

// die ends the goroutine as a process would end, at a request.
func die(at string) func(string) {
	return func(request string) {
		if strings.HasSuffix(request, at) {
			runtime.Goexit()
		}
	}
}

func (f fixture) isOpen(t *testing.T, index string) bool {
	t.Helper()
	status, _ := f.Try(t, http.MethodPost, "/"+index+"/_search", nil, nil)
	return status == http.StatusOK
}

func TestCloseAndOpenLoadsNewSynonyms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "fixed", "from_file_fixed", false)
	f.putFile(t, "notebook, laptop", "cabrio, convertible")
	outcome, err := run(t, f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_file_fixed",
		"probe_texts": []string{"cabrio"}}), &journal{})
	if err != nil {
		t.Fatal(err)
	}
	if !f.isOpen(t, index) || !f.finds(t, index, "cabrio") ||
		outcome.Details["probe_1"] != `"cabrio" (syn): gained convertible` ||
		outcome.Details["longest_downtime_ms"] == "" {
		t.Errorf("%+v", outcome)
	}
	t.Logf("closed for %s ms", outcome.Details["longest_downtime_ms"])
}

func TestAdoptionAfterDeathOpensTheIndex(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		// closes is whether the adoption closes the index again.
		closes bool
		// late is whether the deadline has passed when it is adopted.
		late bool
	}{
		"before it is closed":      {before: "/_close", closes: true},
		"after it is closed":       {after: "/_close"},
		"after it is closed, late": {after: "/_close", late: true},
		"after it is open":         {after: "/_open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			index := f.makeIndex(t, "dies", "from_file_fixed", false)
			f.putFile(t, "notebook, laptop", "cabrio, convertible")
			params := map[string]any{"index_name": index, "synonym_filter": "from_file_fixed",
				"probe_texts": []string{"cabrio"}}
			none := func(string) {}
			before, after := none, none
			if c.before != "" {
				before = die(c.before)
			}
			if c.after != "" {
				after = die(c.after)
			}
			cfg, _ := watch(f.Config, before, after)
			j := &journal{}
			action := f.bind(t, cfg, params)
			p, _ := preview(t, action)
			var group sync.WaitGroup
			group.Go(func() {
				_, err := dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p, Checkpoint: j.checkpoint})
				t.Errorf("the process lived: %v", err)
			})
			group.Wait()
			if open := f.isOpen(t, index); open != (c.after != "/_close") {
				t.Fatalf("the index is open: %t", open)
			}
			cfg, seen := watch(f.Config, nil, nil)
			// As the journal keeps it.
			p.Facts = encode(t, p.Facts)
			work, err := f.bind(t, cfg, params).Adopt(t.Context(),
				playbook.Job{ID: 12, Preview: p, RemoteID: "close_open", Progress: j.progress,
					Checkpoint: j.checkpoint})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.late {
				cancel()
			}
			outcome, err := work.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !f.isOpen(t, index) || !f.finds(t, index, "cabrio") || outcome.Details["changed"] != "true" {
				t.Errorf("open: %t, outcome %+v", f.isOpen(t, index), outcome)
			}
			if closed := slices.ContainsFunc(*seen,
				func(r string) bool { return strings.HasSuffix(r, "/_close") }); closed != c.closes {
				t.Errorf("closed again: %t, want %t", closed, c.closes)
			}
		})
	}
}

// TestUnreachableClusterIsRetriedLater adopts an execution whose outcome only the cluster can show.
func TestUnreachableClusterIsRetriedLater(t *testing.T) {
	t.Parallel()
	nowhere := elastic.Config{Endpoints: []string{"http://127.0.0.1:1"}}
	for name, c := range map[string]struct {
		params   map[string]any
		facts    synonyms.Facts
		progress string
	}{
		"reload": {map[string]any{"index_name": "kb", "synonym_filter": "s"},
			synonyms.Facts{Way: synonyms.WayReload, Indices: []string{"kb"}}, `{"reloading":true}`},
		"reindex": {map[string]any{"index_name": "kb", "synonym_filter": "s", "reindex": true},
			synonyms.Facts{Way: synonyms.WayReindex, Indices: []string{"kb"}},
			`{"name":"kb","old":"kb-1","new":"kb-2","stage":"create"}`},
		"way back": {map[string]any{"index_name": "kb", "synonym_filter": "s", "restore_index": "kb-1"},
			synonyms.Facts{Way: synonyms.WayRestore, Indices: []string{"kb-2", "kb-1"}}, `{}`},
	} {
		job := playbook.Job{ID: 7, RemoteID: "x", Preview: playbook.Preview{Facts: c.facts},
			Progress: json.RawMessage(c.progress)}
		if _, err := (fixture{}).bind(t, nowhere, c.params).Adopt(t.Context(), job); !errors.Is(err,
			playbook.ErrLater) {
			t.Errorf("%s: %v, want ErrLater", name, err)
		}
	}
}

func TestNoProgressMeansNeverBegan(t *testing.T) {
	t.Parallel()
	f := fixture{}
	for _, job := range []playbook.Job{{ID: 1}, {ID: 1, RemoteID: "close_open"}} {
		if _, err := f.bind(t, elastic.Config{}, map[string]any{"index_name": "kb",
			"synonym_filter": "s"}).Adopt(t.Context(), job); !errors.Is(err, playbook.ErrNeverBegan) {
			t.Errorf("%+v: %v, want ErrNeverBegan", job, err)
		}
	}
}

func TestCancelledBetweenCloseAndOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "cancelled", "from_file_fixed", false)
	ctx, cancel := context.WithCancel(t.Context())
	cfg, _ := watch(f.Config, nil, func(request string) {
		if strings.HasSuffix(request, "/_close") {
			cancel()
		}
	})
	action := f.bind(t, cfg, map[string]any{"index_name": index, "synonym_filter": "from_file_fixed"})
	p, _ := preview(t, action)
	if _, err := dispatch(ctx, t, action, playbook.Job{ID: 12, Preview: p,
		Checkpoint: (&journal{}).checkpoint}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if !f.isOpen(t, index) {
		t.Error("the index was left closed")
	}
}

func TestRulesThatBrokeSincePlanNeverCloseTheIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "broke", "from_file_fixed", false)
	cfg, seen := watch(f.Config, nil, nil)
	action := f.bind(t, cfg, map[string]any{"index_name": index, "synonym_filter": "from_file_fixed"})
	p, _ := preview(t, action)
	f.putFile(t, "this => is => no rule")
	if _, err := dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p,
		Checkpoint: (&journal{}).checkpoint}); !errors.Is(err, elastic.ErrRequest) {
		t.Errorf("error %v, want ErrRequest", err)
	}
	if slices.ContainsFunc(*seen, func(r string) bool { return strings.HasSuffix(r, "/_close") }) ||
		!f.isOpen(t, index) {
		t.Errorf("the index was closed: %v", *seen)
	}
}

// stream makes an index look like a data stream, which the tests' distribution does not have.
type stream struct{ *elastic.Cluster }

func (s stream) Resolve(ctx context.Context, expression string, allowAll bool) (elastic.Resolution, error) {
	r, err := s.Cluster.Resolve(ctx, expression, allowAll)
	r.Kind, r.WriteIndex = elastic.KindDataStream, r.Indices[0]
	return r, err
}

func TestDataStreams(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cluster := elastic.New(f.Config, clock.System{})
	refresh := synonyms.New(stream{cluster}, reindex.New(cluster, clock.System{}), clock.System{})
	fixed, updateable := f.makeIndex(t, "fixed", "from_file_fixed", false), f.makeIndex(t, "updateable", "from_file",
		false)
	for name, c := range map[string]struct {
		params map[string]any
		want   error
	}{
		"reload":     {map[string]any{"index_name": updateable, "synonym_filter": "from_file"}, nil},
		"close_open": {map[string]any{"index_name": fixed, "synonym_filter": "from_file_fixed"}, synonyms.ErrNoWay},
		"reindex": {map[string]any{"index_name": fixed, "synonym_filter": "from_file_fixed", "reindex": true},
			synonyms.ErrNoWay},
	} {
		action, err := refresh.Bind(encode(t, c.params))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := action.Preview(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
