package cacheclear_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

func params(tb testing.TB, v map[string]any) json.RawMessage {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func bind(tb testing.TB, cluster *elastic.Cluster, v map[string]any) playbook.Action {
	tb.Helper()
	action, err := cacheclear.New(cluster, clock.System{}).Bind(params(tb, v))
	if err != nil {
		tb.Fatal(err)
	}
	return action
}

// documents is more than the 10,000 below which Elasticsearch caches no query of a segment.
const documents = 12_000

// makeIndex makes an index with one large segment whose two text fields keep field data.
func makeIndex(tb testing.TB, s *elastictest.Server, name string) {
	tb.Helper()
	text := map[string]any{"type": "text", "fielddata": true}
	s.Do(tb, http.MethodPut, "/"+name, map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0},
		"mappings": map[string]any{"properties": map[string]any{"title": text, "body": text,
			"n": map[string]any{"type": "integer"}}},
	}, nil)
	var bulk strings.Builder
	for i := range documents {
		fmt.Fprintf(&bulk, "{\"index\":{}}\n{\"title\":\"title\",\"body\":\"body\",\"n\":%d}\n", i)
	}
	s.Do(tb, http.MethodPost, "/"+name+"/_bulk", bulk.String(), nil)
	s.Do(tb, http.MethodPost, "/"+name+"/_forcemerge?max_num_segments=1", nil, nil)
	s.Do(tb, http.MethodPost, "/"+name+"/_refresh", nil, nil)
}

// fill puts something into each cache of the index.
func fill(tb testing.TB, s *elastictest.Server, name string) elastic.CacheSizes {
	tb.Helper()
	const search = `{"size":0,"query":{"bool":{"filter":[{"range":{"n":{"gte":100,"lt":6000}}},{"term":{"title":"title"}}]}},
		"aggs":{"t":{"terms":{"field":"title"}},"b":{"terms":{"field":"body"}}}}`
	// A query has to be seen a few times before it is cached.
	const often = 12
	for range often {
		s.Do(tb, http.MethodPost, "/"+name+"/_search?request_cache=false", search, nil)
	}
	s.Do(tb, http.MethodPost, "/"+name+"/_search?request_cache=true", search, nil)
	full := sizes(tb, s, name)
	if full.Query == 0 || full.Request == 0 || full.Fielddata == 0 {
		tb.Fatalf("not every cache holds something: %+v", full)
	}
	return full
}

// sizes asks the server itself, not through the code under test.
func sizes(tb testing.TB, s *elastictest.Server, name string) elastic.CacheSizes {
	tb.Helper()
	type size struct {
		Bytes int64 `json:"memory_size_in_bytes"`
	}
	var answer struct {
		All struct {
			Total struct {
				Query     size `json:"query_cache"`
				Request   size `json:"request_cache"`
				Fielddata size `json:"fielddata"`
			} `json:"total"`
		} `json:"_all"`
	}
	s.Do(tb, http.MethodGet, "/"+name+"/_stats/query_cache,request_cache,fielddata", nil, &answer)
	t := answer.All.Total
	return elastic.CacheSizes{Query: t.Query.Bytes, Request: t.Request.Bytes, Fielddata: t.Fielddata.Bytes}
}

// journaled is a journal that takes everything.
func journaled(context.Context, any) error { return nil }

