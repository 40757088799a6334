package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Errors about a synonym filter.
var (
	// ErrNoFilter: the index has no such filter, or it is not a synonym filter.
	ErrNoFilter = errors.New("no such synonym filter")
	// ErrUnused: no analyzer uses the filter.
	ErrUnused = errors.New("no analyzer uses the filter")
	// ErrInline: the rules are in the index settings and can only be changed there.
	ErrInline = errors.New("the synonyms are inline")
)

// analysis is the part of the index settings that defines analyzers.
type analysis struct {
	Filter   map[string]filterSettings   `json:"filter"`
	Analyzer map[string]analyzerSettings `json:"analyzer"`
}

type filterSettings struct {
	Type string `json:"type"`
	Set  string `json:"synonyms_set"`
	Path string `json:"synonyms_path"`
	// Updateable is a string in Elasticsearch's answers.
	Updateable boolean `json:"updateable"`
	Lenient    boolean `json:"lenient"`
	// Filters lists the filters inside a multiplexer, Filter those inside a condition.
	Filters many `json:"filters"`
	Filter  many `json:"filter"`

	all map[string]json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler. It also keeps all settings in their original JSON, because FreshTokens
// copies the filter.
func (f *filterSettings) UnmarshalJSON(text []byte) error {
	type plain filterSettings
	if err := json.Unmarshal(text, (*plain)(f)); err != nil {
		return err
	}
	return json.Unmarshal(text, &f.all)
}

type analyzerSettings struct {
	Type       string `json:"type"`
	Tokenizer  string `json:"tokenizer"`
	Filter     many   `json:"filter"`
	CharFilter many   `json:"char_filter"`
}

// boolean is a Boolean that the server may encode as a string.
type boolean bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *boolean) UnmarshalJSON(text []byte) error {
	*b = boolean(strings.Trim(string(text), `"`) == "true")
	return nil
}

// mapping is the part of an index's mapping that this package uses.
type mapping struct {
	Source struct {
		Enabled  *bool `json:"enabled"`
		Includes many  `json:"includes"`
		Excludes many  `json:"excludes"`
	} `json:"_source"`
	Properties       map[string]field            `json:"properties"`
	DynamicTemplates []map[string]map[string]any `json:"dynamic_templates"`
}

type field struct {
	Type                string `json:"type"`
	Analyzer            string `json:"analyzer"`
	SearchAnalyzer      string `json:"search_analyzer"`
	SearchQuoteAnalyzer string `json:"search_quote_analyzer"`
	// Path is the field to which a field alias refers.
	Path       string           `json:"path"`
	Fields     map[string]field `json:"fields"`
	Properties map[string]field `json:"properties"`
}

// Synonyms describes a synonym filter in an index and the analyzers that use it.
type Synonyms struct {
	Filter string
	// Set or Path is where the rules are stored: a set of the synonyms API, or a file on every data node. Exactly one
	// is set.
	Set, Path string
	// Updateable filters can be reloaded while the index is open.
	Updateable bool
	// Lenient filters drop rules that can't be parsed. Updateable filters are lenient by default.
	Lenient bool
	// Analyzers are the analyzers that use the filter, by name.
	Analyzers []Analyzer
}

// Source names the set or file that contains the rules, such as "set products".
func (s Synonyms) Source() string {
	if s.Set != "" {
		return "set " + s.Set
	}
	return "file " + s.Path
}

// Names returns the names of the analyzers, sorted.
func (s Synonyms) Names() []string {
	var out []string
	for _, a := range s.Analyzers {
		out = append(out, a.Name)
	}
	return out
}

