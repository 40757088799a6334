package reindex_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// disturb makes every kind of change to the old index that a copy can miss.
func (f fixture) disturb(t *testing.T, round int) {
	t.Helper()
	put := func(id, query, text string) {
		f.Do(t, http.MethodPut, fmt.Sprintf("/%s/_doc/%s?%s", f.alias, id, query),
			fmt.Sprintf(`{"t":%q,"n":%d}`, text, 1_000_000+round), nil)
	}
	first := 100 * round
	for i := range 20 {
		f.Do(t, http.MethodDelete, fmt.Sprintf("/%s/_doc/%d", f.alias, first+i), nil, nil)           // deleted
		put(fmt.Sprint(first+20+i), "", "changed")                                                   // changed
		put(fmt.Sprintf("new-%d-%d", round, i), "", "line\nbreak")                                   // new
		put(fmt.Sprintf("routed-%d-%d", round, i), "routing=r"+fmt.Sprint(i), "routed")              // new, elsewhere
		put(fmt.Sprint(first+60+i), "version=9&version_type=external", "with a version of the user") // changed
		put(fmt.Sprintf("brief-%d-%d", round, i), "", "brief")                                       // new, deleted
		f.Do(t, http.MethodDelete, fmt.Sprintf("/%s/_doc/brief-%d-%d", f.alias, round, i), nil, nil)
	}
	// Changed often, then deleted and created again: the version restarts at 1.
	again := fmt.Sprint(first + 90)
	for range 3 {
		put(again, "", "again")
	}
	f.Do(t, http.MethodDelete, "/"+f.alias+"/_doc/"+again, nil, nil)
	time.Sleep(time.Second)
	put(again, "", "made again")
}

func TestConcurrentChangesAreCopied(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "meanwhile", 5_000)
	round := 0
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage == reindex.StageCopy && s.Done > 0 {
			return
		}
		round++
		f.disturb(t, round)
	}}
	req := f.request(f.alias)
	result, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rounds; %+v", round, result)
	if diff := cmp.Diff([]string{req.New}, f.targets(t, f.alias)); diff != "" {
		t.Errorf("alias (-want +got):\n%s", diff)
	}
	// The last round wrote through the alias to the new index.
	want, got := f.all(t, f.old), f.all(t, req.New)
	if len(want) != int(result.Documents) {
		t.Errorf("%d documents counted at the switch, the old index has %d", result.Documents, len(want))
	}
	lost := 0
	for key, text := range want {
		if id := strings.TrimPrefix(key, "/"); touchedBy(round, id) {
			continue
		}
		if got[key] != text {
			if lost++; lost < 10 {
				t.Errorf("%s: %q in the new index, %q in the old one", key, got[key], text)
			}
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok && !touchedBy(round, strings.Split(key, "/")[1]) {
			t.Errorf("%s is in the new index only", key)
		}
	}
	if lost > 0 {
		t.Errorf("%d documents are not as they were", lost)
	}
	f.checkDefinition(t, req.New)
}

// touchedBy reports whether a round of disturb changes a document.
func touchedBy(round int, id string) bool {
	var n int
	if _, err := fmt.Sscanf(id, "%d", &n); err == nil && !strings.Contains(id, "-") {
		return n/100 == round
	}
	return strings.Contains(id, fmt.Sprintf("-%d-", round))
}

func TestConcreteName(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprintf("keep=%t", keep), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, "concrete", 2_000)
			rec := &recorder{hook: func(s reindex.State) {
				if s.Stage == reindex.StageSwitch {
					f.disturb(t, 3)
				}
			}}
			req := f.request(f.old)
			req.KeepOld = keep
			before := 0
			rec.hook, before = func(next func(reindex.State)) func(reindex.State) {
				return func(s reindex.State) {
					if next(s); s.Stage == reindex.StageSwitch {
						before = len(f.all(t, f.old))
					}
				}
			}(rec.hook), 0
			result, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", result)
			if diff := cmp.Diff([]string{req.New}, f.targets(t, f.old)); diff != "" {
				t.Errorf("the old name (-want +got):\n%s", diff)
			}
			all := f.all(t, f.old)
			if len(all) != before || !strings.Contains(all["/320"], "changed") || all["/300"] != "" {
				t.Errorf("%d documents, want %d; document 320 %q, document 300 %q", len(all), before, all["/320"],
					all["/300"])
			}
			kept := f.exists(t, req.Kept())
			if kept != keep {
				t.Errorf("the old index is kept: %t, want %t", kept, keep)
			}
			if keep {
				if diff := cmp.Diff(all, f.all(t, req.Kept())); diff != "" {
					t.Errorf("the kept index differs: %s", diff)
				}
			}
			f.Do(t, http.MethodPut, "/"+f.old+"/_doc/after", `{"t":"x","n":1}`, nil)
		})
	}
}

func TestCancelRestoresTheOriginalState(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "cancel", 5_000)
	before := f.all(t, f.alias)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	var task string
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage == reindex.StageCopy {
			task = s.Task
			cancel(stopped)
		}
	}}
	req := f.request(f.alias)
	req.PerSecond = 100
	_, err := copier(f.Config).Start(req).Wait(ctx, rec.save)
	if !errors.Is(err, stopped) && !errors.Is(err, context.Canceled) || !errors.Is(err, reindex.ErrFailed) {
		t.Errorf("error %v, want ErrFailed with the cause of the context", err)
	}
	f.untouched(t, req, before)
	if status, _ := f.Try(t, http.MethodGet, "/_tasks/"+task, nil, nil); status != http.StatusNotFound {
		var answer struct{ Completed bool }
		f.Do(t, http.MethodGet, "/_tasks/"+task, nil, &answer)
		if !answer.Completed {
			t.Errorf("the task %s still runs", task)
		}
	}
}

