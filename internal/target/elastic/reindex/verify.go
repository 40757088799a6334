package reindex

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// tierPreference is the only setting that Elasticsearch itself adds to a new index.
const tierPreference = "index.routing.allocation.include._tier_preference"

// writeBlock prevents clients from writing to an index that a template has given an alias.
const writeBlock = "index.blocks.write"

// verify reads the new index back and compares it with the request. Elasticsearch merges index templates into every new
// index, which may add other settings, mappings and aliases. Then verify lifts the write block.
func (r *Run) verify(ctx context.Context, want map[string]any) error {
	got, err := r.cluster.DescribeNow(ctx, r.state.New)
	if err != nil {
		return err
	}
	differs, err := differences(want, got)
	if err != nil {
		return err
	}
	if len(differs) > 0 {
		return r.failed("The new index differs from the old one",
			fmt.Sprintf("Elasticsearch created it with definitions that differ from those of %s, because of an index "+
				"template: %s.",
				r.state.Old, strings.Join(differs, "; ")), nil)
	}
	return r.cluster.PutSettings(ctx, r.state.New, map[string]any{writeBlock: nil})
}

// differences describes how an index differs from the definition that it was created from.
func differences(want map[string]any, got elastic.Index) ([]string, error) {
	settings := map[string]any{}
	if err := flatten("index", got.Settings, settings); err != nil {
		return nil, err
	}
	maps.DeleteFunc(settings, func(name string, _ any) bool { return own(strings.TrimPrefix(name, "index.")) })
	asked, _ := want["settings"].(map[string]any)
	asked = maps.Clone(asked)
	delete(asked, writeBlock)
	if _, ok := asked[tierPreference]; !ok {
		delete(settings, tierPreference)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(merged(asked, settings))) {
		if a, b := settingText(asked, name), settingText(settings, name); a != b {
			out = append(out, fmt.Sprintf("setting %s is %s instead of %s", name, b, a))
		}
	}
	var wanted, mappings any = map[string]any{}, map[string]any{}
	if text, ok := want["mappings"].(json.RawMessage); ok {
		if err := json.Unmarshal(text, &wanted); err != nil {
			return nil, err
		}
	}
	if len(got.Mappings) > 0 {
		if err := json.Unmarshal(got.Mappings, &mappings); err != nil {
			return nil, err
		}
	}
	out = append(out, differentPaths("mapping", wanted, mappings)...)
	for _, alias := range got.AliasNames() {
		out = append(out, "it has the alias "+alias)
	}
	return out, nil
}

// TemplateDifferences describes how templates would make a copy of the index differ from it. The index's own settings
// and mappings take precedence over a template's.
func TemplateDifferences(old elastic.Index, templates elastic.Templates) ([]string, error) {
	create, late, err := definition(old)
	if err != nil {
		return nil, err
	}
	asked, _ := create["settings"].(map[string]any)
	var mappings any = map[string]any{}
	if len(old.Mappings) > 0 {
		if err := json.Unmarshal(old.Mappings, &mappings); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, part := range templates.Parts {
		settings := map[string]any{}
		if err := flatten("index", indexSettings(part.Settings), settings); err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			_, has := asked[name]
			_, set := late[name]
			if !has && !set && name != tierPreference && !own(strings.TrimPrefix(name, "index.")) {
				out = append(out, fmt.Sprintf("setting %s is added", name))
			}
		}
		var added any = map[string]any{}
		if len(part.Mappings) > 0 {
			if err := json.Unmarshal(part.Mappings, &added); err != nil {
				return nil, err
			}
		}
		out = append(out, addedPaths("mapping", added, mappings)...)
		for _, alias := range slices.Sorted(maps.Keys(part.Aliases)) {
			out = append(out, "it gets the alias "+alias)
		}
	}
	return out, nil
}

// indexSettings are the settings of a template below "index".
func indexSettings(settings map[string]json.RawMessage) map[string]json.RawMessage {
	below := map[string]json.RawMessage{}
	if json.Unmarshal(settings["index"], &below) != nil {
		return nil
	}
	return below
}

