package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestAccPublishedLogs checks that logs_url is the published address of a log that exists, from the configuration and
// from the environment.
func TestAccPublishedLogs(t *testing.T) {
	t.Parallel()
	const configured, environment = "https://ci.example.com/logs/", "https://runner.example.com/remediation"
	for name, tt := range map[string]struct{ block, variable, base string }{
		"configuration":    {fmt.Sprintf("logs { base_url = %q }", configured), "", configured},
		"environment":      {"", environment, environment + "/"},
		"the first counts": {fmt.Sprintf("logs { base_url = %q }", configured), environment, configured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t, "REMEDIATION_LOGS_BASE_URL="+tt.variable)
			w.Write("planner.json", splitFile)
			w.Write("main.tf", block(`path = "journal/journal.db"`, tt.block)+`
resource "remediation_canary_split" "v2" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}
`)
			w.Must("apply", "-auto-approve", "-no-color")
			result, _ := w.Attributes("remediation_canary_split.v2")["result"].(map[string]any)
			inside, ok := strings.CutPrefix(fmt.Sprint(result["logs_url"]), tt.base)
			if !ok {
				t.Fatalf("logs_url is %v", result["logs_url"])
			}
			if _, err := os.Stat(filepath.Join(w.Dir, "journal", inside)); err != nil {
				t.Errorf("there is no log: %v", err)
			}
		})
	}
}
