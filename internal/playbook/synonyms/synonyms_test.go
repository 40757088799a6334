package synonyms_test

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

func TestChosenMethod(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct {
		filter    string
		analyzer  string // the filter in the analyzer, if it is another one
		index     bool
		reindex   bool
		want      synonyms.Way
		fails     error
		path      string
		mentioned string
	}{
		"set":                       {filter: "from_set", want: synonyms.WayReload},
		"updateable file":           {filter: "from_file", want: synonyms.WayReload},
		"file":                      {filter: "from_file_fixed", want: synonyms.WayCloseOpen},
		"file in a multiplexer":     {filter: "from_file_fixed", analyzer: "wrapper", want: synonyms.WayCloseOpen},
		"index time":                {filter: "from_file_fixed", index: true, want: synonyms.WayCloseOpen},
		"index time, with reindex":  {filter: "from_file_fixed", index: true, reindex: true, want: synonyms.WayReindex},
		"search time, with reindex": {filter: "from_set", reindex: true, want: synonyms.WayReindex},
		"inline":                    {filter: "inline", fails: elastic.ErrInline, path: "synonym_filter"},
		"unused": {filter: "unused", analyzer: "from_set", fails: elastic.ErrUnused,
			path: "synonym_filter"},
		"of another type": {filter: "stops", fails: elastic.ErrNoFilter, path: "synonym_filter",
			mentioned: `"stop"`},
		"misspelled": {filter: "from_sett", analyzer: "from_set", fails: elastic.ErrNoFilter,
			path: "synonym_filter", mentioned: "from_set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			analyzer := c.analyzer
			if analyzer == "" {
				analyzer = c.filter
			}
			index := f.makeIndex(t, strings.NewReplacer(" ", "-", ",", "").Replace(name), analyzer, c.index)
			action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": c.filter,
				"reindex": c.reindex, "probe_texts": []string{"Laptop"}})
			p, err := action.Preview(t.Context())
			if c.fails != nil {
				if !errors.Is(err, c.fails) || !strings.Contains(err.Error(), c.mentioned) {
					t.Fatalf("error %v, want %v with %q", err, c.fails, c.mentioned)
				}
				if found := problem.Of(err, ""); !slices.Equal(found.Path, []string{c.path}) {
					t.Errorf("path %v, want %s", found.Path, c.path)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			facts, ok := p.Facts.(synonyms.Facts)
			if !ok || facts.Way != c.want {
				t.Fatalf("facts %+v, want the way %s", p.Facts, c.want)
			}
			want := []synonyms.Probe{{Text: "Laptop", Analyzer: "syn", Tokens: []string{"notebook", "laptop"},
				FromSynonyms: []string{"notebook"}, Expected: []string{"notebook", "laptop"}}}
			if c.analyzer == "wrapper" {
				want[0].Tokens = facts.Probes[0].Tokens // the order within a multiplexer is its own
				want[0].Expected = nil
			}
			if diff := cmp.Diff(want, facts.Probes); diff != "" {
				t.Errorf("probes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]synonyms.Analyzers{{Index: index, Names: []string{"syn"}}},
				facts.Analyzers); diff != "" {
				t.Errorf("analyzers (-want +got):\n%s", diff)
			}
			if needs := len(p.ApprovalReasons) > 0; needs != c.reindex {
				t.Errorf("needs an approval: %t, want %t", needs, c.reindex)
			}
			if hours := p.Duration.Hours(); (hours == 6) != c.reindex || (p.CostUSD == 10) != c.reindex {
				t.Errorf("%v and USD %v are not the catalogue's figures", p.Duration, p.CostUSD)
			}
		})
	}
}

