package synonyms_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// TestAdoptedReloadNeedsToBeSeen: the tokens of the probe texts show whether a dead process reloaded. Without probe
// texts this is unknown, and the reload is not considered done.
func TestAdoptedReloadNeedsToBeSeen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		probes   []string
		reloaded bool
		adopted  bool
	}{
		"no texts, not reloaded": {},
		"no texts, reloaded":     {reloaded: true},
		"texts, not reloaded":    {probes: []string{"cabrio"}},
		"texts, reloaded":        {probes: []string{"cabrio"}, reloaded: true, adopted: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			index := f.makeIndex(t, "adopted", "from_file", false)
			f.putFile(t, "laptop, notebook", "cabrio, convertible")
			params := map[string]any{"index_name": index, "synonym_filter": "from_file"}
			if tt.probes != nil {
				params["probe_texts"] = tt.probes
			}
			action := f.bind(t, f.Config, params)
			p, _ := preview(t, action)
			if tt.reloaded {
				f.Do(t, http.MethodPost, "/"+index+"/_reload_search_analyzers", nil, nil)
			}
			job := playbook.Job{ID: 12, Preview: p, RemoteID: "reload", Progress: json.RawMessage(`{"reloading":true}`),
				Checkpoint: (&journal{}).checkpoint}
			work, err := action.Adopt(t.Context(), job)
			if (err == nil) != tt.adopted {
				t.Fatalf("adopted: %v", err)
			}
			if err != nil {
				return
			}
			if _, err := work.Wait(t.Context()); err != nil || !f.finds(t, index, "cabrio") {
				t.Errorf("found %t, %v", f.finds(t, index, "cabrio"), err)
			}
		})
	}
}
