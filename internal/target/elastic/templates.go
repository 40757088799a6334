package elastic

import (
	"context"
	"encoding/json"
	"maps"
	"path"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Templates contains what Elasticsearch merges into a new index.
type Templates struct {
	// Names are the templates that match the new index's name.
	Names []string
	// DataStream is the template that allows only data streams under such names, or empty.
	DataStream string
	// Parts are their contents, in merge order.
	Parts []TemplatePart
}

// TemplatePart is the content of a template.
type TemplatePart struct {
	Settings map[string]json.RawMessage `json:"settings"`
	Mappings json.RawMessage            `json:"mappings"`
	Aliases  map[string]json.RawMessage `json:"aliases"`
}

// Templates returns the templates for a new index of that name: the composable template with its components, or
// otherwise all legacy templates.
func (c *Cluster) Templates(ctx context.Context, name string) (Templates, error) {
	what := "Read the index templates for " + name
	var simulated struct {
		Template    TemplatePart `json:"template"`
		Overlapping []struct {
			Name     string   `json:"name"`
			Patterns []string `json:"index_patterns"`
		} `json:"overlapping"`
	}
	err := c.get(ctx, what, esapi.IndicesSimulateIndexTemplateRequest{Name: escaped(name)[0]}, &simulated)
	if err != nil {
		return Templates{}, err
	}
	chosen, dataStream, err := c.composable(ctx, name)
	if err != nil {
		return Templates{}, err
	}
	if chosen != "" {
		out := Templates{Names: []string{"the index template " + chosen}, Parts: []TemplatePart{simulated.Template}}
		if dataStream {
			out.DataStream = chosen
		}
		return out, nil
	}
	legacy := map[string]struct {
		Patterns []string `json:"index_patterns"`
		Order    int      `json:"order"`
		TemplatePart
	}{}
	if err := c.get(ctx, what, esapi.IndicesGetTemplateRequest{}, &legacy); err != nil && !IsMissing(err) {
		return Templates{}, err
	}
	names := slices.SortedFunc(maps.Keys(legacy), func(a, b string) int { return legacy[a].Order - legacy[b].Order })
	var out Templates
	for _, n := range names {
		if matches(legacy[n].Patterns, name) {
			out.Names = append(out.Names, "the legacy index template "+n)
			out.Parts = append(out.Parts, legacy[n].TemplatePart)
		}
	}
	return out, nil
}

// composable returns the name of the composable template that applies, if any, and whether it creates data streams.
func (c *Cluster) composable(ctx context.Context, name string) (chosen string, dataStream bool, err error) {
	var answer struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Patterns   []string        `json:"index_patterns"`
				Priority   int64           `json:"priority"`
				DataStream json.RawMessage `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	err = c.get(ctx, "Read the index templates for "+name, esapi.IndicesGetIndexTemplateRequest{}, &answer)
	highest := int64(-1)
	for _, t := range answer.Templates {
		if matches(t.Template.Patterns, name) && t.Template.Priority > highest {
			chosen, dataStream, highest = t.Name, len(t.Template.DataStream) > 0, t.Template.Priority
		}
	}
	return chosen, dataStream, err
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}
