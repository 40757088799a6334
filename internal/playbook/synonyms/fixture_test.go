package synonyms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// fixture is a server with a synonym set and a synonym file.
type fixture struct {
	*elastictest.Server
	base, set, file string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	s := elastictest.WithFiles(t)
	f := fixture{Server: s, base: s.Name(t, "syn")}
	f.set, f.file = f.base+"-set", "analysis/"+f.base+".txt"
	f.putFile(t, "laptop, notebook")
	f.putSet(t, "laptop, notebook")
	t.Cleanup(func() {
		_, _ = s.Call(context.WithoutCancel(t.Context()), http.MethodDelete, "/_synonyms/"+f.set, nil, nil)
	})
	return f
}

func (f fixture) putFile(t *testing.T, rules ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.Home, f.file), []byte(strings.Join(rules, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) putSet(t *testing.T, rules ...string) {
	t.Helper()
	list := []map[string]string{}
	for _, r := range rules {
		list = append(list, map[string]string{"synonyms": r})
	}
	f.Do(t, http.MethodPut, "/_synonyms/"+f.set, map[string]any{"synonyms_set": list}, nil)
}

// filters are the kinds of filters that the tests use.
func (f fixture) filters() map[string]any {
	return map[string]any{
		"from_set":        map[string]any{"type": "synonym_graph", "synonyms_set": f.set, "updateable": true},
		"from_file":       map[string]any{"type": "synonym_graph", "synonyms_path": f.file, "updateable": true},
		"from_file_fixed": map[string]any{"type": "synonym_graph", "synonyms_path": f.file},
		"lenient": map[string]any{"type": "synonym", "synonyms_path": f.file, "updateable": true,
			"lenient": true},
		"inline": map[string]any{"type": "synonym", "synonyms": []string{"a, b"}},
		"unused": map[string]any{"type": "synonym", "synonyms_path": f.file},
		"stops":  map[string]any{"type": "stop"},
		"wrapper": map[string]any{"type": "multiplexer",
			"filters": []string{"lowercase", "lowercase, from_file_fixed"}},
	}
}

// makeIndex makes an index with two fields; filter is used by the analyzer "syn" of the field t, for queries, or for
// documents too.
func (f fixture) makeIndex(t *testing.T, suffix, filter string, atIndexTime bool) string {
	t.Helper()
	name := f.base + "-" + suffix
	field := map[string]any{"type": "text", "analyzer": "standard", "search_analyzer": "syn"}
	if atIndexTime {
		field = map[string]any{"type": "text", "analyzer": "syn"}
	}
	f.Do(t, http.MethodPut, "/"+name, map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
			"filter": f.filters(),
			"analyzer": map[string]any{"syn": map[string]any{"tokenizer": "standard",
				"filter": []string{"lowercase",
					filter}}, "other": map[string]any{"tokenizer": "standard", "filter": []string{"inline"}}},
		}},
		"mappings": map[string]any{"properties": map[string]any{"t": field,
			"plain": map[string]any{"type": "keyword"}}},
	}, nil)
	f.Do(t, http.MethodPost, "/"+name+"/_doc/1?refresh=true", `{"t":"a fine convertible"}`, nil)
	return name
}

// finds reports whether a query for the text finds a document.
func (f fixture) finds(t *testing.T, index, text string) bool {
	t.Helper()
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	f.Do(t, http.MethodPost, "/"+index+"/_search?request_cache=true",
		fmt.Sprintf(`{"size":0,"query":{"match":{"t":%q}}}`, text), &answer)
	return answer.Hits.Total.Value > 0
}

func (f fixture) bind(t *testing.T, cfg elastic.Config, params map[string]any) playbook.Action {
	t.Helper()
	cluster := elastic.New(cfg, clock.System{})
	action, err := synonyms.New(cluster, reindex.New(cluster, clock.System{}), clock.System{}).Bind(encode(t, params))
	if err != nil {
		t.Fatal(err)
	}
	return action
}

func encode(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// journal keeps the newest progress, as JSON.
type journal struct {
	progress json.RawMessage
	hook     func(json.RawMessage)
}

func (j *journal) checkpoint(ctx context.Context, progress any) error {
	text, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	j.progress = text
	if j.hook != nil {
		j.hook(text)
	}
	return context.Cause(ctx)
}

func preview(t *testing.T, action playbook.Action) (playbook.Preview, synonyms.Facts) {
	t.Helper()
	p, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts, ok := p.Facts.(synonyms.Facts)
	if !ok {
		t.Fatalf("facts are %T", p.Facts)
	}
	return p, facts
}

func run(t *testing.T, action playbook.Action, j *journal) (playbook.Report, error) {
	t.Helper()
	p, _ := preview(t, action)
	return dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p, Checkpoint: j.checkpoint})
}

func dispatch(ctx context.Context, t *testing.T, action playbook.Action, job playbook.Job) (playbook.Report, error) {
	t.Helper()
	work, err := action.Dispatch(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	return work.Wait(ctx)
}
