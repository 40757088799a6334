package synonymsrefresh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

const address = "remediation_synonyms_refresh.kb"

// rig is a Terraform workspace with a server that has a synonym set and a synonym file.
type rig struct {
	*acctest.Workspace
	server          *elastictest.Server
	base, set, file string
}

func newRig(t *testing.T) rig {
	t.Helper()
	s := elastictest.WithFiles(t)
	r := rig{server: s, base: s.Name(t, "acc")}
	r.set, r.file = r.base+"-set", "analysis/"+r.base+".txt"
	r.Workspace = acctest.NewWorkspace(t, s.Environment(s.URL())...)
	r.putFile(t, "laptop, notebook")
	r.putSet(t, "laptop, notebook")
	t.Cleanup(func() {
		_, _ = s.Call(context.WithoutCancel(t.Context()), http.MethodDelete, "/_synonyms/"+r.set, nil, nil)
	})
	return r
}

func (r rig) putFile(t *testing.T, rules ...string) {
	t.Helper()
	//nolint:gosec // another user reads it
	if err := os.WriteFile(filepath.Join(r.server.Home, r.file), []byte(strings.Join(rules, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r rig) putSet(t *testing.T, rules ...string) {
	t.Helper()
	list := []map[string]string{}
	for _, rule := range rules {
		list = append(list, map[string]string{"synonyms": rule})
	}
	r.server.Do(t, http.MethodPut, "/_synonyms/"+r.set, map[string]any{"synonyms_set": list}, nil)
}

// kb is an index to make: the field t is searched by the analyzer "syn" with the filter, and documents are analyzed
// with it if atIndexTime is set.
type kb struct {
	filter      string
	atIndexTime bool
	sourceless  bool
	alias       string
}

// index makes an index with one document and returns its name.
func (r rig) index(t *testing.T, suffix string, k kb) string {
	t.Helper()
	field := map[string]any{"type": "text", "analyzer": "standard", "search_analyzer": "syn"}
	if k.atIndexTime {
		field = map[string]any{"type": "text", "analyzer": "syn"}
	}
	body := map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "analysis": map[string]any{
			"filter": map[string]any{
				"from_set":   map[string]any{"type": "synonym_graph", "synonyms_set": r.set, "updateable": true},
				"from_file":  map[string]any{"type": "synonym_graph", "synonyms_path": r.file, "updateable": true},
				"fixed_file": map[string]any{"type": "synonym_graph", "synonyms_path": r.file},
				"lenient": map[string]any{"type": "synonym", "synonyms_path": r.file, "updateable": true,
					"lenient": true},
				// A filter that is not updateable can be used for documents too.
				"fixed_lenient": map[string]any{"type": "synonym", "synonyms_path": r.file, "lenient": true},
				"inline":        map[string]any{"type": "synonym", "synonyms": []string{"a, b"}},
				"unused":        map[string]any{"type": "synonym", "synonyms_path": r.file},
			},
			"analyzer": map[string]any{
				"syn":   map[string]any{"tokenizer": "standard", "filter": []string{"lowercase", k.filter}},
				"other": map[string]any{"tokenizer": "standard", "filter": []string{"inline"}},
			},
		}},
		"mappings": map[string]any{"_source": map[string]any{"enabled": !k.sourceless},
			"properties": map[string]any{"t": field}},
	}
	if k.alias != "" {
		body["aliases"] = map[string]any{k.alias: map[string]any{}}
	}
	name := r.base + "-" + suffix
	r.server.Do(t, http.MethodPut, "/"+name, body, nil)
	r.server.Do(t, http.MethodPost, "/"+name+"/_doc/1?refresh=true", `{"t":"a fine convertible"}`, nil)
	return name
}

// config is a configuration with one resource; more is put into its block, and provider into the provider's.
func config(index, filter, more string) string {
	return fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  approval { approvers = ["*@example.com"] }
}

resource "remediation_synonyms_refresh" "kb" {
  incident_id    = "INC-2042"
  index_name     = %q
  synonym_filter = %q
  %s
}
`, index, filter, more)
}

const approved = "approved_by = \"lead@example.com\"\n  "

func (r rig) finds(t *testing.T, index, text string) bool {
	t.Helper()
	var answer struct {
		Hits struct{ Total struct{ Value int } }
	}
	r.server.Do(t, http.MethodPost, "/"+index+"/_search?request_cache=true",
		fmt.Sprintf(`{"size":0,"query":{"match":{"t":%q}}}`, text), &answer)
	return answer.Hits.Total.Value > 0
}

func (r rig) isOpen(t *testing.T, index string) bool {
	t.Helper()
	status, _ := r.server.Try(t, http.MethodPost, "/"+index+"/_search", nil, nil)
	return status == http.StatusOK
}

// target returns the index of an alias.
func (r rig) target(t *testing.T, alias string) string {
	t.Helper()
	found := map[string]any{}
	r.server.Do(t, http.MethodGet, "/_alias/"+alias, nil, &found)
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// seen is everything that a plan must not change: the rig's indices with their settings, mappings, aliases, opening
// times, and number of writes, and the tasks that copy from or to them.
func (r rig) seen(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, path := range []string{"/" + r.base + "*?expand_wildcards=all", "/_resolve/index/" + r.base +
		"*?expand_wildcards=all", "/_synonyms/" + r.set} {
		var v any
		r.server.Do(t, http.MethodGet, path, nil, &v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n", text)
	}
	var stats struct {
		Indices map[string]struct {
			Total struct {
				Indexing struct {
					Index  int `json:"index_total"`
					Delete int `json:"delete_total"`
				}
			}
		}
	}
	r.server.Do(t, http.MethodGet, "/"+r.base+"*/_stats/indexing", nil, &stats)
	fmt.Fprintf(&out, "%v\n", stats)
	var tasks struct {
		Tasks []struct{ Action, Description string }
	}
	r.server.Do(t, http.MethodGet, "/_tasks?detailed=true&group_by=none", nil, &tasks)
	for _, task := range tasks.Tasks {
		if strings.Contains(task.Description, r.base) {
			fmt.Fprintln(&out, task.Action, task.Description)
		}
	}
	return out.String()
}

// anonymous replaces what differs from run to run. Lines of warnings are joined first, because Terraform wraps them by
// length.
func (r rig) anonymous(text string) string {
	text, warnings, warned := strings.Cut(text, "\nWarning: ")
	if warned {
		text += "\nWarning: "
	}
	text += regexp.MustCompile(`([^\n])\n([^\n -])`).ReplaceAllString(warnings, "$1 $2")
	for _, rule := range []struct{ pattern, name string }{
		{`sha256:[0-9a-f]{64}`, "sha256:..."}, {`"[0-9a-f]{64}"`, `"..."`}, {`shown=[0-9a-f]{8}`, "shown=..."},
		{`([="])[0-9a-f]{8}-(\d+)`, "${1}4f9c2a17-$2"},
		{`127\.0\.0\.1:\d+`, "search.example.com:9200"},
		{`As of \d\d:\d\d`, "As of 14:03"},
		{`[\d.]+ [KMGT]?i?B`, "N KiB"},
		{`the copy takes about \S+`, "the copy takes about N"},
	} {
		text = regexp.MustCompile(rule.pattern).ReplaceAllString(text, rule.name)
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, r.base, "kb"), r.Dir, "WORK")
}

// flat joins the lines that Terraform wraps, frames and aligns.
func flat(out string) string { return regexp.MustCompile(`[\s│]+`).ReplaceAllString(out, " ") }

// lacks returns the texts that out does not contain.
func lacks(out string, want ...string) []string {
	return slices.DeleteFunc(want, func(w string) bool { return strings.Contains(flat(out), w) })
}

func (r rig) attribute(name string) map[string]any {
	v, _ := r.Attributes(address)[name].(map[string]any)
	return v
}

func (r rig) detail(name string) string {
	details, _ := r.attribute("result")["details"].(map[string]any)
	return fmt.Sprint(details[name])
}

func (r rig) status() (status string, history int) {
	values := r.Attributes(address)
	list, _ := values["history"].([]any)
	return fmt.Sprint(values["status"]), len(list)
}

// empty checks that the next plan has no changes.
func (r rig) empty(t *testing.T) {
	t.Helper()
	if out, code := r.Run("plan", "-no-color", "-detailed-exitcode"); code != 0 {
		t.Errorf("the second plan is not empty (exit code %d):\n%s", code, out)
	}
}
