package bench_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// Bytes of state per resource, in the file as Terraform writes it, with names as long as in practice.
const (
	stateOfCacheClear = 3500 // after the first execution
	stateOfHistory    = 700  // per further execution
)

// TestAccStateStaysSmall counts bytes of state: Terraform writes all of it after every resource.
func TestAccStateStaysSmall(t *testing.T) {
	t.Parallel()
	server := elastictest.Shared(t)
	base := server.Prefix(t, fmt.Sprintf("kb%x", time.Now().UnixNano()%(1<<16)))
	const few = 40
	for i := range few {
		server.Do(t, http.MethodPut, fmt.Sprintf("/%s-%d", base, i), nil, nil)
	}
	environment := server.Environment(server.URL())
	config := fmt.Sprintf("resource \"remediation_cache_clear\" \"x\" {\n  count = %d\n"+
		"  index_name = \"%s-${count.index}\"\n  cache_types = [\"query\"]\n  triggers = null\n}\n", few, base)
	w := acctest.NewWorkspace(t, environment...)
	first := stateAfter(t, w, requires("remediation")+config)
	const paths, inPractice = 2, 40 // the path of the log is there twice
	small(t, "the first execution, with its log's path", first/few+paths*(inPractice-len(w.Dir)), stateOfCacheClear)

	w = acctest.NewWorkspace(t, environment...)
	first = stateAfter(t, w, requires("remediation")+withLogs+config)
	small(t, "the first execution", first/few, stateOfCacheClear)
	second := stateAfter(t, w, strings.Replace(read(t, w, "main.tf"), "null", "{ round = 1 }", 1))
	third := stateAfter(t, w, strings.Replace(read(t, w, "main.tf"), "round = 1", "round = 2", 1))
	small(t, "a further execution", (third-second)/few, stateOfHistory)
}

// withLogs sets an address of the logs, which is as long as one in practice.
const withLogs = "provider \"remediation\" {\n  logs {\n    base_url = \"https://logs.example.com\"\n  }\n}\n"

// ofTerraform is a line that Terraform 1.12 and later write for every resource of every provider.
var ofTerraform = regexp.MustCompile(`,\s*"identity_schema_version": 0`)

// stateAfter applies a configuration and returns the size of the state.
func stateAfter(t *testing.T, w *acctest.Workspace, config string) int {
	t.Helper()
	w.Write("main.tf", config)
	w.Must("apply", "-auto-approve", "-no-color")
	return len(ofTerraform.ReplaceAllString(read(t, w, "terraform.tfstate"), ""))
}

func small(t *testing.T, what string, got, limit int) {
	t.Helper()
	t.Logf("%s: %d bytes of state", what, got)
	if got > limit {
		t.Errorf("%s: %d bytes of state, want at most %d", what, got, limit)
	}
}

func read(t *testing.T, w *acctest.Workspace, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name)) //nolint:gosec // the test's own file
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