func run(tb testing.TB, action playbook.Action) (playbook.Preview, playbook.Report) {
	tb.Helper()
	preview, err := action.Preview(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	work, err := action.Dispatch(tb.Context(), playbook.Job{ID: 1, Preview: preview, Checkpoint: journaled})
	if err != nil {
		tb.Fatal(err)
	}
	outcome, err := work.Wait(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return preview, outcome
}

func TestEachCombinationClearsNothingElse(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "caches")
	makeIndex(t, s, index)
	for combination := 1; combination < 8; combination++ {
		var types []string
		for i, name := range cacheclear.Types() {
			if combination&(1<<i) != 0 {
				types = append(types, name)
			}
		}
		t.Run(strings.Join(types, "+"), func(t *testing.T) { //nolint:paralleltest // one index, one after the other
			full := fill(t, s, index)
			_, outcome := run(t, bind(t, elastic.New(s.Config, clock.System{}),
				map[string]any{"index_name": index, "cache_types": types}))
			left := sizes(t, s, index)
			want := full
			if slices.Contains(types, cacheclear.Query) {
				want.Query = 0
			}
			if slices.Contains(types, cacheclear.Request) {
				want.Request = 0
			}
			if slices.Contains(types, cacheclear.Fielddata) {
				want.Fielddata = 0
			}
			if diff := cmp.Diff(want, left); diff != "" {
				t.Errorf("sizes (-want +got):\n%s", diff)
			}
			details := map[string]string{
				"query_bytes_before": fmt.Sprint(full.Query), "request_bytes_before": fmt.Sprint(full.Request),
				"fielddata_bytes_before": fmt.Sprint(full.Fielddata),
				"query_bytes_after":      fmt.Sprint(want.Query), "request_bytes_after": fmt.Sprint(want.Request),
				"fielddata_bytes_after": fmt.Sprint(want.Fielddata),
			}
			if diff := cmp.Diff(details, outcome.Details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldsNarrowTheFieldData(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "fields")
	makeIndex(t, s, index)
	fill(t, s, index)
	_, outcome := run(t, bind(t, elastic.New(s.Config, clock.System{}), map[string]any{"index_name": index,
		"cache_types": []string{"fielddata"}, "fields": []string{"title"}}))
	if want := "Cleared the field data cache (field data of title only) of " + index; outcome.Message != want {
		t.Errorf("message %q, want %q", outcome.Message, want)
	}
	var answer struct {
		All struct {
			Total struct {
				Fielddata struct {
					Fields map[string]struct {
						Bytes int64 `json:"memory_size_in_bytes"`
					} `json:"fields"`
				} `json:"fielddata"`
			} `json:"total"`
		} `json:"_all"`
	}
	s.Do(t, http.MethodGet, "/"+index+"/_stats/fielddata?fielddata_fields=title,body", nil, &answer)
	fields := answer.All.Total.Fielddata.Fields
	if fields["title"].Bytes != 0 || fields["body"].Bytes == 0 {
		t.Errorf("field data now: %+v, want none of title and all of body", fields)
	}
}

func TestPreviewChangesNothingAndNamesConcreteIndices(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	base := s.Name(t, "preview")
	one, two := base+"-1", base+"-2"
	makeIndex(t, s, one)
	makeIndex(t, s, two)
	s.Do(t, http.MethodPut, "/"+base+"-closed", nil, nil)
	s.Do(t, http.MethodPost, "/"+base+"-closed/_close", nil, nil)
	s.Do(t, http.MethodPost, "/_aliases", fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, two,
		base+"-alias"), nil)
	before := fill(t, s, one)
	cluster := elastic.New(s.Config, clock.System{})
	identities := map[string]string{}
	for name, want := range map[string][]string{
		one: {one}, two: {two}, base + "-alias": {two}, base + "-*": {one, two}, one + "," + base + "-a*": {one, two},
	} {
		preview, err := bind(t, cluster, map[string]any{"index_name": name}).Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(cacheclear.Facts{Indices: want, CacheTypes: cacheclear.Types()},
			preview.Facts); diff != "" {
			t.Errorf("%s: facts (-want +got):\n%s", name, diff)
		}
		identities[name] = fmt.Sprint(preview.Identity)
		figure := "Cached in " // two has no documents
		if name == two || name == base+"-alias" {
			figure = "Nothing is cached"
		}
		if len(preview.Figures) != 1 || !strings.HasPrefix(preview.Figures[0], figure) ||
			preview.Warnings != nil {
			t.Errorf("%s: figures %q, warnings %q", name, preview.Figures, preview.Warnings)
		}
		if len(preview.ApprovalReasons) != 0 || preview.Duration.Seconds() != 5 || preview.CostUSD != 0 {
			t.Errorf("%s: not the catalogue's figures: %+v", name, preview)
		}
	}
	if identities[two] != identities[base+"-alias"] || identities[one] == identities[two] ||
		!strings.Contains(identities[base+"-*"], base+"-*") || strings.Contains(identities[two], two) {
		t.Errorf("identities: %q", identities)
	}
	if diff := cmp.Diff(before, sizes(t, s, one)); diff != "" {
		t.Errorf("a preview changed the caches (-before +after):\n%s", diff)
	}
	if _, err := bind(t, cluster, map[string]any{"index_name": base + "-closed"}).Preview(t.Context()); !errors.Is(err,
		elastic.ErrClosed) {
		t.Errorf("closed index: %v, want ErrClosed", err)
	}
	_, err := bind(t, cluster, map[string]any{"index_name": one + "x"}).Preview(t.Context())
	if !errors.Is(err, elastic.ErrNotFound) || !strings.Contains(err.Error(), one) {
		t.Errorf("missing index: %v, want ErrNotFound with the near match %s", err, one)
	}
	if p := problem.Of(err, ""); !slices.Equal(p.Path, []string{"index_name"}) {
		t.Errorf("path of the problem: %v", p.Path)
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		params map[string]any
		path   string
	}{
		"empty name":        {map[string]any{"index_name": ""}, "index_name"},
		"all":               {map[string]any{"index_name": "_all"}, "index_name"},
		"star":              {map[string]any{"index_name": "*"}, "index_name"},
		"star among others": {map[string]any{"index_name": "a,**"}, "index_name"},
		"exclusion":         {map[string]any{"index_name": "a*,-b"}, "index_name"},
		"another cluster":   {map[string]any{"index_name": "other:a"}, "index_name"},
		"upper case":        {map[string]any{"index_name": "KB"}, "index_name"},
		"a path":            {map[string]any{"index_name": "a/_doc"}, "index_name"},
		"cache type":        {map[string]any{"index_name": "a", "cache_types": []string{"filter"}}, "cache_types"},
		"fields of no cache": {map[string]any{"index_name": "a", "cache_types": []string{"query"},
			"fields": []string{"t"}}, "fields"},
		"an empty field":       {map[string]any{"index_name": "a", "fields": []string{" "}}, "fields[0]"},
		"a pattern of fields":  {map[string]any{"index_name": "a", "fields": []string{"t*"}}, "fields[0]"},
		"two fields in one":    {map[string]any{"index_name": "a", "fields": []string{"a,b"}}, "fields[0]"},
		"an unknown parameter": {map[string]any{"index_name": "a", "index": "b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := cacheclear.Describe().Check(params(t, c.params))
			var p *problem.Problem
			if !errors.As(err, &p) {
				t.Fatalf("error %v, want a problem", err)
			}
			if c.path != "" && problem.Where(p.Path) != c.path {
				t.Errorf("path %v, want %s", p.Path, c.path)
			}
		})
	}
	if err := cacheclear.Describe().Check(params(t, map[string]any{"index_name": "*", "allow_all": true})); err != nil {
		t.Errorf("* with allow_all: %v", err)
	}
}

func TestSystemIndicesAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	set := s.Name(t, "set")
	// Makes the system's own index of synonyms.
	s.Do(t, http.MethodPut, "/_synonyms/"+set, `{"synonyms_set":[{"synonyms":"a, b"}]}`, nil)
	t.Cleanup(func() {
		_, _ = s.Call(context.WithoutCancel(t.Context()), http.MethodDelete, "/_synonyms/"+set, nil, nil)
	})
	cluster := elastic.New(s.Config, clock.System{})
	for _, name := range []string{".synonyms-2", ".synonyms", ".syn*"} {
		if _, err := bind(t, cluster, map[string]any{"index_name": name}).Preview(t.Context()); !errors.Is(err,
			elastic.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
	makeIndex(t, s, s.Name(t, "other"))
	preview, err := bind(t, cluster, map[string]any{"index_name": "*", "allow_all": true}).Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts, ok := preview.Facts.(cacheclear.Facts)
	if !ok || len(facts.Indices) == 0 || slices.ContainsFunc(facts.Indices,
		func(i string) bool { return strings.HasPrefix(i, ".") }) {
		t.Errorf("* with allow_all stands for %v", facts.Indices)
	}
}

// TestSizesDoNotChangeTheIdentity plans while the statistics can't be read, and for an index that is newer than the
// statistics. Both plans have the identity of an undisturbed plan, so neither makes an apply refuse.
func TestSizesDoNotChangeTheIdentity(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "identity")
	failing := s.Config
	failing.Transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, "/_stats") {
				return nil, errors.New("connection reset by peer")
			}
			return next.RoundTrip(req)
		})
	}
	older := elastic.New(s.Config, clock.System{})
	if _, err := older.KnownCacheSizes(t.Context(), []string{index}); err != nil {
		t.Fatal(err)
	}
	s.Do(t, http.MethodPut, "/"+index, nil, nil)
	identity := func(cluster *elastic.Cluster) any {
		preview, err := bind(t, cluster, map[string]any{"index_name": index}).Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return preview.Identity
	}
	want := identity(elastic.New(s.Config, clock.System{}))
	for name, cluster := range map[string]*elastic.Cluster{
		"failing statistics": elastic.New(failing, clock.System{}), "older statistics": older,
	} {
		if diff := cmp.Diff(want, identity(cluster)); diff != "" {
			t.Errorf("%s: identity (-undisturbed +now):\n%s", name, diff)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
