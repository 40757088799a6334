package reindex_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

func copier(cfg elastic.Config) reindex.Copier {
	return reindex.New(elastic.New(cfg, clock.System{}), clock.System{})
}

// fixture is an index behind an alias.
type fixture struct {
	*elastictest.Server
	alias, old string
}

// definition has settings that a copy must keep, and some that it must not.
const definition = `{
	"settings": {"number_of_shards": 2, "number_of_replicas": 0, "max_result_window": 12345,
		"refresh_interval": "500ms", "gc_deletes": "0s",
		"analysis": {"filter": {"syn": {"type": "synonym", "synonyms": ["laptop, notebook"]}},
			"analyzer": {"with_syn": {"tokenizer": "standard", "filter": ["lowercase", "syn"]}}}},
	"mappings": {"dynamic": "strict", "properties": {"t": {"type": "text", "analyzer": "with_syn"}, "n": {"type": "long"}}}}`

func newFixture(t testing.TB, name string, documents int) fixture {
	t.Helper()
	return fixtureOn(t, elastictest.Shared(t), name, documents, 0)
}

func fixtureOn(t testing.TB, s *elastictest.Server, name string, documents, replicas int) fixture {
	t.Helper()
	f := fixture{Server: s, alias: s.Name(t, name)}
	f.old = f.alias + "-v1"
	s.Do(t, http.MethodPut, "/"+f.old, definition, nil)
	if replicas > 0 {
		s.Do(t, http.MethodPut, "/"+f.old+"/_settings", fmt.Sprintf(`{"number_of_replicas":%d}`, replicas), nil)
	}
	const batch = 20_000
	for from := 0; from < documents; from += batch {
		var bulk strings.Builder
		for i := from; i < min(documents, from+batch); i++ {
			fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n{\"t\":\"laptop number %d\",\"n\":%d}\n", i, i, i)
		}
		var answer struct{ Errors bool }
		s.Do(t, http.MethodPost, "/"+f.old+"/_bulk", bulk.String(), &answer)
		if answer.Errors {
			t.Fatal("the documents were not loaded")
		}
	}
	s.Do(t, http.MethodPost, "/"+f.old+"/_refresh", nil, nil)
	s.Do(t, http.MethodPost, "/_aliases", fmt.Sprintf(`{"actions":[
		{"add":{"index":%[1]q,"alias":%[2]q}}, {"add":{"index":%[1]q,"alias":"%[2]s-even","filter":{"term":{"n":2}},"routing":"r"}}]}`, f.old, f.alias), nil)
	return f
}

func (f fixture) request(name string) reindex.Request {
	return reindex.Request{Name: name, Old: f.old, New: reindex.NewName(f.old, 7), KeepOld: true}
}

// all returns the documents of an index, alias or view, by routing and name.
func (f fixture) all(t testing.TB, index string) map[string]string {
	t.Helper()
	f.Do(t, http.MethodPost, "/"+index+"/_refresh", nil, nil)
	out := map[string]string{}
	var view struct{ ID string }
	f.Do(t, http.MethodPost, "/"+index+"/_pit?keep_alive=1m", nil, &view)
	after := ""
	for {
		var answer struct {
			Hits struct {
				Hits []struct {
					ID      string          `json:"_id"`
					Routing string          `json:"_routing"`
					Version int64           `json:"_version"`
					Source  json.RawMessage `json:"_source"`
					Sort    json.RawMessage `json:"sort"`
				}
			}
		}
		f.Do(t, http.MethodPost, "/_search",
			fmt.Sprintf(`{"size":10000,"version":true,"sort":["_shard_doc"],"pit":{"id":%q}%s}`, view.ID,
				after), &answer)
		for _, h := range answer.Hits.Hits {
			out[h.Routing+"/"+h.ID] = fmt.Sprintf("v%d %s", h.Version, h.Source)
			after = `,"search_after":` + string(h.Sort)
		}
		if len(answer.Hits.Hits) < 10_000 {
			f.Do(t, http.MethodDelete, "/_pit", fmt.Sprintf(`{"id":%q}`, view.ID), nil)
			return out
		}
	}
}

func (f fixture) targets(t testing.TB, alias string) []string {
	t.Helper()
	targets, err := elastic.New(f.Config, clock.System{}).AliasTargets(t.Context(), alias)
	if err != nil && !elastic.IsMissing(err) {
		t.Fatal(err)
	}
	return targets
}

// recorder keeps the newest state, and calls hook with each state.
type recorder struct {
	mu    sync.Mutex
	state reindex.State
	hook  func(reindex.State)
}

func (r *recorder) save(_ context.Context, s reindex.State) error {
	// Encode and decode it as the journal does.
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.state = reindex.State{}
	err = json.Unmarshal(text, &r.state)
	r.mu.Unlock()
	if r.hook != nil {
		r.hook(s)
	}
	return err
}

func (f fixture) exists(t *testing.T, index string) bool {
	t.Helper()
	if index == "" {
		return false
	}
	status, err := f.Try(t, http.MethodGet, "/"+index, nil, nil)
	if status != http.StatusNotFound && status != http.StatusOK {
		t.Fatalf("%s: status %d, %v", index, status, err)
	}
	return status == http.StatusOK
}

// checkDefinition fails the test unless the new index is defined like the old one.
func (f fixture) checkDefinition(t *testing.T, index string) {
	t.Helper()
	type described struct {
		Mappings json.RawMessage
		Settings struct{ Index map[string]any }
		Aliases  map[string]any
	}
	read := func(name string) described {
		answer := map[string]described{}
		f.Do(t, http.MethodGet, "/"+name, nil, &answer)
		d := answer[name]
		for _, own := range []string{"uuid", "creation_date", "provided_name", "version", "blocks",
			"verified_read_only"} {
			delete(d.Settings.Index, own)
		}
		return d
	}
	want, got := read(f.old), read(index)
	if diff := cmp.Diff(want.Settings, got.Settings); diff != "" {
		t.Errorf("settings (-old +new):\n%s", diff)
	}
	if diff := cmp.Diff(string(want.Mappings), string(got.Mappings)); diff != "" {
		t.Errorf("mappings (-old +new):\n%s", diff)
	}
	aliases := map[string]any{
		f.alias: map[string]any{},
		f.alias + "-even": map[string]any{
			"filter": map[string]any{"term": map[string]any{"n": float64(2)}}, "index_routing": "r",
			"search_routing": "r",
		},
	}
	if diff := cmp.Diff(aliases, got.Aliases); diff != "" {
		t.Errorf("aliases of the new index (-want +got):\n%s", diff)
	}
	if len(want.Aliases) != 0 {
		t.Errorf("the old index still has aliases: %v", want.Aliases)
	}
}
