package chaos_test

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// once lists the requests that an execution may send only once. The other requests of a refresh (opening, clearing
// caches, lifting a block) may be repeated on adoption and have no effect the second time.
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
	x := s.Searched(t, "chaos-"+way, way == "reload")
	inputs, takes := fmt.Sprintf("index_name = %q\n  synonym_filter = \"rules\"", x.Alias), 300*time.Millisecond
	if way == "reindex" {
		inputs += "\n  reindex = true\n  keep_old_index = false"
		takes = 2 * time.Second
	}
	l := &ledger{}
	return &world{
		name: "refresh_synonyms (" + way + ")", playbook: "refresh_synonyms", resource: "remediation_synonyms_refresh",
		ledger: l,
		env:    s.Environment(behind(t, l, s.URL(), synonymsChange)), takes: takes, steps: 1,
		begin: func(t *testing.T, n int) string {
			t.Helper()
			x.Rules(t, n)
			return inputs
		},
		amiss: func(t *testing.T, n int) string { t.Helper(); return x.Amiss(t, n) },
	}
}
