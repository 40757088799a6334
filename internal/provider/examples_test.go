package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// providerConfig is the provider's own example, which the others need.
const providerConfig = "provider/provider.tf"

// TestAccExamplesPlan plans every example of the documentation on a real project.
func TestAccExamplesPlan(t *testing.T) {
	t.Parallel()
	root := filepath.Join(acctest.Root(t), "examples")
	examples, err := filepath.Glob(filepath.Join(root, "*", "*", "*.tf"))
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	terraform, err := os.ReadFile(filepath.Join(root, providerConfig))
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		name, err := filepath.Rel(root, example)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "demo") {
			continue // make demo runs it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(example) //nolint:gosec // one of the project's own files
			if err != nil {
				t.Fatal(err)
			}
			project := acctest.NewProject(t)
			w := acctest.NewWorkspace(t, project.Environment()...)
			w.Write("provider.tf", strings.Replace(string(terraform), `"dbt"`, `"`+project.Dir+`"`, 1))
			w.Write("example.tf", string(text))
			w.Write("planner.json", `{"revision": 1, "stable": "v1.2.2", "versions": {"v1.2.2": {"percent": 90}, "v1.2.3-canary": {"percent": 10}, "v1.2.4-canary": {"percent": 0, "down": true}}}`)
			w.Must("plan", "-no-color")
		})
	}
}