func TestReloadLoadsNewSynonyms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "reload", "from_file", false)
	if f.finds(t, index, "cabrio") {
		t.Fatal("found before the synonyms were there")
	}
	f.putFile(t, "laptop, notebook, portable", "cabrio, convertible")
	outcome, err := run(t, f.bind(t, f.Config, map[string]any{
		"index_name": index, "synonym_filter": "from_file", "probe_texts": []string{"laptop", "nothing"},
	}), &journal{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"way": "reload", "indices": index, "changed": "true", "probe_1": `"laptop" (syn): gained portable`,
		"probe_2": `"nothing" (syn): as before`,
	}
	if diff := cmp.Diff(want, outcome.Details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	// The answer from before the reload was in the request cache.
	if !f.finds(t, index, "cabrio") {
		t.Error("a query does not find by the new synonyms")
	}
}

func TestReloadOfASetOverAPattern(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.makeIndex(t, "one", "from_set", false), f.makeIndex(t, "two", "from_set", false)
	action := f.bind(t, f.Config, map[string]any{"index_name": f.base + "-*", "synonym_filter": "from_set",
		"probe_texts": []string{"laptop"}})
	p, facts := preview(t, action)
	if diff := cmp.Diff([]string{one, two}, facts.Indices); diff != "" {
		t.Errorf("indices (-want +got):\n%s", diff)
	}
	if want := "POST /" + one + "," + two + "/_reload_search_analyzers?resource=" + f.set; p.Commands[0] != want {
		t.Errorf("command %q, want %q", p.Commands[0], want)
	}
	outcome, err := run(t, action, &journal{})
	if err != nil {
		t.Fatal(err)
	}
	// The server reloads by itself when a set changes.
	if outcome.Details["changed"] != "false" || !strings.Contains(outcome.Message,
		"no probe text is analyzed differently") {
		t.Errorf("a reload that changed nothing is not told: %+v", outcome)
	}
	f.makeIndex(t, "three", "from_file", false)
	if _, err := f.bind(t, f.Config, map[string]any{"index_name": f.base + "-*",
		"synonym_filter": "from_set"}).Preview(t.Context()); !errors.Is(err, elastic.ErrUnused) {
		t.Errorf("an index without the filter in use: %v", err)
	}
}

// TestRemovedSynonymsAreNotAFailure: the tokens changed as the plan announced.
func TestRemovedSynonymsAreNotAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putFile(t, "laptop, notebook", "cabrio, convertible")
	index := f.makeIndex(t, "removed", "from_file", false)
	f.putFile(t, "cabrio, convertible")
	action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_file",
		"probe_texts": []string{"laptop"}})
	p, facts := preview(t, action)
	if !slices.Equal(facts.Probes[0].Expected, []string{"laptop"}) ||
		!slices.ContainsFunc(p.Changes, func(n string) bool { return strings.Contains(n, "lost notebook") }) {
		t.Errorf("the preview does not announce the loss: %+v, %q", facts.Probes, p.Changes)
	}
	outcome, err := run(t, action, &journal{})
	if err != nil || outcome.Details["changed"] != "true" {
		t.Errorf("error %v; %+v", err, outcome)
	}
}

// TestOtherSynonymsThanPlannedAreAFailure changes the file between the plan and the execution.
func TestOtherSynonymsThanPlannedAreAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "unplanned", "from_file", false)
	action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_file",
		"probe_texts": []string{"laptop"}})
	p, _ := preview(t, action)
	f.putFile(t, "laptop, portable")
	outcome, err := dispatch(t.Context(), t, action, playbook.Job{ID: 12, Preview: p,
		Checkpoint: (&journal{}).checkpoint})
	if !errors.Is(err, synonyms.ErrStale) || outcome.Details["changed"] != "not as planned" ||
		!strings.Contains(err.Error(), "gained portable, lost notebook") {
		t.Errorf("error %v, want ErrStale; %+v", err, outcome)
	}
}

