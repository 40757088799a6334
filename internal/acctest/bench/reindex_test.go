package bench_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// documents is how many documents the reindexed index has.
const documents = 50_000

// BenchmarkReindex compares a refresh of synonyms by a reindex with the same _reindex request alone.
func BenchmarkReindex(b *testing.B) {
	server := elastictest.Shared(b)
	base := server.Name(b, "reindex")
	server.Do(b, http.MethodPut, "/_synonyms/"+base, `{"synonyms_set":[{"synonyms":"late, overdue"}]}`, nil)
	index := func(name string) {
		server.Do(b, http.MethodPut, "/"+name, map[string]any{
			"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
				"filter": map[string]any{"rules": map[string]any{"type": "synonym_graph", "synonyms_set": base,
					"updateable": true}},
				"analyzer": map[string]any{"syn": map[string]any{"tokenizer": "standard",
					"filter": []string{"lowercase", "rules"}}},
			}},
			"mappings": map[string]any{"properties": map[string]any{"text": map[string]any{"type": "text",
				"analyzer": "standard", "search_analyzer": "syn"}}},
		}, nil)
	}
	source := base + "-source"
	index(source)
	fillIndex(b, server, source)
	server.Do(b, http.MethodPost, "/_aliases",
		fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":"%s-all"}}]}`, source, base), nil)
	w := acctest.NewWorkspace(b, server.Environment(server.URL())...)
	w.Write("main.tf", requires("remediation")+fmt.Sprintf("resource \"remediation_synonyms_refresh\" \"x\" {\n"+
		"  index_name = \"%s-all\"\n  synonym_filter = \"rules\"\n  reindex = true\n"+
		"  approved_by = \"lead@example.com\"\n}\n", base))
	round := 0
	for b.Loop() {
		round++
		copied := fmt.Sprintf("%s-copy-%d", base, round)
		index(copied)
		begun := time.Now()
		var answer struct{ Total int }
		server.Do(b, http.MethodPost, "/_reindex?slices=auto&refresh=true",
			fmt.Sprintf(`{"source":{"index":"%s-all"},"dest":{"index":%q}}`, base, copied), &answer)
		raw := time.Since(begun)
		if answer.Total != documents {
			b.Fatalf("%d documents were copied", answer.Total)
		}
		timed(b, w, "plan", "-out=saved.tfplan")
		through := timed(b, w, "apply", "saved.tfplan")
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(raw.Seconds(), "reindex-s")
		b.ReportMetric(through.Seconds(), "apply-s")
		b.ReportMetric(ratio(through, raw), "apply/reindex")
		b.ReportMetric((through - raw).Seconds(), "extra-s")
	}
}

func fillIndex(b *testing.B, s *elastictest.Server, index string) {
	b.Helper()
	const batch = 10_000
	for from := 0; from < documents; from += batch {
		var lines bytes.Buffer
		for i := from; i < from+batch; i++ {
			fmt.Fprintf(&lines, "{\"index\":{}}\n{\"text\":\"late mail %d is late and has a few words more\"}\n", i)
		}
		s.Do(b, http.MethodPost, "/"+index+"/_bulk", lines.Bytes(), nil)
	}
	s.Do(b, http.MethodPost, "/"+index+"/_refresh", nil, nil)
}
