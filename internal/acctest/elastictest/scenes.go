package elastictest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Cached is an index whose field data cache can be filled.
type Cached struct {
	Index string
	on    *Server
}

// Cached creates an index with one document.
func (s *Server) Cached(tb testing.TB, base string) Cached {
	tb.Helper()
	c := Cached{Index: s.Name(tb, base), on: s}
	s.Do(tb, http.MethodPut, "/"+c.Index,
		`{"settings":{"number_of_replicas":0},"mappings":{"properties":{"text":{"type":"text","fielddata":true}}}}`, nil)
	s.Do(tb, http.MethodPost, "/"+c.Index+"/_doc?refresh=true", `{"text":"late mail is late"}`, nil)
	return c
}

// Fill fills the cache.
func (c Cached) Fill(tb testing.TB) {
	tb.Helper()
	c.on.Do(tb, http.MethodPost, "/"+c.Index+"/_search?size=0&request_cache=false",
		`{"aggs":{"words":{"terms":{"field":"text"}}}}`, nil)
	if c.Bytes(tb) == 0 {
		tb.Fatal("the cache is empty before it is cleared")
	}
}

// Bytes returns the size of the cache.
func (c Cached) Bytes(tb testing.TB) int64 {
	tb.Helper()
	var now struct {
		All struct {
			Total struct {
				Fielddata struct {
					Bytes int64 `json:"memory_size_in_bytes"`
				} `json:"fielddata"`
			} `json:"total"`
		} `json:"_all"`
	}
	c.on.Do(tb, http.MethodGet, "/"+c.Index+"/_stats/fielddata", nil, &now)
	return now.All.Total.Fielddata.Bytes
}

// Amiss describes what is wrong with a cache that should have been cleared, or returns "".
func (c Cached) Amiss(tb testing.TB) string {
	tb.Helper()
	if n := c.Bytes(tb); n != 0 {
		return fmt.Sprintf("the cache holds %d bytes", n)
	}
	return ""
}

// Searched is an alias of one index with one document. Searches use the synonyms of a file through the filter "rules".
type Searched struct {
	Alias string
	on    *Server
	file  string
}

// Searched creates the index. The server must be one from WithFiles.
func (s *Server) Searched(tb testing.TB, base string, updateable bool) Searched {
	tb.Helper()
	base = s.Name(tb, base)
	x := Searched{Alias: base + "-all", on: s, file: "analysis/" + base + ".txt"}
	x.Rules(tb, 0)
	filter := map[string]any{"type": "synonym_graph", "synonyms_path": x.file}
	if updateable {
		filter["updateable"] = true
	}
	s.Do(tb, http.MethodPut, "/"+base+"-1", map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
			"filter": map[string]any{"rules": filter},
			"analyzer": map[string]any{"syn": map[string]any{"tokenizer": "standard",
				"filter": []string{"lowercase", "rules"}}},
		}},
		"mappings": map[string]any{"properties": map[string]any{"t": map[string]any{"type": "text",
			"analyzer": "standard", "search_analyzer": "syn"}}},
		"aliases": map[string]any{x.Alias: map[string]any{}},
	}, nil)
	s.Do(tb, http.MethodPost, "/"+base+"-1/_doc/1?refresh=true", document, nil)
	return x
}

const document = `{"t":"a fine laptop"}`

// Rules changes the file: with the new synonyms the n-th word finds the document, and the previous word does not.
func (x Searched) Rules(tb testing.TB, n int) {
	tb.Helper()
	const mode = 0o644
	//nolint:gosec // the server reads it
	if err := os.WriteFile(filepath.Join(x.on.Home, x.file), fmt.Appendf(nil, "laptop, notebook%d\n", n),
		mode); err != nil {
		tb.Fatal(err)
	}
}

// Amiss describes what is wrong with an alias that should point to one open, writable index that has loaded the n-th
// rules, or returns "".
func (x Searched) Amiss(tb testing.TB, n int) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), answerTimeout)
	defer cancel()
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	word := fmt.Sprintf("notebook%d", n)
	body := fmt.Sprintf(`{"size":0,"query":{"match":{"t":%q}}}`, word)
	if _, err := x.on.Call(ctx, http.MethodPost, "/"+x.Alias+"/_search?request_cache=true", body, &answer); err != nil {
		return fmt.Sprintf("it can't be searched: %v", err)
	}
	if answer.Hits.Total.Value != 1 {
		return fmt.Sprintf("%q finds %d documents", word, answer.Hits.Total.Value)
	}
	if _, err := x.on.Call(ctx, http.MethodPut, "/"+x.Alias+"/_doc/1?refresh=true", document, nil); err != nil {
		return fmt.Sprintf("it can't be written: %v", err)
	}
	return ""
}
