package reindex_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

const (
	// loadDocuments is the number of documents in the index under load. writers is the number of clients, each of which
	// writes to its own documents.
	loadDocuments = 200_000
	writers       = 3
	// between is the pause of a client after each request.
	between = 3 * time.Millisecond
)

// writer is a client that records what it has written and what was acknowledged.
type writer struct {
	f         fixture
	id        int
	documents int
	want      map[string]string // by name; empty for deleted
	// doubtful are documents with a failed write, which may have happened or not.
	doubtful map[string]bool
	errors   []string
	// waits is how long each request took.
	waits []time.Duration
}

func (w *writer) run(ctx context.Context) {
	random := rand.New(rand.NewPCG(1, uint64(w.id)))
	for n := 0; ctx.Err() == nil; n++ {
		// Each writer owns the documents whose number has its own remainder.
		name := fmt.Sprint(random.IntN(w.documents/writers)*writers + w.id)
		switch n % 5 {
		case 0, 1:
			w.put(ctx, name, n)
		case 2:
			w.send(ctx, http.MethodDelete, "/_doc/"+name, nil, http.StatusNotFound, name)
			w.want[name] = ""
		case 3:
			w.put(ctx, fmt.Sprintf("new-%d-%d", w.id, n), n)
		case 4:
			var lines strings.Builder
			var names []string
			for i := range 5 {
				name := fmt.Sprintf("bulk-%d-%d", w.id, n-i)
				names = append(names, name)
				fmt.Fprintf(&lines, "{\"index\":{\"_id\":%q}}\n{\"t\":\"bulk\",\"n\":%d}\n", name, n)
				w.want[name] = fmt.Sprintf(`{"t":"bulk","n":%d}`, n)
			}
			w.send(ctx, http.MethodPost, "/_bulk", lines.String(), 0, names...)
		}
		time.Sleep(between)
	}
}

func (w *writer) put(ctx context.Context, name string, n int) {
	body := fmt.Sprintf(`{"t":"by writer %d","n":%d}`, w.id, n)
	w.send(ctx, http.MethodPut, "/_doc/"+name, body, 0, name)
	w.want[name] = body
}

func (w *writer) send(ctx context.Context, method, path string, body any, accepted int, names ...string) {
	start := time.Now()
	var answer struct{ Errors bool }
	status, err := w.f.Call(context.WithoutCancel(ctx), method, "/"+w.f.alias+path, body, &answer)
	w.waits = append(w.waits, time.Since(start))
	if err != nil && status != accepted || answer.Errors {
		w.errors = append(w.errors, fmt.Sprintf("%s %s: status %d, %v", method, path, status, err))
		for _, name := range names {
			w.doubtful[name] = true
		}
		return
	}
	for _, name := range names {
		delete(w.doubtful, name)
	}
}

// load is a set of clients that write and search through the alias of a fixture.
type load struct {
	f       fixture
	stop    context.CancelFunc
	group   sync.WaitGroup
	clients []*writer
	// searches counts the searches, and failed those that failed.
	searches atomic.Int64
	mu       sync.Mutex
	failed   []string
}

// underLoad starts the clients.
func underLoad(t testing.TB, f fixture, documents int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{f: f, stop: stop}
	for id := range writers {
		w := &writer{f: f, id: id, documents: documents, want: map[string]string{}, doubtful: map[string]bool{}}
		l.clients = append(l.clients, w)
		l.group.Go(func() { w.run(ctx) })
	}
	l.group.Go(func() {
		for ctx.Err() == nil {
			l.search(ctx)
			time.Sleep(between)
		}
	})
	return l
}

func (l *load) search(ctx context.Context) {
	var answer struct {
		Hits   struct{ Total struct{ Value int } }
		Shards struct{ Failed int } `json:"_shards"`
	}
	_, err := l.f.Call(context.WithoutCancel(ctx), http.MethodPost, "/"+l.f.alias+"/_search",
		`{"query":{"match":{"t":"notebook"}}}`, &answer)
	n := l.searches.Add(1)
	if err != nil || answer.Shards.Failed > 0 || answer.Hits.Total.Value == 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, fmt.Sprintf("search %d: %v, %+v", n, err, answer))
	}
}

// end stops the clients and compares the acknowledged writes with the documents of the alias. It returns what failed.
func (l *load) end(t testing.TB) (failures []string) {
	t.Helper()
	l.stop()
	l.group.Wait()
	got := l.f.all(t, l.f.alias)
	failures = l.failed
	lost := 0
	for _, w := range l.clients {
		for _, e := range w.errors {
			failures = append(failures, fmt.Sprintf("writer %d: %s", w.id, e))
		}
		for name, want := range w.want {
			text := got["/"+name]
			if _, source, found := strings.Cut(text, " "); found {
				text = source
			}
			if text != want && !w.doubtful[name] {
				lost++
				t.Errorf("%s: %q, want %q", name, text, want)
			}
		}
	}
	waits := l.waits()
	if _, isBenchmark := t.(*testing.B); isBenchmark {
		return failures // a log line in the output of benchmarks counts as a failure
	}
	t.Logf("%d searches, %d failed; %d writes, %d lost, slowest %s", l.searches.Load(), len(l.failed), len(waits), lost,
		waits[len(waits)-1])
	return failures
}

