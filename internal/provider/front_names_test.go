package provider

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// TestFrontNamesAreThoseOfThePlaybook compares the names in a resource's Inputs and Preview with the JSON names of the
// playbook's parameters and facts. An attribute of preview without a fact would always be null, without an error.
func TestFrontNamesAreThoseOfThePlaybook(t *testing.T) {
	t.Parallel()
	type playbookTypes struct{ params, facts reflect.Type }
	byDefinition := map[reflect.Type]playbookTypes{}
	for _, p := range catalogue(settings{}, targets{}, nil) {
		of := reflect.TypeOf(p)
		bind, _ := of.FieldByName("bind")
		preview, _ := bind.Type.Out(0).MethodByName("Preview")
		definition, _ := of.FieldByName("Definition")
		byDefinition[definition.Type] = playbookTypes{bind.Type.In(0), preview.Type.Out(1)}
	}
	for _, construct := range New("test")().Resources(t.Context()) {
		r := construct()
		front := reflect.ValueOf(r).Elem().FieldByName("front")
		if !front.IsValid() || front.FieldByName("Playbook").IsNil() {
			continue // not a playbook's
		}
		name := front.FieldByName("Name").String()
		types, ok := byDefinition[front.FieldByName("Playbook").Elem().Type()]
		if !ok {
			t.Errorf("%s: its playbook is not in the catalogue", name)
			continue
		}
		var described resource.SchemaResponse
		r.Schema(t.Context(), resource.SchemaRequest{}, &described)
		preview, _ := described.Schema.Attributes["preview"].(schema.SingleNestedAttribute)
		for _, wrong := range slices.Concat(
			unmatched("", chosen(described.Schema.Attributes, front.FieldByName("Inputs")), types.params),
			unmatched("preview.", chosen(preview.Attributes, front.FieldByName("Preview")), types.facts)) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// chosen returns the attributes whose names are the keys of a map.
func chosen(all map[string]schema.Attribute, keys reflect.Value) map[string]schema.Attribute {
	out := map[string]schema.Attribute{}
	for _, key := range keys.MapKeys() {
		out[key.String()] = all[key.String()]
	}
	return out
}

// unmatched describes the attributes for which a Go type has no JSON name.
func unmatched(at string, attributes map[string]schema.Attribute, of reflect.Type) []string {
	fields := jsonFields(of)
	var out []string
	for name, a := range attributes {
		field, ok := fields[name]
		if !ok {
			out = append(out, fmt.Sprintf("%s%s has no field in %s", at, name, of))
			continue
		}
		if nested, ok := a.(schema.ListNestedAttribute); ok {
			inner := map[string]schema.Attribute{}
			for n, below := range nested.NestedObject.Attributes {
				inner[n] = below
			}
			out = append(out, unmatched(at+name+".", inner, field)...)
		}
	}
	return out
}

// jsonFields returns the types of a struct's fields by their JSON names, without pointers and slices.
func jsonFields(of reflect.Type) map[string]reflect.Type {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	out := map[string]reflect.Type{}
	if of.Kind() != reflect.Struct {
		return out
	}
	for _, f := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}
