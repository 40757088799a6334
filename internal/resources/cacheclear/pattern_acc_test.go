package cacheclear_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// TestAccIndicesOfAPatternMayChange applies a saved plan of a pattern after a rollover: one index has come and one has
// gone. The pattern was reviewed, and its indices are figures. The indices of an alias were reviewed, too.
func TestAccIndicesOfAPatternMayChange(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	base := s.Name(t, "rolling")
	first, second, third := base+"-1", base+"-2", base+"-3"
	fill(t, s, first)
	fill(t, s, second)
	w := acctest.NewWorkspace(t, s.Environment(s.URL())...)
	w.Write("main.tf", config(base+"-*", ""))
	if out := w.Must("plan", "-no-color", "-out=saved"); !strings.Contains(out, "POST /"+base+"-*/_cache/clear?") ||
		!strings.Contains(out, first) || !strings.Contains(out, second) {
		t.Errorf("the plan names neither the pattern nor its indices:\n%s", out)
	}
	s.Do(t, http.MethodDelete, "/"+first, nil, nil)
	fill(t, s, third)
	w.Must("apply", "-no-color", "saved")
	for _, index := range []string{second, third} {
		if request, fielddata := sizes(t, s, index); request+fielddata != 0 {
			t.Errorf("%s: the caches hold %d and %d", index, request, fielddata)
		}
	}
	result, _ := w.Attributes(address)["result"].(map[string]any)
	if message := fmt.Sprint(result["message"]); !strings.Contains(message, third) || strings.Contains(message, first) {
		t.Errorf("the result is %q", message)
	}
	if out, code := w.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty:\n%s", out)
	}

	alias := base + "-alias"
	point := func(index string) {
		s.Do(t, http.MethodPost, "/_aliases", fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, index, alias), nil)
	}
	point(second)
	w.Write("main.tf", config(alias, ""))
	w.Must("plan", "-no-color", "-out=saved")
	point(third)
	out, code := w.Run("apply", "-no-color", "saved")
	if code == 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), "indices: added "+third) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
