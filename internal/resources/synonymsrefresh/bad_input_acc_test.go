package synonymsrefresh_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccBadInput checks that plan refuses each invalid input, at its attribute.
func TestAccBadInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	index := r.index(t, "kb", kb{filter: "from_file", alias: r.base + "-both"})
	r.index(t, "other", kb{filter: "from_file", alias: r.base + "-both"})
	sourceless := r.index(t, "sourceless", kb{filter: "from_file", sourceless: true})
	closed := r.index(t, "closed", kb{filter: "from_file"})
	r.server.Do(t, http.MethodPost, "/"+closed+"/_close", nil, nil)
	before := r.seen(t)
	const reindex = "reindex = true\n  "
	filter := func(name string) string { return fmt.Sprintf("synonym_filter = %q", name) }
	name := func(n string) string { return fmt.Sprintf("index_name = %q", n) }
	tests := map[string]struct{ config, says, at string }{
		"unknown filter":        {config(index, "from_fil", ""), "from_file", filter("from_fil")},
		"inline synonyms":       {config(index, "inline", ""), "inline", filter("inline")},
		"filter not used":       {config(index, "unused", ""), "No analyzer", filter("unused")},
		"no filter":             {config(index, "", ""), "at least 1", filter("")},
		"blank filter":          {config(index, " ", ""), "Name the synonym filter", filter(" ")},
		"no index":              {config("", "from_file", ""), "at least 1", name("")},
		"everything by name":    {config("_all", "from_file", ""), "allow_all", name("_all")},
		"everything by pattern": {config("*", "from_file", ""), "allow_all", name("*")},
		"system index": {config(".synonyms-2", "from_file", ""), "a system index",
			name(".synonyms-2")},
		"closed index": {config(closed, "from_file", ""), "Open it (POST /" + closed + "/_open)",
			name(closed)},
		"missing index": {config(index+"x", "from_file", ""), "The nearest names are: " + index,
			name(index + "x")},
		"alias on several": {config(r.base+"-both", "from_file", reindex),
			"refers to 2 indices, and one is needed", name(r.base + "-both")},
		"reindex of a pattern": {config(r.base+"-kb*", "from_file", reindex), "is a pattern",
			name(r.base + "-kb*")},
		"no _source":        {config(sourceless, "from_file", reindex), "disables _source", "reindex = true"},
		"slices of nothing": {config(index, "from_file", "slices = 2"), "reindex is not set", "slices = 2"},
		"no slices": {config(index, "from_file", reindex+"slices = 0"), "between 1 and 1024",
			"slices = 0"},
		"too many slices": {config(index, "from_file", reindex+"slices = 1025"), "between 1 and 1024",
			"slices = 1025"},
		"throttled nothing": {config(index, "from_file", "requests_per_second = 5"), "reindex is not set",
			"requests_per_second = 5"},
		"throttled to a standstill": {config(index, "from_file", reindex+"requests_per_second = 0"), "between 0.001",
			"requests_per_second = 0"},
		"kept nothing": {config(index, "from_file", "keep_old_index = false"), "reindex is not set",
			"keep_old_index = false"},
		"no probes": {config(index, "from_file", "probe_texts = []"), "at least 1", "probe_texts = []"},
		"a blank probe": {config(index, "from_file", `probe_texts = [" "]`), "Text 1 is empty",
			`probe_texts = [" "]`},
		"the same probe twice": {config(index, "from_file", `probe_texts = ["a", "a"]`), "duplicate",
			`probe_texts = ["a", "a"]`},
		"too many probes": {config(index, "from_file", `probe_texts = ["`+strings.Repeat(`x", "`, 21)+`"]`),
			"at most 20", "probe_texts = "},
		"the playbook's own": {config(index, "from_file", `restore_index = "x"`), "Unsupported argument",
			"restore_index"},
	}
	for name, tt := range tests { //nolint:paralleltest // what they leave is looked at afterwards
		t.Run(name, func(t *testing.T) {
			w := acctest.NewWorkspace(t, r.server.Environment(r.server.URL())...)
			w.Write("main.tf", tt.config)
			out := w.MustFail("plan", "-no-color")
			if l := lacks(out, tt.says, tt.at); len(l) > 0 {
				t.Errorf("the error lacks %q:\n%s", l, out)
			}
		})
	}
	if diff := cmp.Diff(before, r.seen(t)); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
}
