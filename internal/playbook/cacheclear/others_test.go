package cacheclear_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// TestBlockedMetadataElsewhere covers a metadata block on an index that nobody asked for.
func TestBlockedMetadataElsewhere(t *testing.T) {
	t.Parallel()
	s := elastictest.Own(t)
	index, other := s.Name(t, "elsewhere"), s.Name(t, "blocked")
	makeIndex(t, s, index)
	fill(t, s, index)
	s.Do(t, http.MethodPut, "/"+other, `{"settings":{"number_of_replicas":0,"blocks.metadata":true}}`, nil)
	defer s.Do(t, http.MethodPut, "/"+other+"/_settings", `{"index.blocks.metadata":null}`, nil)
	cluster, requests := counted(s)
	preview, _ := run(t, bind(t, cluster, map[string]any{"index_name": index}))
	if figures := strings.Join(preview.Figures, "\n"); !strings.Contains(figures, "Cached in "+index) {
		t.Errorf("figures: %s", figures)
	}
	if now := sizes(t, s, index); now != (elastic.CacheSizes{}) {
		t.Errorf("cached: %+v", now)
	}
	for range 5 {
		if _, err := bind(t, cluster, map[string]any{"index_name": index}).Preview(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := requests.all.Load(); n != 1 {
		t.Errorf("%d requests for the sizes of all indices, want 1", n)
	}
}

// TestFieldsThatKeepNoFieldData covers names for which Elasticsearch clears nothing, without an error.
func TestFieldsThatKeepNoFieldData(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "named")
	s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0},"mappings":{"properties":{
		"title":{"type":"text","fields":{"raw":{"type":"keyword"}}}, "o":{"properties":{"x":{"type":"keyword"}}},
		"heading":{"type":"alias","path":"title.raw"}, "j":{"type":"join","relations":{"question":"answer"}}}}}`, nil)
	for field, says := range map[string]string{
		"title": "", "title.raw": "", "o.x": "", "_id": "", "j#question": "",
		"titel": "nearest", "o": "no index", "heading": "title.raw",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			_, err := bind(t, elastic.New(s.Config, clock.System{}), map[string]any{"index_name": index,
				"cache_types": []string{"fielddata"}, "fields": []string{field}}).Preview(t.Context())
			var p *problem.Problem
			switch {
			case says == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &p) || problem.Where(p.Path) != "fields" ||
				!strings.Contains(strings.ToLower(err.Error()), says):
				t.Errorf("error %v, want one about fields that says %q", err, says)
			}
		})
	}
}
