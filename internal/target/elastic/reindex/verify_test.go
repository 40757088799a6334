package reindex_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// template installs a template that matches the indices of the fixture until the test ends.
func (f fixture) template(t *testing.T, kind, body string) {
	t.Helper()
	path := "/" + kind + "/" + f.alias
	f.Do(t, http.MethodPut, path, strings.ReplaceAll(strings.ReplaceAll(body, "PATTERN", f.alias+"-*"), "ALIAS",
		f.alias),
		nil)
	t.Cleanup(func() {
		if status, err := f.Call(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil, nil); err != nil {
			t.Errorf("remove the template: status %d, %v", status, err)
		}
	})
}

// TestTemplatesDoNotChangeTheCopy lets a template match the new index. Nothing is copied, and clients keep the old
// index.
func TestTemplatesDoNotChangeTheCopy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, body, says string }{
		"_source excludes": {"_index_template", `{"index_patterns":["PATTERN"],"priority":501,"template":{"mappings":
			{"_source":{"excludes":["blob"]}}}}`, "mapping._source was added"},
		"legacy _source excludes": {"_template", `{"index_patterns":["PATTERN"],"mappings":
			{"_source":{"excludes":["blob"]}}}`, "mapping._source was added"},
		"a field": {"_index_template", `{"index_patterns":["PATTERN"],"priority":501,"template":{"mappings":
			{"properties":{"day":{"type":"date"}}}}}`, "mapping.properties.day was added"},
		"allocation": {"_index_template", `{"index_patterns":["PATTERN"],"priority":501,"template":{"settings":
			{"index.routing.allocation.require.box":"none"}}}`, "index.routing.allocation.require.box"},
		"legacy alias": {"_template", `{"index_patterns":["PATTERN"],"aliases":{"ALIAS":{"is_write_index":true}}}`,
			"it has the alias"},
		"data stream": {"_index_template", `{"index_patterns":["PATTERN"],"priority":501,"data_stream":{}}`,
			"data stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, "template", 50)
			before := f.all(t, f.alias)
			f.template(t, c.kind, c.body)
			req, copied := f.request(f.alias), false
			rec := &recorder{hook: func(s reindex.State) { copied = copied || s.Task != "" }}
			_, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save)
			if !errors.Is(err, reindex.ErrFailed) || !strings.Contains(err.Error(), c.says) || copied {
				t.Errorf("a copy began: %t; error %v, want ErrFailed that says %q", copied, err, c.says)
			}
			f.untouched(t, req, before)
		})
	}
}

// TestBlockedMetadataElsewhere covers a metadata block on an unrelated index.
func TestBlockedMetadataElsewhere(t *testing.T) {
	t.Parallel()
	f := fixtureOn(t, elastictest.Own(t), "elsewhere", 10, 0)
	other := f.Name(t, "blocked")
	f.Do(t, http.MethodPut, "/"+other, `{"settings":{"number_of_replicas":0,"blocks.metadata":true}}`, nil)
	defer f.Do(t, http.MethodPut, "/"+other+"/_settings", `{"index.blocks.metadata":null}`, nil)
	req := f.request(f.alias)
	if _, err := copier(f.Config).Start(req).Wait(t.Context(), (&recorder{}).save); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{req.New}, f.targets(t, f.alias)); diff != "" {
		t.Errorf("alias (-want +got):\n%s", diff)
	}
}

// TestTakenName covers a journal that numbers its executions from 1 again.
func TestTakenName(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "taken", 10)
	req := f.request(f.alias)
	f.Do(t, http.MethodPut, "/"+req.New, `{"settings":{"number_of_replicas":0}}`, nil)
	run := copier(f.Config).Start(req)
	if _, err := run.Wait(t.Context(), (&recorder{}).save); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{req.New + "-2"}, f.targets(t, f.alias)); diff != "" ||
		run.Request().New != req.New+"-2" {
		t.Errorf("request for %s; alias (-want +got):\n%s", run.Request().New, diff)
	}
	if !f.exists(t, req.New) {
		t.Error("somebody else's index was removed")
	}
	if got := reindex.NewName(req.New+"-2", 8); got != reindex.NewName(f.old, 8) {
		t.Errorf("the next name is %s", got)
	}
}

