package reindex_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// TestSmallResultWindow covers index.max_result_window, which limits every page that is read, the server's own ones
// included.
func TestSmallResultWindow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "window", 300)
	f.Do(t, http.MethodPut, "/"+f.old+"/_settings", `{"max_result_window":50}`, nil)
	changed := false
	rec := &recorder{hook: func(s reindex.State) {
		if s.Stage != reindex.StageCatchUp || changed {
			return
		}
		changed = true
		for id := range 60 {
			f.Do(t, http.MethodPut, fmt.Sprintf("/%s/_doc/%d", f.old, 200+2*id), `{"n":-1}`, nil)
			f.Do(t, http.MethodDelete, fmt.Sprintf("/%s/_doc/%d", f.old, id), nil, nil)
		}
	}}
	req := f.request(f.alias)
	if _, err := copier(f.Config).Start(req).Wait(t.Context(), rec.save); err != nil {
		t.Fatal(err)
	}
	f.Do(t, http.MethodPut, "/"+f.old+","+req.New+"/_settings", `{"max_result_window":10000}`, nil)
	want := f.all(t, f.old)
	if diff := cmp.Diff(want, f.all(t, f.alias)); diff != "" || len(want) != 250 {
		t.Errorf("%d documents (-old +new):\n%s", len(want), diff)
	}
}
