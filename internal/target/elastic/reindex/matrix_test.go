package reindex_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

var (
	matrixSize = flag.Int("reindex.definitions", 3, "index definitions that TestMatrix reindexes, drawn by the seed")
	matrixSeed = flag.Uint64("reindex.seed", 1, "seed of TestMatrix")
)

// matrixWriters is how many clients write during each reindex, and ownDocuments how many documents of each kind belong
// to one of them.
const (
	matrixWriters = 3
	ownDocuments  = 4
)

// TestMatrix reindexes definitions of every kind while clients write in every way that the API has. Each acknowledged
// write is repeated on a reference index. At the end, every document must equal its reference.
func TestMatrix(t *testing.T) {
	t.Parallel()
	all := matrix()
	if len(all) < 40 {
		t.Errorf("%d definitions", len(all))
	}
	names := slices.Sorted(maps.Keys(all))
	random := rand.New(rand.NewPCG(*matrixSeed, 0))
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:min(*matrixSize, len(names))]
	t.Logf("seed %d: %d of %d definitions", *matrixSeed, len(names), len(all))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runMatrixCase(t, all[name])
		})
	}
}

func runMatrixCase(t *testing.T, c matrixCase) {
	t.Helper()
	s := elastictest.Shared(t)
	f := fixture{Server: s, alias: s.Name(t, "matrix")}
	f.old = f.alias + "-v1"
	reference := f.alias + "-reference"
	if c.concrete {
		f.alias = f.old
	}
	s.Do(t, http.MethodPut, "/_ingest/pipeline/"+f.old, `{"processors":[]}`, nil)
	t.Cleanup(func() {
		_, _ = s.Call(context.WithoutCancel(t.Context()), http.MethodDelete, "/_ingest/pipeline/"+f.old, nil, nil)
	})
	body := c.body(f.old)
	if c.template != "" {
		f.matchingTemplate(t, c, body)
	}
	for _, index := range []string{f.old, reference} {
		s.Do(t, http.MethodPut, "/"+index, body, nil)
	}
	if !c.concrete {
		s.Do(t, http.MethodPost, "/_aliases", fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, f.old,
			f.alias), nil)
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	writers := make([]*matrixWriter, matrixWriters)
	for id := range writers {
		writers[id] = &matrixWriter{f: f, c: c, id: id, reference: reference,
			random: rand.New(rand.NewPCG(*matrixSeed, uint64(id+1))), versions: 1}
		writers[id].prepare(ctx)
		group.Go(func() { writers[id].run(ctx) })
	}
	time.Sleep(500 * time.Millisecond)
	req := reindex.Request{Name: f.alias, Old: f.old, New: reindex.NewName(f.old, 7)}
	result, err := copier(f.Config).Start(req).Wait(t.Context(), (&recorder{}).save)
	time.Sleep(200 * time.Millisecond)
	stop()
	group.Wait()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, retried := 0, 0
	for _, w := range writers {
		acknowledged, retried = acknowledged+w.acknowledged, retried+w.retried
		if w.broken != "" {
			t.Error(w.broken)
		}
	}
	t.Logf("%d writes acknowledged, %d refused and repeated; %+v", acknowledged, retried, result)
	want, got := f.sources(t, reference), f.sources(t, f.alias)
	if result.Remark() != "" {
		t.Log(result.Remark())
		maps.DeleteFunc(want, readFirst)
		maps.DeleteFunc(got, readFirst)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-reference +reindexed):\n%s", diff)
	}
}

// readFirst reports whether requests of a document's kind read it before they write it.
func readFirst(_ string, source any) bool {
	document, _ := source.(map[string]any)
	kind, _ := document["k"].(string)
	return slices.Contains([]string{"bulk", "update", "upsert", "script", "updated by query"}, kind)
}

// matchingTemplate installs a template that adds nothing to a copy of the definition.
func (f fixture) matchingTemplate(t *testing.T, c matrixCase, body string) {
	t.Helper()
	content := `"template":` + body + `,"priority":503`
	if c.template == "_template" {
		content = strings.TrimSuffix(strings.TrimPrefix(body, "{"), "}")
	}
	path := "/" + c.template + "/" + f.old
	f.Do(t, http.MethodPut, path, fmt.Sprintf(`{"index_patterns":[%q],%s}`, f.old+"-*", content), nil)
	t.Cleanup(func() { _, _ = f.Call(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil, nil) })
}