// refusing refuses requests to a path like a server does if a privilege is missing.
type refusing struct {
	next http.RoundTripper
	path string
}

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.Contains(req.URL.Path, r.path) {
		return r.next.RoundTrip(req)
	}
	const body = `{"error":{"type":"security_exception","reason":"action [cluster:admin/tasks/cancel] is unauthorized, ` +
		`this action is granted by the cluster privileges [manage,all]"},"status":403}`
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"X-Elastic-Product": {"Elasticsearch"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// TestCopyThatCannotBeStopped keeps and reports the index of a copy that can't be stopped.
func TestCopyThatCannotBeStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "unstoppable", 5_000)
	ctx, cancel := context.WithCancel(t.Context())
	var task string
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage == reindex.StageCopy {
			task = s.Task
			cancel()
		}
	}}
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return refusing{next, "/_cancel"} }
	req := f.request(f.alias)
	req.PerSecond = 100
	_, err := copier(cfg).Start(req).Wait(ctx, rec.save)
	defer f.Do(t, http.MethodPost, "/_tasks/"+task+"/_cancel?wait_for_completion=true", nil, nil)
	if !errors.Is(err, reindex.ErrStillRunning) || errors.Is(err, reindex.ErrFailed) {
		t.Errorf("error %v, want ErrStillRunning", err)
	}
	for _, says := range []string{"still runs", task, "privilege manage", "delete " + req.New} {
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not in: %v", says, err)
		}
	}
	var answer map[string]struct {
		Mappings struct{ Dynamic string }
	}
	f.Do(t, http.MethodGet, "/"+req.New, nil, &answer)
	if answer[req.New].Mappings.Dynamic != "strict" || f.targets(t, f.alias)[0] != f.old {
		t.Errorf("the new index: %+v; the alias: %v", answer, f.targets(t, f.alias))
	}
}

// TestCopyWhoseStartWasLost stops a copy whose task is not known.
func TestCopyWhoseStartWasLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "lost-start", 5_000)
	before := f.all(t, f.alias)
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return losing{next, "/_reindex"} }
	req := f.request(f.alias)
	req.PerSecond = 100
	_, err := copier(cfg).Start(req).Wait(t.Context(), (&recorder{}).save)
	if !errors.Is(err, reindex.ErrFailed) || !errors.Is(err, elastic.ErrUnreachable) {
		t.Errorf("error %v, want ErrFailed", err)
	}
	time.Sleep(time.Second) // a copy that continues would recreate the index
	f.untouched(t, req, before)
}

// TestLargeDocumentsWrittenDuringTheCopy covers documents that are much larger than the average by which pages are
// sized: a page of them is longer than an answer may be.
func TestLargeDocumentsWrittenDuringTheCopy(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "large", 2_000)
	large := strings.Repeat("x", 200_000)
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage != reindex.StageCatchUp {
			return
		}
		const batches, batch = 6, 40 // 48 MB in all
		for from := range batches {
			var bulk strings.Builder
			for i := range batch {
				fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"large-%d-%d\"}}\n{\"t\":%q,\"n\":1}\n", from, i, large)
			}
			f.Do(t, http.MethodPost, "/"+f.alias+"/_bulk?routing=one-shard", bulk.String(), nil)
		}
	}}
	req := f.request(f.alias)
	result, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save)
	if err != nil || result.Documents != 2_240 {
		t.Errorf("%+v, %v", result, err)
	}
}

// losing loses the answer to requests to a path.
type losing struct {
	next http.RoundTripper
	path string
}

func (l losing) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil || !strings.Contains(req.URL.Path, l.path) {
		return res, err
	}
	return nil, errors.Join(io.ErrUnexpectedEOF, res.Body.Close())
}

// TestUpdatesDoNotDelayTheSwitch lets clients update, upsert and script documents in a loop.
func TestUpdatesDoNotDelayTheSwitch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "updates", 2_000)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	const clients = 6
	slowest, failures, acknowledged := make([]time.Duration, clients), make([]string, clients), make([]int, clients)
	for n := range clients {
		body := `{"doc":{"n":%d},"doc_as_upsert":true}`
		if n%2 == 1 {
			body = `{"script":{"source":"ctx._source.n = params.n","params":{"n":%[1]d}},"upsert":{"n":%[1]d}}`
		}
		group.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				began := time.Now()
				status, err := f.Call(context.WithoutCancel(ctx), http.MethodPost,
					fmt.Sprintf("/%s/_update/counter-%d?retry_on_conflict=5", f.alias, n), fmt.Sprintf(body, i), nil)
				slowest[n] = max(slowest[n], time.Since(began))
				switch {
				case err == nil:
					acknowledged[n] = i
				case status != http.StatusConflict:
					failures[n] = fmt.Sprintf("update %d: status %d, %v", i, status, err)
					return
				}
				// The new index rejects an update that has read the old index, like an update of a changed document.
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	req := f.request(f.alias)
	result, err := copier(f.Config).Start(req).Wait(t.Context(), (&recorder{}).save)
	time.Sleep(500 * time.Millisecond)
	stop()
	group.Wait()
	t.Logf("%+v; slowest %v; updates %v", result, slowest, acknowledged)
	if err != nil {
		t.Fatal(err)
	}
	const most = 10 * time.Second // 5 s are promised, and the test's machine can be slow
	all := f.all(t, f.alias)
	for n := range clients {
		if failures[n] != "" || slowest[n] > most {
			t.Errorf("client %d: slowest %s, %s", n, slowest[n], failures[n])
		}
		if text := all[fmt.Sprintf("/counter-%d", n)]; !strings.Contains(text, fmt.Sprintf(`"n":%d}`, acknowledged[n])) {
			t.Errorf("client %d: %s, want %d", n, text, acknowledged[n])
		}
	}
}
