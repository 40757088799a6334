package synonyms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// planReindex previews a reindex of an index with the filter from_file.
func (f fixture) planReindex(t *testing.T, cfg elastic.Config, index string) (playbook.Preview, error) {
	t.Helper()
	return f.bind(t, cfg, map[string]any{"index_name": index, "synonym_filter": "from_file",
		"reindex": true}).Preview(t.Context())
}

// put creates an object that is removed at the end of the test.
func (f fixture) put(t *testing.T, path, body string) {
	t.Helper()
	f.Do(t, http.MethodPut, path, body, nil)
	t.Cleanup(func() { _, _ = f.Call(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil, nil) })
}

// TestPlanRefusesAReindexThatWouldFail covers what would break a reindex in the middle or change its result. The plan
// names each and changes nothing.
func TestPlanRefusesAReindexThatWouldFail(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	excludes := `{"mappings":{"_source":{"excludes":["blob"]}}}`
	template := func(kind, body string) func(t *testing.T, index string) {
		return func(t *testing.T, index string) {
			t.Helper()
			f.put(t, "/"+kind+"/"+index, fmt.Sprintf(body, index+"-*"))
		}
	}
	block := func(name string) func(t *testing.T, index string) {
		return func(t *testing.T, index string) {
			t.Helper()
			f.Do(t, http.MethodPut, "/"+index+"/_settings", `{"index.blocks.`+name+`":true}`, nil)
			t.Cleanup(func() {
				_, _ = f.Call(context.WithoutCancel(t.Context()), http.MethodPut, "/"+index+"/_settings",
					`{"index.blocks.`+name+`":null}`, nil)
			})
		}
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, index string)
		says    []string
	}{
		"template": {template("_index_template", `{"index_patterns":[%q],"priority":502,"template":`+excludes+`}`),
			[]string{"An index template would make", "the index template", "mapping._source is added"}},
		"component": {func(t *testing.T, index string) {
			t.Helper()
			f.put(t, "/_component_template/"+index, `{"template":`+excludes+`}`)
			template("_index_template", `{"index_patterns":[%q],"priority":502,"composed_of":["`+index+`"]}`)(t, index)
		}, []string{"An index template would make", "mapping._source is added"}},
		"setting": {template("_index_template", `{"index_patterns":[%q],"priority":502,"template":{"settings":
			{"index.routing.allocation.require.box":"none"}}}`),
			[]string{"setting index.routing.allocation.require.box is added"}},
		"legacy template": {template("_template", strings.Replace(excludes, "{", `{"index_patterns":[%q],`, 1)),
			[]string{"the legacy index template", "mapping._source is added"}},
		"legacy alias": {template("_template", `{"index_patterns":[%q],"aliases":{"of-the-template":{}}}`),
			[]string{"the legacy index template", "it gets the alias of-the-template"}},
		"data stream": {template("_index_template", `{"index_patterns":[%q],"priority":502,"data_stream":{}}`),
			[]string{"prevents the new index from being created", "creates only data streams"}},
		"write block":    {block("write"), []string{"is blocked for writing"}},
		"read-only":      {block("read_only"), []string{"is blocked for writing"}},
		"full disk":      {block("read_only_allow_delete"), []string{"a disk is too full"}},
		"metadata block": {block("metadata"), []string{"blocked by: [FORBIDDEN/9/index metadata"}},
		"long name":      {nil, []string{"name of the new index would be too long", "at most 255 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suffix := strings.ReplaceAll(name, " ", "-")
			if c.prepare == nil {
				suffix = strings.Repeat("x", 245-len(f.base)-1)
			}
			index := f.makeIndex(t, suffix, "from_file", false)
			if c.prepare != nil {
				c.prepare(t, index)
			}
			_, err := f.planReindex(t, f.Config, index)
			for _, says := range c.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("error %v, want one with %q", err, says)
				}
			}
		})
	}
}

