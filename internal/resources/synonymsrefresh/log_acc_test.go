package synonymsrefresh_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccLogOfAReindex: TF_LOG_PROVIDER=DEBUG explains an apply in order, with each request and each poll, and the
// execution's log has the same events. Neither contains a secret.
func TestAccLogOfAReindex(t *testing.T) {
	t.Parallel()
	const secret = "kanarie-of-the-reindex"
	r := newRig(t)
	env := append(r.server.Environment(r.server.URL()), "TF_LOG_PROVIDER=DEBUG", "ELASTICSEARCH_BEARER_TOKEN="+secret)
	r.Workspace = acctest.NewWorkspace(t, env...)
	r.index(t, "v1", kb{filter: "fixed_file", atIndexTime: true, alias: r.base})
	r.putFile(t, "laptop, notebook", "cabrio, convertible")
	r.Write("main.tf", config(r.base, "fixed_file", approved+"reindex = true\n  probe_texts = [\"cabrio\"]"))
	out := r.Must("apply", "-auto-approve", "-no-color")
	found, err := filepath.Glob(filepath.Join(r.Dir, ".remediation", "executions", "*", "execution.log"))
	if err != nil || len(found) != 1 {
		t.Fatalf("logs: %v, %v", found, err)
	}
	own, err := os.ReadFile(found[0]) //nolint:gosec // the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]string{"TF_LOG_PROVIDER": out, found[0]: string(own)} {
		rest := log
		for _, next := range []string{"intent journaled", "dispatching the work", "work dispatched",
			"name of the work journaled", "/_reindex", "/_tasks/", "/_aliases", "work ended", "execution ended",
			"outcome journaled"} {
			_, after, ok := strings.Cut(rest, next)
			if !ok {
				t.Errorf("%s lacks %q at its place", name, next)
				break
			}
			rest = after
		}
		if !regexp.MustCompile(`request.*\bms=\d+`).MatchString(log) {
			t.Errorf("%s tells of no request how long it took", name)
		}
		if strings.Contains(log, secret) {
			t.Errorf("%s holds the secret", name)
		}
	}
}