// AtIndexTime returns the fields that are analyzed with the filter when documents are indexed, sorted.
func (s Synonyms) AtIndexTime() []string {
	var out []string
	for _, a := range s.Analyzers {
		out = append(out, a.IndexFields...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Analyzer is an analyzer that uses the filter.
type Analyzer struct {
	Name string
	// Wrapped reports that the filter is inside a multiplexer or a condition, where a reload doesn't update it.
	Wrapped bool
	// IndexFields are the fields that use the analyzer when documents are indexed, SearchFields those that use it for
	// queries.
	IndexFields, SearchFields []string
}

// Synonyms finds a synonym filter. It returns a *problem.Problem with ErrNoFilter, ErrUnused or ErrInline.
func (i Index) Synonyms(filter string) (Synonyms, error) {
	f, ok := i.analysis.Filter[filter]
	if !ok || !f.isSynonyms() {
		return Synonyms{}, i.noFilter(filter, ok, f.Type)
	}
	s := Synonyms{Filter: filter, Set: f.Set, Path: f.Path, Updateable: bool(f.Updateable), Lenient: f.lenient()}
	if s.Set == "" && s.Path == "" {
		return Synonyms{}, &problem.Problem{
			What: fmt.Sprintf("The synonyms of the filter %q can't be refreshed", filter),
			Why: fmt.Sprintf("Its rules are inline, in the settings of %s. Inline rules change only with these "+
				"settings, so there is nothing to load.", i.Name),
			Next: "Move the rules to a set (PUT /_synonyms) or a file, and the filter to synonyms_set or " +
				"synonyms_path, which needs a new index once.", Err: ErrInline,
		}
	}
	uses := i.mapping.uses()
	for _, name := range slices.Sorted(maps.Keys(i.analysis.Analyzer)) {
		direct, wrapped := i.analysis.contains(i.analysis.Analyzer[name].Filter, filter)
		if direct || wrapped {
			s.Analyzers = append(s.Analyzers, Analyzer{Name: name, Wrapped: wrapped, IndexFields: uses.index[name],
				SearchFields: uses.search[name]})
		}
	}
	if len(s.Analyzers) == 0 {
		return Synonyms{}, &problem.Problem{
			What: fmt.Sprintf("No analyzer of %s uses the filter %q", i.Name,
				filter), Why: "Refreshing it would change nothing.",
			Next: "Check the name of the filter, and the analyzers of the index.", Err: ErrUnused,
		}
	}
	return s, nil
}

// lenient returns the lenient setting. Its default is true for an updateable filter, otherwise false.
func (f filterSettings) lenient() bool {
	if _, set := f.all["lenient"]; set {
		return bool(f.Lenient)
	}
	return bool(f.Updateable)
}

func (f filterSettings) isSynonyms() bool { return f.Type == "synonym" || f.Type == "synonym_graph" }

func (i Index) noFilter(filter string, exists bool, kind string) error {
	var others []string
	for _, name := range slices.Sorted(maps.Keys(i.analysis.Filter)) {
		if i.analysis.Filter[name].isSynonyms() {
			others = append(others, name)
		}
	}
	p := &problem.Problem{What: fmt.Sprintf("%s has no synonym filter called %q", i.Name, filter), Err: ErrNoFilter,
		Next: "Check the spelling."}
	switch {
	case exists:
		p.Why = fmt.Sprintf("The filter is of the type %q.", kind)
	case len(others) == 0:
		p.Why = "The index has no synonym filter at all."
	}
	if len(others) > 0 {
		p.Why = strings.TrimSpace(p.Why + " Its synonym filters are: " + strings.Join(others, ", ") + ".")
	}
	return p
}

// contains reports whether a chain of filters contains the filter, directly or wrapped in another filter.
func (a analysis) contains(chain []string, filter string) (direct, wrapped bool) {
	for _, name := range chain {
		name = strings.TrimSpace(name)
		if name == filter {
			return true, false
		}
		outer := a.Filter[name]
		for _, inner := range slices.Concat(outer.Filters, outer.Filter) {
			// A multiplexer lists chains, separated by commas.
			if d, w := a.contains(strings.Split(inner, ","), filter); d || w {
				wrapped = true
			}
		}
	}
	return false, wrapped
}

// uses maps the name of each analyzer to the fields that use it at index time and for queries.
type uses struct{ index, search map[string][]string }

func (m mapping) uses() uses {
	u := uses{index: map[string][]string{}, search: map[string][]string{}}
	u.walk("", m.Properties)
	for _, template := range m.DynamicTemplates {
		for name, t := range template {
			text, err := json.Marshal(t["mapping"])
			var f field
			if err == nil && json.Unmarshal(text, &f) == nil {
				u.walk("", map[string]field{"dynamic template " + name: f})
			}
		}
	}
	return u
}

// analyzed lists the field types whose text is analyzed. A field without a configured analyzer uses the index's
// analyzer named "default".
var analyzed = []string{"text", "match_only_text", "search_as_you_type", "annotated_text"}

func (u uses) walk(prefix string, fields map[string]field) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f, path := fields[name], prefix+name
		atIndex, atSearch := f.Analyzer, f.SearchAnalyzer
		if slices.Contains(analyzed, f.Type) {
			if atSearch == "" && f.Analyzer == "" {
				atSearch = "default_search"
			}
			if atIndex == "" {
				atIndex = "default"
			}
		}
		if atSearch == "" {
			atSearch = atIndex
		}
		if atIndex != "" {
			u.index[atIndex] = append(u.index[atIndex], path)
		}
		for _, analyzer := range slices.Compact([]string{atSearch, f.SearchQuoteAnalyzer}) {
			if analyzer != "" {
				u.search[analyzer] = append(u.search[analyzer], path)
			}
		}
		u.walk(path+".", f.Fields)
		u.walk(path+".", f.Properties)
	}
}