// untouched fails the test unless clients still use the old index and its documents are unchanged.
func (f fixture) untouched(t *testing.T, req reindex.Request, before map[string]string) {
	t.Helper()
	if f.exists(t, req.New) {
		t.Errorf("%s is still there", req.New)
	}
	if diff := cmp.Diff([]string{f.old}, f.targets(t, f.alias)); diff != "" {
		t.Errorf("alias (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, f.all(t, f.alias)); diff != "" {
		t.Errorf("documents changed: %s", diff)
	}
	f.Do(t, http.MethodPut, "/"+f.alias+"/_doc/after", `{"t":"x","n":1}`, nil)
}

// mortal simulates the death of a process at a request, before or after it is sent, by ending the goroutine.
type mortal struct {
	next   http.RoundTripper
	dies   func(*http.Request) bool
	before bool
}

func (m mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.dies(r) {
		if !m.before {
			if res, err := m.next.RoundTrip(r); err == nil {
				res.Body.Close()
			}
		}
		runtime.Goexit()
	}
	return m.next.RoundTrip(r)
}

func TestAdoptAfterDeath(t *testing.T) {
	t.Parallel()
	is := func(method, path string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, path) }
	}
	// The first two views are opened before the copy.
	nth := func(n int32, at func(*http.Request) bool) func(*http.Request) bool {
		var seen atomic.Int32
		return func(r *http.Request) bool { return at(r) && seen.Add(1) == n }
	}
	for name, c := range map[string]struct {
		at     func(*http.Request) bool
		before bool
		fails  bool
		named  bool
	}{
		"before the index is made":  {at: is(http.MethodPut, "-reindexed-"), before: true, fails: true},
		"after the index is made":   {at: is(http.MethodPut, "-reindexed-"), fails: true},
		"before the copy starts":    {at: is(http.MethodPost, "/_reindex"), before: true, fails: true},
		"while the copy runs":       {at: is(http.MethodGet, "/_tasks/")},
		"before the first pass":     {at: nth(3, is(http.MethodPost, "/_pit")), before: true},
		"before writes are let in":  {at: is(http.MethodPut, "/_settings"), before: true, fails: true},
		"before the settings":       {at: nth(2, is(http.MethodPut, "/_settings")), before: true},
		"before the switch":         {at: is(http.MethodPost, "/_aliases"), before: true},
		"after the switch":          {at: is(http.MethodPost, "/_aliases")},
		"before the block":          {at: is(http.MethodPut, "/_block/"), before: true},
		"after the block":           {at: is(http.MethodPut, "/_block/")},
		"concrete, after the block": {at: is(http.MethodPut, "/_block/"), named: true},
		"concrete, after the clone": {at: is(http.MethodPut, "/_clone/"), named: true},
		"concrete, after the end":   {at: is(http.MethodPost, "/_aliases"), named: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, "adopt", 3_000)
			before := f.all(t, f.alias)
			req, rec := f.request(f.alias), &recorder{}
			if c.named {
				req = f.request(f.old)
			}
			cfg := f.Config
			cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return mortal{next, c.at, c.before} }
			var group sync.WaitGroup
			group.Go(func() {
				_, err := copier(cfg).Start(req).Wait(t.Context(), rec.save)
				t.Errorf("the process lived: %v", err)
			})
			group.Wait()
			// A client writes while no process runs. If writers are delayed, it waits for the adoption.
			group.Go(func() { f.writeOn(t, req.Name) })
			run, err := copier(f.Config).Adopt(t.Context(), rec.state)
			if err != nil {
				t.Fatal(err)
			}
			_, err = run.Wait(t.Context(), rec.save)
			group.Wait()
			before["/alone"] = `v1 {"t":"alone","n":-1}`
			if c.fails {
				if !errors.Is(err, reindex.ErrFailed) {
					t.Errorf("error %v, want ErrFailed", err)
				}
				f.untouched(t, req, before)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{req.New}, f.targets(t, req.Name)); diff != "" {
				t.Errorf("alias (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, f.all(t, req.Name)); diff != "" {
				t.Errorf("documents: %s", diff)
			}
		})
	}
}

// writeOn writes one document and retries while writes are refused.
func (f fixture) writeOn(t *testing.T, name string) {
	t.Helper()
	for range 200 {
		status, err := f.Try(t, http.MethodPut, "/"+name+"/_doc/alone", `{"t":"alone","n":-1}`, nil)
		if status != http.StatusForbidden {
			if err != nil {
				t.Errorf("status %d, %v", status, err)
			}
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("writers were refused for 10 s")
}

func TestNewName(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{"kb": "kb-reindexed-12", "kb-reindexed-7": "kb-reindexed-12",
		"kb-reindexed-x": "kb-reindexed-x-reindexed-12"} {
		if got := reindex.NewName(old, 12); got != want {
			t.Errorf("%s: %s, want %s", old, got, want)
		}
	}
}
