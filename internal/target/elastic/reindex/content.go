package reindex

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Definition returns those settings and mappings of an index that somebody has chosen. It leaves out attributes of the
// index itself, such as its UUID, and fields that are defined as dynamic mapping would define them, because new
// documents can add those at any time.
func Definition(index elastic.Index) map[string]any {
	settings := map[string]any{}
	if err := flatten("index", index.Settings, settings); err != nil {
		return map[string]any{"unreadable": err.Error()}
	}
	maps.DeleteFunc(settings, func(name string, _ any) bool { return own(strings.TrimPrefix(name, "index.")) })
	var mappings map[string]any
	if len(index.Mappings) > 0 && json.Unmarshal(index.Mappings, &mappings) != nil {
		return map[string]any{"settings": settings, "mappings": string(index.Mappings)}
	}
	if dynamic, ok := mappings["dynamic"].(string); !ok || dynamic == "true" {
		made := dynamicMappings(mappings["dynamic_templates"])
		if properties, ok := mappings["properties"].(map[string]any); ok {
			mappings["properties"] = decided(properties, made)
		}
	}
	return map[string]any{"settings": settings, "mappings": mappings}
}

// dynamicMappings are the definitions that dynamic mapping gives to new fields.
func dynamicMappings(templates any) []any {
	const keywordLimit = 256.0
	made := []any{
		map[string]any{"type": "long"}, map[string]any{"type": "float"}, map[string]any{"type": "boolean"},
		map[string]any{"type": "date"}, map[string]any{"type": "text", "fields": map[string]any{
			"keyword": map[string]any{"type": "keyword", "ignore_above": keywordLimit}}},
	}
	list, _ := templates.([]any)
	for _, named := range list {
		byName, _ := named.(map[string]any)
		for _, t := range byName {
			if template, ok := t.(map[string]any); ok {
				made = append(made, template["mapping"])
			}
		}
	}
	return made
}

// decided returns the fields whose definition is not in made. It keeps an object if a field below it is kept.
func decided(fields map[string]any, made []any) map[string]any {
	out := map[string]any{}
	for name, value := range fields {
		field, _ := value.(map[string]any)
		below, isObject := field["properties"].(map[string]any)
		if isObject && len(field) == 1 {
			if rest := decided(below, made); len(rest) > 0 {
				out[name] = map[string]any{"properties": rest}
			}
			continue
		}
		dynamic := false
		for _, m := range made {
			dynamic = dynamic || reflect.DeepEqual(value, m)
		}
		if !dynamic {
			out[name] = value
		}
	}
	return out
}