// sources returns the parsed documents of an index by routing and name.
func (f fixture) sources(t *testing.T, index string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for key, text := range f.all(t, index) {
		_, source, _ := strings.Cut(text, " ")
		var parsed any
		if err := json.Unmarshal([]byte(source), &parsed); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		out[key] = parsed
	}
	return out
}

// matrixWriter is a client that owns its documents, and repeats each acknowledged write on the reference.
type matrixWriter struct {
	f         fixture
	c         matrixCase
	id        int
	reference string
	random    *rand.Rand
	// versions is the newest external version.
	versions int64
	// acknowledged and retried count requests. broken is why the writer had to stop.
	acknowledged, retried int
	broken                string
}

// kinds are the kinds of requests by name. Each works on documents of its own kind.
func (w *matrixWriter) kinds() map[string]func(ctx context.Context, n int) {
	return map[string]func(ctx context.Context, n int){
		"index": func(ctx context.Context, n int) { w.put(ctx, w.name("index", n), "index", n) },
		"bulk":  w.bulk,
		"update": func(ctx context.Context, n int) {
			w.do(ctx, "update", n, http.MethodPost, "/_update/"+w.name("update", n), fmt.Sprintf(`{"doc":{"n":%d}}`, n))
		},
		"upsert": func(ctx context.Context, n int) {
			w.do(ctx, "upsert", n, http.MethodPost, "/_update/"+w.name("upsert", n),
				`{"doc":`+w.c.document(w.id, "upsert", n)+`,"doc_as_upsert":true}`)
		},
		"script": func(ctx context.Context, n int) {
			w.do(ctx, "script", n, http.MethodPost, "/_update/"+w.name("script", n), fmt.Sprintf(
				`{"script":{"source":"ctx._source.n += params.n","params":{"n":%d}},"upsert":%s}`, n%9,
				w.c.document(w.id, "script", n)))
		},
		"delete": func(ctx context.Context, n int) {
			w.do(ctx, "delete", n, http.MethodDelete, "/_doc/"+w.name("delete", n), "")
			w.put(ctx, w.name("delete", n), "delete", n)
		},
		"external": func(ctx context.Context, n int) {
			w.versions++
			w.send(ctx, http.MethodPut, fmt.Sprintf("/_doc/%s?version_type=external&version=%d", w.name("external", n),
				w.versions), w.c.document(w.id, "external", n))
		},
		"updated by query": func(ctx context.Context, n int) { w.byQuery(ctx, "updated by query", "_update_by_query", n) },
		"deleted by query": func(ctx context.Context, n int) { w.byQuery(ctx, "deleted by query", "_delete_by_query", n) },
	}
}

func (w *matrixWriter) name(kind string, n int) string {
	return fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(kind, " ", "-"), w.id, n%ownDocuments)
}

// prepare writes the documents that requests expect.
func (w *matrixWriter) prepare(ctx context.Context) {
	for kind := range w.kinds() {
		if kind != "external" {
			w.reset(ctx, kind, 0)
		}
	}
}

// reset brings all documents of a kind to a known state.
func (w *matrixWriter) reset(ctx context.Context, kind string, n int) {
	for i := range ownDocuments {
		w.put(ctx, w.name(kind, i), kind, n)
	}
}

func (w *matrixWriter) run(ctx context.Context) {
	kinds := w.kinds()
	names := slices.Sorted(maps.Keys(kinds))
	for n := 1; ctx.Err() == nil && w.broken == ""; n++ {
		kinds[names[w.random.IntN(len(names))]](context.WithoutCancel(ctx), n)
		time.Sleep(between)
	}
}