// TestDroppedRulesAreReported covers a lenient filter, which drops what it can't use.
func TestDroppedRulesAreReported(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putFile(t, "!, ?", "laptop, notebook")
	for _, filter := range []string{"lenient", "from_file"} {
		index := f.makeIndex(t, "dropped-"+strings.ReplaceAll(filter, "_", "-"), filter, false)
		p, _ := preview(t, f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": filter}))
		if !strings.Contains(strings.Join(p.Warnings, "\n"), "drops at least one rule") {
			t.Errorf("%s: %q", filter, p.Warnings)
		}
	}
}

// TestWithoutCacheClear is about services without that API, such as serverless ones: the reload has worked.
func TestWithoutCacheClear(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "serverless", "from_set", false)
	cfg := f.Config
	cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return gone{next, "/_cache/clear"} }
	action := f.bind(t, cfg, map[string]any{"index_name": index, "synonym_filter": "from_set"})
	outcome, err := run(t, action, &journal{})
	if err != nil || !strings.Contains(outcome.Details["request_cache"], "could not be cleared") {
		t.Errorf("error %v; %+v", err, outcome)
	}
}

// gone answers 410 to requests to a path.
type gone struct {
	next http.RoundTripper
	path string
}

func (g gone) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.Contains(req.URL.Path, g.path) {
		return g.next.RoundTrip(req)
	}
	return elastictest.Unavailable(req), nil
}

// TestServerless: the plan refuses what a serverless cluster has no API for, and says that a reload clears no cache.
func TestServerless(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cfg := f.Config
	cfg.Transport = elastictest.Serverless
	for name, tt := range map[string]struct {
		filter  string
		reindex bool
		says    string
	}{
		"reload":         {"from_set", false, ""},
		"close and open": {"from_file_fixed", false, "no API to close and open an index"},
		"reindex":        {"from_set", true, "no API to cancel a copy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := f.makeIndex(t, strings.ReplaceAll(name, " ", "-"), tt.filter, false)
			action := f.bind(t, cfg, map[string]any{"index_name": index, "synonym_filter": tt.filter,
				"reindex": tt.reindex})
			if tt.says != "" {
				if _, err := action.Preview(t.Context()); !errors.Is(err, synonyms.ErrNoWay) ||
					!strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v", err)
				}
				return
			}
			p, _ := preview(t, action)
			if told := strings.Join(p.NotDone, "\n"); len(p.Commands) != 1 ||
				!strings.Contains(told, "request cache is not cleared") {
				t.Errorf("commands %q, not done %q", p.Commands, p.NotDone)
			}
			out, err := run(t, action, &journal{})
			if err != nil || !strings.Contains(out.Details["request_cache"], "not cleared: serverless") {
				t.Errorf("error %v; %+v", err, out)
			}
		})
	}
}

// TestDocumentsKeepTheirTokens: without a reindex, new synonyms reach queries, and the plan says what they don't reach.
func TestDocumentsKeepTheirTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "index-time", "from_file_fixed", true)
	f.putFile(t, "laptop, notebook", "cabrio, convertible")
	action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_file_fixed",
		"probe_texts": []string{"convertible"}})
	p, _ := preview(t, action)
	if told := strings.Join(p.NotDone, "\n"); !strings.Contains(told, "1 document of "+index+" keep") ||
		!strings.Contains(told, "fields t") || !strings.Contains(told, "reindex = true") {
		t.Errorf("not done: %q", told)
	}
	outcome, err := run(t, action, &journal{})
	if err != nil || outcome.Details["probe_1"] != `"convertible" (syn): gained cabrio` {
		t.Errorf("error %v; %+v", err, outcome)
	}
}