// addedPaths returns the members of a template's mapping that the index's own mapping does not have.
func addedPaths(at string, template, own any) []string {
	a, isObject := template.(map[string]any)
	b, both := own.(map[string]any)
	if !isObject || !both || b["type"] != nil && b["properties"] == nil {
		return nil // the index has a definition of this field
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if below, has := b[name]; has {
			out = append(out, addedPaths(at+"."+name, a[name], below)...)
		} else {
			out = append(out, at+"."+name+" is added")
		}
	}
	return out
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// settingText formats a setting for comparisons. The server returns numbers and Booleans as strings.
func settingText(settings map[string]any, name string) string {
	value, ok := settings[name]
	if !ok || value == nil {
		return "not set"
	}
	if list, ok := value.([]any); ok {
		texts := make([]string, len(list))
		for i, v := range list {
			texts[i] = fmt.Sprint(v)
		}
		return fmt.Sprintf("%q", texts)
	}
	return fmt.Sprintf("%q", fmt.Sprint(value))
}

// differentPaths returns the paths of the members in which two JSON values differ.
func differentPaths(at string, want, got any) []string {
	a, isObject := want.(map[string]any)
	b, both := got.(map[string]any)
	if !isObject || !both {
		if reflect.DeepEqual(want, got) {
			return nil
		}
		return []string{at + " differs"}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		below := at + "." + name
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case !inA:
			out = append(out, below+" was added")
		case !inB:
			out = append(out, below+" is missing")
		default:
			out = append(out, differentPaths(below, x, y)...)
		}
	}
	return out
}

// sampled is how many documents of each shard are compared with their copies.
const sampled = 20

// compareSample compares randomly selected documents with their copies: every field of the parsed source. The new index
// must have what the view shows.
func (r *Run) compareSample(ctx context.Context, now snapshot) error {
	for shard, view := range now.views {
		documents, err := sample(ctx, view, min(sampled, r.page))
		if err != nil {
			return err
		}
		copies, err := r.cluster.Current(ctx, r.state.New, documents, true)
		if err != nil {
			return err
		}
		for i, d := range documents {
			if r.changedByClient(shard, d, copies[i]) || r.moved && copies[i].Version == 0 {
				continue // a client has changed or deleted it since
			}
			same, err := r.cluster.SameSource(ctx, r.state.New, d.Source, copies[i].Source)
			if err != nil {
				return err
			}
			if same {
				continue
			}
			var want, got any
			if err := json.Unmarshal(d.Source, &want); err != nil {
				return err
			}
			if len(copies[i].Source) > 0 {
				if err := json.Unmarshal(copies[i].Source, &got); err != nil {
					return err
				}
			}
			if differs := differentPaths("_source", want, got); len(differs) > 0 {
				return r.failed("A copied document differs from the original", fmt.Sprintf("In the document %q: %s.",
					d.ID,
					strings.Join(differs[:min(len(differs), shownDifferences)], "; ")), nil)
			}
		}
	}
	return nil
}

const shownDifferences = 5

// sample returns at most size randomly selected documents, and fewer if they are too large for one answer.
func sample(ctx context.Context, view *elastic.View, size int) ([]elastic.Document, error) {
	for {
		documents, err := view.Sample(ctx, size)
		if size == 1 || !errors.Is(err, elasticsearch.ErrTooLong) {
			return documents, err
		}
		size = max(1, size/2) //nolint:mnd // halves
	}
}

// place is the location of the old index's aliases.
type place int

const (
	// atOld: the old index has all of them, and the new one none.
	atOld place = iota
	// atNew: the new index has all of them, and the old one none.
	atNew
	// atBoth: neither.
	atBoth
)

// where determines where the aliases are. Other indices may have them too.
func (r *Run) where(ctx context.Context) (place, error) {
	aliases, err := r.cluster.Aliases(ctx, r.state.Old, r.state.New)
	if err != nil {
		return atBoth, err
	}
	planned := slices.Clone(r.state.Aliases)
	if !slices.Contains(planned, r.state.Name) {
		planned = append(planned, r.state.Name)
	}
	old, made := 0, 0
	for _, alias := range planned {
		if slices.Contains(aliases[r.state.Old], alias) || alias == r.state.Old && aliases[r.state.Old] != nil {
			old++
		}
		if slices.Contains(aliases[r.state.New], alias) {
			made++
		}
	}
	switch {
	case made == len(planned) && old == 0:
		return atNew, nil
	case made == 0:
		return atOld, nil
	}
	return atBoth, nil
}

// misplaced is the error for aliases that are not where the switch should have left them.
func (r *Run) misplaced() error {
	return &problem.Problem{
		What: fmt.Sprintf("The aliases of %s are not where they should be", r.state.Old),
		Why: fmt.Sprintf("After the switch, %s has to have all of them and %s none. Somebody or an index template "+
			"changed them.", r.state.New, r.state.Old),
		Next: fmt.Sprintf("Look at GET /%s,%s/_alias.", r.state.Old, r.state.New),
	}
}