// variant returns parameters that a request of a client may have.
func (w *matrixWriter) variant(path string) string {
	var set []string
	if w.c.routed {
		set = append(set, "routing=r"+fmt.Sprint(w.id))
	}
	if refresh := []string{"", "false", "true", "wait_for"}[w.random.IntN(4)]; refresh == "true" || refresh == "false" {
		set = append(set, "refresh="+refresh)
	}
	// A script that doesn't wait reads the document of the moment before; see the package's documentation.
	script := strings.HasPrefix(path, "/_update/script")
	if shards := []string{"", "", "0", "1"}[w.random.IntN(4)]; shards != "" && !script {
		set = append(set, "wait_for_active_shards="+shards)
	}
	if len(set) == 0 {
		return path
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + strings.Join(set, "&")
}

// send sends a request to the clients' name, and repeats it on the reference once it is acknowledged.
func (w *matrixWriter) send(ctx context.Context, method, path, body string) bool {
	path = w.variant(path)
	var payload any
	if body != "" {
		payload = body
	}
	var answer struct{ Errors bool }
	if _, err := w.f.Call(ctx, method, "/"+w.f.alias+path, payload, &answer); err != nil || answer.Errors {
		w.retried++
		return false
	}
	w.acknowledged++
	if status, err := w.f.Call(ctx, method, "/"+w.reference+path, payload, &answer); err != nil || answer.Errors {
		w.broken = fmt.Sprintf("writer %d: acknowledged, but the reference refuses %s %s: %d, %v", w.id, method, path,
			status, err)
	}
	return true
}

// do sends a request about one document. If it is refused, the document is written again as a whole, because nobody
// knows whether the request took effect.
func (w *matrixWriter) do(ctx context.Context, kind string, n int, method, path, body string) {
	if !w.send(ctx, method, path, body) {
		w.put(ctx, w.name(kind, n), kind, n)
	}
}

// put writes a whole document, and retries while writers are refused.
func (w *matrixWriter) put(ctx context.Context, name, kind string, n int) {
	for range 3000 {
		if w.send(ctx, http.MethodPut, "/_doc/"+name, w.c.document(w.id, kind, n)) || w.broken != "" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.broken = fmt.Sprintf("writer %d: a write of %s was refused for a minute", w.id, name)
}

// bulk indexes, updates and deletes documents in one request.
func (w *matrixWriter) bulk(ctx context.Context, n int) {
	name := func(i int) string { return w.name("bulk", i) }
	document := w.c.document(w.id, "bulk", n)
	lines := []string{
		fmt.Sprintf(`{"index":{"_id":%q}}`, name(0)), document,
		fmt.Sprintf(`{"update":{"_id":%q}}`, name(1)), fmt.Sprintf(`{"doc":{"n":%d}}`, n),
		fmt.Sprintf(`{"delete":{"_id":%q}}`, name(2)),
		fmt.Sprintf(`{"create":{"_id":%q}}`, name(2)), document,
	}
	if !w.send(ctx, http.MethodPost, "/_bulk", strings.Join(lines, "\n")+"\n") {
		w.reset(ctx, "bulk", n)
	}
}

// byQuery changes all documents of a kind. A request that runs across the switch may end partway, or see the documents
// of the moment before; see the package's documentation.
func (w *matrixWriter) byQuery(ctx context.Context, kind, action string, n int) {
	body := fmt.Sprintf(`{"query":{"bool":{"filter":[{"term":{"w":%d}},{"term":{"k":%q}}]}}`, w.id, kind)
	if action == "_update_by_query" {
		body += fmt.Sprintf(`,"script":{"source":"ctx._source.n = params.n","params":{"n":%d}}`, n)
	}
	path := "/" + action
	if w.c.routed {
		path += "?routing=r" + fmt.Sprint(w.id)
	}
	changed := func(index string) bool {
		var answer struct {
			Updated, Deleted int
			Failures         []any
		}
		if _, err := w.f.Call(ctx, http.MethodPost, "/"+index+"/_refresh", nil, nil); err != nil {
			return false
		}
		_, err := w.f.Call(ctx, http.MethodPost, "/"+index+path, body+"}", &answer)
		return err == nil && len(answer.Failures) == 0 && answer.Updated+answer.Deleted == ownDocuments
	}
	if changed(w.f.alias) {
		w.acknowledged++
		if !changed(w.reference) {
			w.broken = fmt.Sprintf("writer %d: the reference refuses %s", w.id, action)
		}
	} else {
		w.retried++
		w.reset(ctx, kind, n)
	}
	if action == "_delete_by_query" {
		w.reset(ctx, kind, n)
	}
}
