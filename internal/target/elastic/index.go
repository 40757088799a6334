package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Index is a concrete index as its cluster describes it.
type Index struct {
	Name string
	// Settings are those below "index", nested as Elasticsearch returns them.
	Settings map[string]json.RawMessage
	Mappings json.RawMessage
	// Aliases maps each alias to its properties.
	Aliases map[string]json.RawMessage

	analysis analysis
	mapping  mapping
}

// indexCache keeps descriptions of indices for freshFor, by the requested names.
type indexCache struct {
	mu    sync.Mutex
	byKey map[string]*cached[map[string]Index]
}

func (c *indexCache) of(key string) *cached[map[string]Index] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = map[string]*cached[map[string]Index]{}
	}
	if c.byKey[key] == nil {
		c.byKey[key] = &cached[map[string]Index]{}
	}
	return c.byKey[key]
}

func (c *indexCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byKey = nil
}

// Describe returns the indices with their settings, mappings and aliases, in the order of names. Callers with the same
// names share one request for half a minute.
func (c *Cluster) Describe(ctx context.Context, names []string) ([]Index, error) {
	byName, err := c.detail.of(strings.Join(names, ",")).get(ctx, c.clk,
		func(ctx context.Context) (map[string]Index, error) { return c.readIndices(ctx, names) })
	if err != nil {
		return nil, err
	}
	out := make([]Index, 0, len(names))
	for _, n := range names {
		out = append(out, byName[n])
	}
	return out, nil
}

// DescribeNow describes one index, and never returns a cached description.
func (c *Cluster) DescribeNow(ctx context.Context, name string) (Index, error) {
	byName, err := c.readIndices(ctx, []string{name})
	return byName[name], err
}

func (c *Cluster) readIndices(ctx context.Context, names []string) (map[string]Index, error) {
	type described struct {
		Aliases  map[string]json.RawMessage `json:"aliases"`
		Mappings json.RawMessage            `json:"mappings"`
		Settings struct {
			Index map[string]json.RawMessage `json:"index"`
		} `json:"settings"`
	}
	out := make(map[string]Index, len(names))
	for _, some := range chunks(names) {
		answer := map[string]described{}
		err := c.get(ctx, "Read the settings of "+Names(some),
			esapi.IndicesGetRequest{Index: escaped(some...)}, &answer)
		if err != nil {
			return nil, err
		}
		for name, d := range answer {
			i := Index{Name: name, Settings: d.Settings.Index, Mappings: d.Mappings, Aliases: d.Aliases}
			if err := i.parse(); err != nil {
				return nil, fmt.Errorf("read the settings of %s: %w", name, err)
			}
			out[name] = i
		}
	}
	return out, nil
}

func (i *Index) parse() error {
	if raw, ok := i.Settings["analysis"]; ok {
		if err := json.Unmarshal(raw, &i.analysis); err != nil {
			return err
		}
	}
	if len(i.Mappings) > 0 {
		return json.Unmarshal(i.Mappings, &i.mapping)
	}
	return nil
}

// Setting returns a setting by its dotted name below "index", such as "blocks.write". It is empty if not set.
func (i Index) Setting(name string) string { return lookup(i.Settings, name) }

// lookup returns the string at a dotted name in nested settings, or an empty string if there is none.
func lookup(at map[string]json.RawMessage, name string) string {
	parts := strings.Split(name, ".")
	for n := range parts {
		// Keys may contain dots, as in "routing.allocation", so try the longest name first.
		for end := len(parts); end > n; end-- {
			raw, ok := at[strings.Join(parts[n:end], ".")]
			if !ok {
				continue
			}
			var text string
			if end == len(parts) && json.Unmarshal(raw, &text) == nil {
				return text
			}
			below := map[string]json.RawMessage{}
			if json.Unmarshal(raw, &below) != nil {
				return ""
			}
			at = below
			break
		}
	}
	return ""
}

// SourceKept reports whether whole documents can be read back: _source is enabled and excludes nothing.
func (i Index) SourceKept() bool {
	s := i.mapping.Source
	return (s.Enabled == nil || *s.Enabled) && len(s.Includes) == 0 && len(s.Excludes) == 0
}

// defaultWindow is the default of index.max_result_window.
const defaultWindow = 10_000

// Window is the largest page of documents that Elasticsearch reads from the index.
func (i Index) Window() int {
	if n, err := strconv.Atoi(i.Setting("max_result_window")); err == nil && n > 0 {
		return n
	}
	return defaultWindow
}

// AliasNames returns the names of the index's aliases, sorted.
func (i Index) AliasNames() []string {
	var names []string
	for n := range i.Aliases {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