// waits returns how long the requests of all writers took, in order.
func (l *load) waits() []time.Duration {
	var all []time.Duration
	for _, w := range l.clients {
		all = append(all, w.waits...)
	}
	slices.Sort(all)
	return all
}

// BenchmarkWriters reports how long writes take while an index is reindexed and clients move to the new one, beside the
// 5 s within which the guide says that they continue.
func BenchmarkWriters(b *testing.B) {
	const promised = 5 * time.Second
	for b.Loop() {
		f := newFixture(b, "writers", loadDocuments)
		clients := underLoad(b, f, loadDocuments)
		result, err := copier(f.Config).Start(f.request(f.alias)).Wait(b.Context(), (&recorder{}).save)
		if failures := clients.end(b); err != nil || len(failures) > 0 {
			b.Fatalf("%v, %q", err, failures)
		}
		waits := clients.waits()
		for name, wait := range map[string]time.Duration{"p50": waits[len(waits)/2], "p99": waits[len(waits)*99/100],
			"max": waits[len(waits)-1], "switch": result.Pause} {
			b.ReportMetric(float64(wait.Milliseconds()), name+"-ms")
			b.ReportMetric(wait.Seconds()/promised.Seconds(), name+"-wait/5s-promised")
		}
	}
}

func TestNoRequestOfClientsFails(t *testing.T) { //nolint:paralleltest // it is about time
	f := newFixture(t, "load", loadDocuments)
	clients := underLoad(t, f, loadDocuments)
	time.Sleep(time.Second)
	req := f.request(f.alias)
	req.KeepOld = false
	start := time.Now()
	result, err := copier(f.Config).Start(req).Wait(t.Context(), (&recorder{}).save)
	t.Logf("reindexed in %s (%+v)", time.Since(start), result)
	time.Sleep(time.Second)
	for _, failure := range clients.end(t) {
		t.Error(failure)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{req.New}, f.targets(t, f.alias)); diff != "" || f.exists(t, f.old) {
		t.Errorf("the old index is there: %t; alias (-want +got):\n%s", f.exists(t, f.old), diff)
	}
}

// benchDocuments is how many documents a benchmark copies.
const benchDocuments = 1_000_000

// rounds is how often a benchmark copies with each method. The methods take turns in going first.
const rounds = 4

// BenchmarkCopy copies the same documents with a raw _reindex with the same slices and with a Run, one after the other.
// It reports the ratio of their rates: for the server's copy alone, and for the whole Run with its passes, counts and
// switch.
func BenchmarkCopy(b *testing.B) {
	for _, slices := range []int{1, 2} {
		b.Run(fmt.Sprintf("slices=%d", slices), func(b *testing.B) {
			c := comparison{fixture: newFixture(b, "bench", benchDocuments), slices: slices}
			c.rawCopy(b) // a cold server is slower
			c.raw = 0
			for b.Loop() {
				for round := range rounds {
					if round%2 == 0 {
						c.rawCopy(b)
					}
					made := c.run(b)
					if round%2 != 0 {
						c.rawCopy(b)
					}
					c.Do(b, http.MethodDelete, "/"+c.old, nil, nil)
					c.old = made
				}
			}
			rate := func(d time.Duration) float64 { return benchDocuments * float64(rounds*b.N) / d.Seconds() }
			b.ReportMetric(rate(c.raw), "raw-docs/s")
			b.ReportMetric(rate(c.copied), "copy-docs/s")
			b.ReportMetric(rate(c.whole), "whole-docs/s")
			b.ReportMetric(c.raw.Seconds()/c.copied.Seconds(), "copy/raw")
			b.ReportMetric(c.raw.Seconds()/c.whole.Seconds(), "whole/raw")
		})
	}
}

// comparison copies one index repeatedly.
type comparison struct {
	fixture
	slices, made       int
	raw, whole, copied time.Duration
}

func (c *comparison) rawCopy(b *testing.B) {
	c.made++
	to := fmt.Sprintf("%s-raw-%d", c.old, c.made)
	c.Do(b, http.MethodPut, "/"+to, definition, nil)
	start := time.Now()
	c.Do(b, http.MethodPost, fmt.Sprintf("/_reindex?slices=%d", c.slices),
		fmt.Sprintf(`{"source":{"index":%q},"dest":{"index":%q}}`, c.old, to), nil)
	c.raw += time.Since(start)
	c.Do(b, http.MethodDelete, "/"+to, nil, nil)
}

// run returns the name of the new index. The old one is kept.
func (c *comparison) run(b *testing.B) string {
	c.made++
	req := reindex.Request{Name: c.alias, Old: c.old, New: reindex.NewName(c.old, int64(c.made)), KeepOld: true,
		Slices: c.slices}
	start := time.Now()
	result, err := copier(c.Config).Start(req).Wait(b.Context(), (&recorder{}).save)
	if err != nil {
		b.Fatal(err)
	}
	c.whole += time.Since(start)
	c.copied += result.CopyTime
	return req.New
}
