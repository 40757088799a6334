package elastic

import (
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

func TestCheckIndex(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		DefaultIndex: true, "a": true, "team.journal_2": true, "x-entriesx": true, strings.Repeat("a",
			longestName): true,
		"": false, "Upper": false, "a*": false, "a,b": false, "a b": false, "a/b": false, ".hidden": false, "-a": false,
		"_all": false, "grün": false,
		"a-entries": false, "a-entries-b": false, "a?b": false, `a"b`: false, "a#b": false, "a%2fb": false,
		strings.Repeat("a", longestName+1): false,
	} {
		if why := CheckIndex(name); (why == "") != ok {
			t.Errorf("%q: %q", name, why)
		}
	}
	_, err := Open(t.Context(), Config{Index: "A"})
	explained(t, err, journal.ErrUnavailable, "lower-case")
}

// TestForeignObjectsAreLeftUnchanged opens journals at names that other objects use, and leaves those objects
// unchanged.
func TestForeignObjectsAreLeftUnchanged(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	const newer = `"_meta":{"remediation_journal":{"version":2}}`
	for name, c := range map[string]struct {
		path, body string
		want       error
		says       string
	}{
		"an index without mappings": {"/%-entries-000000", `{}`, journal.ErrForeign, "was not made by this provider"},
		"an index of somebody's": {"/%-entries-old", `{"mappings":{"_meta":{"owner":"search team"}}}`,
			journal.ErrForeign, "%-entries-old"},
		"a newer index": {"/%-entries-000000", `{"mappings":{` + newer + `}}`, journal.ErrNewer,
			"has version 2; this provider supports versions up to 1"},
		"a hidden index": {"/%-entries-1", `{"settings":{"index.hidden":true}}`, journal.ErrForeign,
			"%-entries-1"},
		"somebody's template": {"/_index_template/%", `{"index_patterns":["%*"]}`, journal.ErrForeign,
			"index template %"},
		"a newer template": {"/_index_template/%", `{"index_patterns":["%*"],` + newer + `}`, journal.ErrNewer,
			"The index template % has version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index := place(t, on)
			fill := func(text string) string { return strings.ReplaceAll(text, "%", index) }
			on.Do(t, http.MethodPut, fill(c.path), fill(c.body), nil)
			var before, after any
			on.Do(t, http.MethodGet, fill(c.path), nil, &before)
			_, err := Open(t.Context(), at(on.Config, index))
			explained(t, err, c.want, fill(c.says))
			on.Do(t, http.MethodGet, fill(c.path), nil, &after)
			same(t, before, after)
		})
	}
}

// TestForeignIndexAppearsAfterOpen covers an index that appears between Open and the first entry.
func TestForeignIndexAppearsAfterOpen(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	s := openTest(t, at(on.Config, index), usual())
	on.Do(t, http.MethodDelete, "/_index_template/"+index, nil, nil) // which would make it one of the journal's
	on.Do(t, http.MethodPut, "/"+index+"-entries-000000", nil, nil)
	_, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	explained(t, err, journal.ErrForeign, "was not made by this provider")
}

type template struct {
	Templates []struct {
		Template struct {
			Version         int   `json:"version"`
			AllowAutoCreate *bool `json:"allow_auto_create"`
		} `json:"index_template"`
	} `json:"index_templates"`
}

func readTemplate(t *testing.T, on *elastictest.Server, index string) (version int, autoCreate bool) {
	t.Helper()
	var found template
	on.Do(t, http.MethodGet, "/_index_template/"+index, nil, &found)
	one := found.Templates[0].Template
	return one.Version, one.AllowAutoCreate == nil || *one.AllowAutoCreate
}

// TestTemplate installs the template once, and again for a newer version of the provider.
func TestTemplate(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	later := usual()
	later.version++
	for _, l := range []limits{usual(), usual(), later} {
		openTest(t, at(on.Config, index), l)
		if version, auto := readTemplate(t, on, index); version != l.version || auto {
			t.Errorf("version %d, made automatically %v", version, auto)
		}
	}
	_, err := Open(t.Context(), at(on.Config, index))
	explained(t, err, journal.ErrNewer, "index template")
}

// TestRangesAreAsWritten checks the settings that durability and search depend on.
func TestRangesAreAsWritten(t *testing.T) {
	t.Parallel()
	on := elastictest.Shared(t)
	index := place(t, on)
	small := usual()
	small.rangeSize = 3
	s := openTest(t, at(on.Config, index), small)
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), 2); err != nil {
		t.Fatal(err)
	}
	var found map[string]struct {
		Settings struct {
			Index map[string]any `json:"index"`
		} `json:"settings"`
		Mappings struct {
			Dynamic    string                    `json:"dynamic"`
			Properties map[string]map[string]any `json:"properties"`
		} `json:"mappings"`
	}
	on.Do(t, http.MethodGet, "/"+index+"*?expand_wildcards=all", nil, &found)
	if len(found) != 3 {
		t.Errorf("%d indices", len(found))
	}
	for i, documents := range map[string]int{"000000": 3, "000001": 3, "000002": 2} {
		name := index + "-entries-" + i
		got := found[name]
		same(t, map[string]any{"durability": "request"}, got.Settings.Index["translog"])
		same(t, []any{"1", "0-1", "true"}, []any{got.Settings.Index["number_of_shards"],
			got.Settings.Index["auto_expand_replicas"], got.Settings.Index["hidden"]})
		same(t, "strict", got.Mappings.Dynamic)
		same(t, "keyword", got.Mappings.Properties["target"]["type"])
		on.Do(t, http.MethodPost, "/"+name+"/_refresh", nil, nil)
		var counted struct{ Count int }
		on.Do(t, http.MethodGet, "/"+name+"/_count", nil, &counted)
		same(t, documents, counted.Count)
	}
	// No index is created by accident.
	if status, err := on.Try(t, http.MethodPut, "/"+index+"-entries-000009/_doc/1", `{}`,
		nil); status != http.StatusNotFound {
		t.Errorf("status %d, %v", status, err)
	}
}