// TestPlanReadsTheLimitsOfTheCluster sets a disk watermark and a limit of shards that leave no room for a copy.
func TestPlanReadsTheLimitsOfTheCluster(t *testing.T) {
	t.Parallel()
	s := elastictest.Own(t)
	f := fixture{Server: s, base: "kb"}
	f.set, f.file = "kb-set", "analysis/kb.txt"
	f.putFile(t, "laptop, notebook")
	f.putSet(t, "laptop, notebook")
	index := f.makeIndex(t, "v1", "from_file", false)
	if _, err := f.planReindex(t, f.Config, index); err != nil {
		t.Fatal(err)
	}
	const disk = `"cluster.routing.allocation.disk.`
	for name, c := range map[string]struct{ settings, says string }{ //nolint:paralleltest // they change one server
		// The watermarks must be in order, and only the low one decides on new shards.
		"disk watermark": {disk + `threshold_enabled":true,` + disk + `watermark.low":"900tb",` + disk +
			`watermark.high":"1b",` + disk + `watermark.flood_stage":"1b"`, "There is not enough disk"},
		"limit of shards": {`"cluster.max_shards_per_node":2`, "cluster.max_shards_per_node leaves"},
	} {
		t.Run(name, func(t *testing.T) {
			f.Do(t, http.MethodPut, "/_cluster/settings", `{"persistent":{`+c.settings+`}}`, nil)
			defer f.Do(t, http.MethodPut, "/_cluster/settings", `{"persistent":{"cluster.*":null}}`, nil)
			_, err := f.planReindex(t, f.Config, index)
			if !errors.Is(err, synonyms.ErrNoWay) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one with %q", err, c.says)
			}
		})
	}
}

// TestPlanNamesEarlierCopies covers the indices that earlier reindexes kept.
func TestPlanNamesEarlierCopies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "v1-reindexed-7", "from_file", false)
	first, kept := f.makeIndex(t, "v1", "from_file", false), f.makeIndex(t, "v1-reindexed-3-before", "from_file", false)
	f.makeIndex(t, "v10", "from_file", false)
	p, err := f.planReindex(t, f.Config, index)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Copies of earlier reindexes: " + first + ", " + kept; !strings.Contains(strings.Join(p.Figures,
		"\n")+"\n", want+"\n") {
		t.Errorf("figures %q, want %q", p.Figures, want)
	}
}

// TestPlanGivesARateOnlyForManyDocuments covers the duration that the plan derives from the statistics of the index.
func TestPlanGivesARateOnlyForManyDocuments(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for documents, want := range map[int]bool{999: false, 1000: true} {
		index := f.makeIndex(t, fmt.Sprint("rate-", documents), "from_file", false) // it has one document
		var bulk strings.Builder
		for range documents - 1 {
			bulk.WriteString("{\"index\":{}}\n{\"t\":\"text\"}\n")
		}
		f.Do(t, http.MethodPost, "/"+index+"/_bulk?refresh=true", bulk.String(), nil)
		p, err := f.planReindex(t, f.Config, index)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Contains(strings.Join(p.Figures, "\n"), "documents per second, estimated from past writes")
		if got != want {
			t.Errorf("%d documents: a rate is shown: %t; %q", documents, got, p.Figures)
		}
	}
}

// lifecycled adds a lifecycle policy to the settings of every index that the server describes. The Elasticsearch of the
// tests lacks the module that knows these settings.
type lifecycled struct {
	next http.RoundTripper
	more string
}

func (l lifecycled) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	body = bytes.ReplaceAll(body, []byte(`"settings":{"index":{`),
		[]byte(`"settings":{"index":{"lifecycle":{"name":"kb-policy"`+l.more+`},`))
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, errors.Join(err, res.Body.Close())
}

// TestPlanNamesTheLifecyclePolicy covers an index with a lifecycle policy.
func TestPlanNamesTheLifecyclePolicy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	index := f.makeIndex(t, "lifecycle", "from_file", false)
	for more, want := range map[string]string{
		"":                          "Its age counts from the reindex",
		`,"origination_date":"100"`: "with the origination date of the old one",
	} {
		cfg := f.Config
		cfg.Transport = func(next http.RoundTripper) http.RoundTripper { return lifecycled{next, more} }
		p, err := f.planReindex(t, cfg, index)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(p.Changes, "\n"); !strings.Contains(text, "The lifecycle policy kb-policy applies") ||
			!strings.Contains(text, want) {
			t.Errorf("changes %q, want %q", p.Changes, want)
		}
	}
}
