package provider_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/incidenttest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
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
	cluster, metrics := knowledgeBase(t), prometheustest.Start(t).URL
	service := incidenttest.Start(t, incidenttest.Observed).URL
	for _, example := range examples {
		name, err := filepath.Rel(root, example)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "demo") || strings.HasPrefix(name, "ci") || strings.HasPrefix(name, "scenarios") {
			continue // make demo and the packages doctest and scenarios run these
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(example) //nolint:gosec // one of the project's own files
			if err != nil {
				t.Fatal(err)
			}
			project := acctest.NewProject(t)
			w := acctest.NewWorkspace(t, append(project.Environment(), "ELASTICSEARCH_ENDPOINTS="+cluster,
				"PROMETHEUS_URL="+metrics, "REMEDIATION_INCIDENTS_URL="+service)...)
			w.Write("provider.tf", strings.Replace(string(terraform), `"dbt"`, `"`+project.Dir+`"`, 1))
			w.Write("example.tf", string(text))
			w.Write("planner.json", planner(name))
			w.Must("plan", "-no-color")
		})
	}
}

// planner is the planner file of an example. A new version is deployed where the canary has nothing.
func planner(example string) string {
	stable, canary := 90, 10
	if strings.Contains(example, "planner_deploy") {
		stable, canary = 100, 0
	}
	return fmt.Sprintf(`{"revision": 1, "stable": "v1.2.2", "versions": {"v1.2.2": {"percent": %d}, "v1.2.3-canary": {"percent": %d},
		"v1.2.4-canary": {"percent": 0, "down": true}}}`, stable, canary)
}

// knowledgeBase starts a cluster with what the examples name: an alias knowledge_base of one index, whose search
// analyzer uses the filter english_synonyms, and an alias mail_archive of one whose documents are analyzed with
// archive_synonyms. It returns the cluster's address.
func knowledgeBase(t *testing.T) string {
	t.Helper()
	s := elastictest.Own(t)
	s.Do(t, http.MethodPut, "/_synonyms/english", `{"synonyms_set":[{"synonyms":"mail, email"}]}`, nil)
	s.Do(t, http.MethodPut, "/knowledge_base-1", `{
		"aliases": {"knowledge_base": {}},
		"settings": {
			"number_of_replicas": 0,
			"analysis": {
				"filter": {"english_synonyms": {"type": "synonym_graph", "synonyms_set": "english",
					"updateable": true}},
				"analyzer": {"english_search": {"tokenizer": "standard", "filter": ["lowercase", "english_synonyms"]}}
			}
		},
		"mappings": {"properties": {
			"title": {"type": "text", "search_analyzer": "english_search"},
			"tags": {"type": "text", "fielddata": true}
		}}
	}`, nil)
	//nolint:gosec // another user reads it
	if err := os.WriteFile(filepath.Join(s.Home, "analysis", "archive.txt"), []byte("mail, email\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	s.Do(t, http.MethodPut, "/mail_archive-1", `{
		"aliases": {"mail_archive": {}},
		"settings": {
			"number_of_replicas": 0,
			"analysis": {
				"filter": {"archive_synonyms": {"type": "synonym_graph", "synonyms_path": "analysis/archive.txt"}},
				"analyzer": {"archive": {"tokenizer": "standard", "filter": ["lowercase", "archive_synonyms"]}}
			}
		},
		"mappings": {"properties": {"title": {"type": "text", "analyzer": "archive"}}}
	}`, nil)
	return s.URL()
}
