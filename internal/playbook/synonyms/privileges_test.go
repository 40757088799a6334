package synonyms_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// TestReindexPrivileges works with just the privileges of the guide. Without one of them the plan warns, and apply
// refuses before its first change.
func TestReindexPrivileges(t *testing.T) {
	t.Parallel()
	s := elastictest.Secure(t)
	f := fixture{Server: s, base: "kb"}
	f.set, f.file = "kb-set", "analysis/kb.txt"
	f.putFile(t, "laptop, notebook")
	f.putSet(t, "laptop, notebook")
	role := func(cluster ...string) map[string]any {
		return map[string]any{"cluster": append([]string{"monitor"}, cluster...), "indices": []map[string]any{
			{"names": []string{"kb*"}, "privileges": []string{"read", "write", "manage"}}}}
	}
	for n, c := range []struct {
		cfg     elastic.Config
		missing string
	}{
		{cfg: s.User(t, "all", role("manage", "manage_index_templates"))},
		{cfg: s.User(t, "no-manage", role()), missing: "manage on the cluster"},
	} {
		index := f.makeIndex(t, fmt.Sprintf("privileges-%d", n), "from_file_fixed", true)
		alias := fmt.Sprintf("kb-alias-%d", n)
		f.alias(t, alias, index)
		action := f.bind(t, c.cfg, map[string]any{"index_name": alias, "synonym_filter": "from_file_fixed",
			"reindex": true, "probe_texts": []string{"laptop"}})
		p, _ := preview(t, action)
		if warned := strings.Contains(strings.Join(p.Warnings, "\n"), "manage on the cluster"); warned !=
			(c.missing != "") {
			t.Errorf("warnings %q", p.Warnings)
		}
		before := f.indices(t)
		out, err := dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p,
			Checkpoint: (&journal{}).checkpoint})
		if c.missing == "" {
			if err != nil {
				t.Errorf("%v; %+v", err, out)
			}
			continue
		}
		if !errors.Is(err, elastic.ErrForbidden) || !strings.Contains(err.Error(), c.missing) ||
			!slices.Equal(before, f.indices(t)) {
			t.Errorf("error %v; indices %v", err, f.indices(t))
		}
		f.Do(t, http.MethodPost, "/"+alias+"/_doc", `{"t":"writable"}`, nil)
	}
}
