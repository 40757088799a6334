package reindex_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// vector returns different numbers for each n.
func vector(n int) []float64 {
	const dims = 64
	v := make([]float64, dims)
	for i := range v {
		v[i] = 3 * math.Sin(float64(n*dims+i))
	}
	return v
}

// TestVectorsWrittenDuringTheCopy covers servers that leave vectors out of the sources that they return: Elasticsearch
// since 9.2. It stores them rounded, so a copy can differ in the last digits.
func TestVectorsWrittenDuringTheCopy(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	f := fixture{Server: s, alias: s.Name(t, "vectors")}
	f.old = f.alias + "-v1"
	f.Do(t, http.MethodPut, "/"+f.old, fmt.Sprintf(`{"settings":{"number_of_replicas":0}, "aliases":{%q:{}},
		"mappings":{"properties":{"v":{"type":"dense_vector","dims":64}, "parts":{"properties":{
			"w":{"type":"dense_vector","dims":2,"index":false}}}}}}`, f.alias), nil)
	want := map[string]string{}
	shown := func(v, w []float64) string { return fmt.Sprintf("%.2f %.0f", v, w) }
	put := func(id, n int) {
		v, err := json.Marshal(vector(n))
		if err != nil {
			t.Fatal(err)
		}
		f.Do(t, http.MethodPut, fmt.Sprintf("/%s/_doc/%d?refresh=true", f.alias, id),
			fmt.Sprintf(`{"n":%[1]d,"v":%s,"parts":{"w":[1,%[1]d]}}`, n, v), nil)
		want[fmt.Sprint(id)] = shown(vector(n), []float64{1, float64(n)})
	}
	for id := range 100 {
		put(id, id)
	}
	req, wrote := f.request(f.alias), false
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage == reindex.StageCatchUp && !wrote {
			wrote = true
			put(1, 300)
			put(200, 400)
		}
	}}
	if _, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Hits struct {
			Hits []struct {
				ID     string `json:"_id"`
				Fields struct {
					V []float64 `json:"v"`
					W []float64 `json:"parts.w"`
				}
			}
		}
	}
	f.Do(t, http.MethodPost, "/"+f.alias+"/_search", `{"size":1000,"_source":false,"fields":["v","parts.w"]}`, &answer)
	got := map[string]string{}
	for _, h := range answer.Hits.Hits {
		got[h.ID] = shown(h.Fields.V, h.Fields.W)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vectors (-want +got):\n%s", diff)
	}
}
