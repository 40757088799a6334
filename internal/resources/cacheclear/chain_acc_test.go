package cacheclear_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// TestAccEqualStepsAtTwoPlacesOfAChain clears one cache twice, with the same inputs and triggers. Both resources ask
// for the same thing, and each must run once.
func TestAccEqualStepsAtTwoPlacesOfAChain(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	for name, apply := range map[string][]string{"saved": {"p"}, "not_saved": {"-auto-approve"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := s.Name(t, "twice"+name)
			s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0}}`, nil)
			w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
			w.Write("main.tf", config(index, "")+fmt.Sprintf(`
resource "remediation_cache_clear" "again" {
  incident_id = "INC-2041"
  index_name  = %q
  run_if      = true
  after       = [remediation_cache_clear.search.preview.digest]
}
`, index))
			w.Must("plan", "-no-color", "-out=p")
			w.Must(append([]string{"apply", "-no-color"}, apply...)...)
			first, second := w.Attributes(address), w.Attributes("remediation_cache_clear.again")
			if first["status"] != "success" || second["status"] != "success" || first["id"] == second["id"] {
				t.Errorf("first %v %v, second %v %v", first["status"], first["id"], second["status"], second["id"])
			}
			if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
				t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
			}
		})
	}
}