// TestFieldOfADocumentIsNoReason lets a document add a field, which is analyzed with the filter by a dynamic template.
func TestFieldOfADocumentIsNoReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "reason", "from_file_fixed", true)
	f.Do(t, http.MethodPut, "/"+index+"/_mapping", `{"dynamic_templates":[{"texts":{"match_mapping_type":"string",
		"mapping":{"type":"text","analyzer":"syn"}}}]}`, nil)
	f.alias(t, f.base+"-alias", index)
	look := func() (facts, changes string) {
		p, facts1 := preview(t, f.bind(t, f.Config, map[string]any{"index_name": f.base + "-alias",
			"synonym_filter": "from_file_fixed", "reindex": true, "probe_texts": []string{"laptop"}}))
		return string(encode(t, facts1)), strings.Join(p.Changes, "\n")
	}
	before, _ := look()
	f.Do(t, http.MethodPost, "/"+index+"/_doc?refresh=true", `{"added":"text"}`, nil)
	after, changes := look()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("facts (-before +after):\n%s", diff)
	}
	if !strings.Contains(changes, "added, dynamic template texts, t)") {
		t.Errorf("the plan does not name the field:\n%s", changes)
	}
}

// TestLostRepetitionIsADifference removes a rule that adds tokens which the text has anyway.
func TestLostRepetitionIsADifference(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putFile(t, "ny, new york")
	index := f.makeIndex(t, "repeated", "from_file", false)
	f.putFile(t, "ny => ny")
	action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_file",
		"probe_texts": []string{"ny new york"}})
	p, _ := preview(t, action)
	const want = "afterwards: ny new york (lost ny new york)"
	if changes := strings.Join(p.Changes, "\n"); !strings.Contains(changes, want) {
		t.Errorf("changes without %q:\n%s", want, changes)
	}
	outcome, err := run(t, action, &journal{})
	if err != nil || outcome.Details["changed"] != "true" {
		t.Errorf("%v, %v", outcome.Details, err)
	}
}

// TestIdentityAndContent: the same index under another name has the same identity. A changed rule, setting or mapping
// changes the content. A field that a document adds does not.
func TestIdentityAndContent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "identity", "from_set", false)
	f.alias(t, f.base+"-other", index)
	look := func(name string) (identity, content string) {
		action := f.bind(t, f.Config, map[string]any{"index_name": name, "synonym_filter": "from_set"})
		p, _ := preview(t, action)
		return string(encode(t, p.Identity)), string(encode(t, p.Content))
	}
	identity, content := look(index)
	if i, c := look(f.base + "-other"); i != identity || c != content || !strings.Contains(identity, `"cluster"`) {
		t.Errorf("by the alias: %s, want %s", i, identity)
	}
	f.Do(t, http.MethodPost, "/"+index+"/_doc", `{"another":1,"deeper":{"still":"text"}}`, nil)
	if _, c := look(index); c != content {
		t.Errorf("a field that a document added is content:\n%s\n%s", content, c)
	}
	f.Do(t, http.MethodPut, "/"+index+"/_mapping", `{"properties":{"decided":{"type":"keyword"}}}`, nil)
	if _, c := look(index); c == content {
		t.Error("a new field is no content")
	}
	_, content = look(index)
	f.putSet(t, "laptop, portable")
	if _, c := look(index); c == content {
		t.Error("a rule of the set is no content")
	}
}

func TestSynonymsThatCannotBeLoadedAreReportedAtPlan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, filter := range []string{"from_file", "from_file_fixed"} {
		f.putFile(t, "laptop, notebook")
		index := f.makeIndex(t, strings.ReplaceAll(filter, "_", "-"), filter, false)
		f.putFile(t, "this => is => no rule")
		_, err := f.bind(t, f.Config, map[string]any{"index_name": index,
			"synonym_filter": filter}).Preview(t.Context())
		if !errors.Is(err, elastic.ErrRequest) || !strings.Contains(err.Error(), "can't be loaded") ||
			!strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: error %v", filter, err)
		}
	}
}

func TestEmptySetIsReported(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "set", "from_set", false)
	action := f.bind(t, f.Config, map[string]any{"index_name": index, "synonym_filter": "from_set"})
	f.putSet(t)
	p, _ := preview(t, action)
	if !slices.ContainsFunc(p.Warnings, func(n string) bool { return strings.Contains(n, "is empty") }) {
		t.Errorf("an empty set is not told: %q", p.Warnings)
	}
}
