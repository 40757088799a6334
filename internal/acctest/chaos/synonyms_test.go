package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// once are the requests of which an execution may send each only once. The others of a refresh (opening, clearing caches, lifting a
// block) may be repeated by whoever adopts it, and do nothing the second time.
var once = regexp.MustCompile(`/(_reload_search_analyzers|_close|_reindex|_aliases)$`)

func synonymsChange(r *http.Request, body []byte) string {
	if elasticChange(r, body) == "" || !once.MatchString(r.URL.Path) {
		return ""
	}
	return r.URL.Path + " " + string(body)
}

// refreshSynonyms loads the rules of a file in one of the three ways: a reload, a close and open, or a reindex.
func refreshSynonyms(t *testing.T, way string) *world {
	t.Helper()
	s := elastictest.WithFiles(t)
	base := s.Name(t, "chaos-"+way)
	file := "analysis/" + base + ".txt"
	rules := func(n int) {
		text := fmt.Sprintf("laptop, notebook%d\n", n)
		if err := os.WriteFile(filepath.Join(s.Home, file), []byte(text), fileMode); err != nil { //nolint:gosec // the server reads it
			t.Fatal(err)
		}
	}
	rules(0)
	filter := map[string]any{"type": "synonym_graph", "synonyms_path": file}
	if way == "reload" {
		filter["updateable"] = true
	}
	const alias = "-all"
	s.Do(t, http.MethodPut, "/"+base+"-1", map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
			"filter":   map[string]any{"rules": filter},
			"analyzer": map[string]any{"syn": map[string]any{"tokenizer": "standard", "filter": []string{"lowercase", "rules"}}},
		}},
		"mappings": map[string]any{"properties": map[string]any{"t": map[string]any{"type": "text", "analyzer": "standard", "search_analyzer": "syn"}}},
		"aliases":  map[string]any{base + alias: map[string]any{}},
	}, nil)
	s.Do(t, http.MethodPost, "/"+base+"-1/_doc/1?refresh=true", `{"t":"a fine laptop"}`, nil)
	inputs, takes := fmt.Sprintf("index_name = %q\n  synonym_filter = \"rules\"", base+alias), 300*time.Millisecond
	if way == "reindex" {
		inputs += "\n  reindex = true\n  keep_old_index = false"
		takes = 2 * time.Second
	}
	l := &ledger{}
	return &world{
		name: "refresh_synonyms (" + way + ")", playbook: "refresh_synonyms", resource: "remediation_synonyms_refresh", ledger: l,
		env: s.Environment(behind(t, l, s.URL(), synonymsChange)), takes: takes, steps: 1,
		begin: func(_ *testing.T, n int) string {
			rules(n)
			return inputs
		},
		amiss: func(t *testing.T, n int) string {
			t.Helper()
			return serves(t, s, base+alias, fmt.Sprintf("notebook%d", n))
		},
	}
}

// serves says what is wrong with an alias that should stand for one open, writable index on which the word finds the document.
func serves(t *testing.T, s *elastictest.Server, alias, word string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), applyPatience)
	defer cancel()
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	body := fmt.Sprintf(`{"size":0,"query":{"match":{"t":%q}}}`, word)
	if _, err := s.Call(ctx, http.MethodPost, "/"+alias+"/_search?request_cache=true", body, &answer); err != nil {
		return fmt.Sprintf("it can't be searched: %v", err)
	}
	if answer.Hits.Total.Value != 1 {
		return fmt.Sprintf("%q finds %d documents", word, answer.Hits.Total.Value)
	}
	if _, err := s.Call(ctx, http.MethodPut, "/"+alias+"/_doc/1?refresh=true", `{"t":"a fine laptop"}`, nil); err != nil {
		return fmt.Sprintf("it can't be written: %v", err)
	}
	return ""
}
