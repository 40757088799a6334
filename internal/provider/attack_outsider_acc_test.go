package provider_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
)

// oneLine returns output without Terraform's frame and line breaks.
func oneLine(out string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out)), " ")
}

// TestAccAttackRuleByAnotherName reaches the target of a rule under names that the rule doesn't have.
func TestAccAttackRuleByAnotherName(t *testing.T) {
	t.Parallel()
	handler := controlapi.New().Handler()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = path.Clean(r.URL.Path) // as many servers do
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	port := api.URL[strings.LastIndex(api.URL, ":")+1:]
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "0.0.0.0"} {
		for _, at := range []string{"", "//", "/./"} {
			address := fmt.Sprintf("http://%s:%s%s", host, port, at)
			w := acctest.NewWorkspace(t)
			w.Write("main.tf", block(`path = "journal.db"`, fmt.Sprintf(`
  planner {
    http { url = %q }
  }
  approval {
    rule {
      name    = "production"
      targets = ["planner:http:%s"]
    }
  }`, address, api.URL))+`
resource "remediation_canary_split" "v2" {
  version        = "v2"
  target_percent = 5
  gradual        = false
}
`)
			if out, code := w.Run("apply", "-auto-approve", "-no-color"); code == 0 ||
				!strings.Contains(oneLine(out), `the rule "production" asks for an approval`) {
				t.Errorf("%s: code %d\n%s", address, code, out)
			}
		}
	}
}
