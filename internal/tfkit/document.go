package tfkit

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// document is a resource's configuration, plan or state by attribute, as Terraform sees it: each value may be unknown.
type document struct {
	typ    tftypes.Object
	values map[string]tftypes.Value
}

// openDocument returns the attributes of raw. All are null if raw is null.
func openDocument(raw tftypes.Value) (document, error) {
	typ, ok := raw.Type().(tftypes.Object)
	if !ok {
		return document{}, fmt.Errorf("expected an object, got %s", raw.Type())
	}
	d := document{typ: typ, values: make(map[string]tftypes.Value, len(typ.AttributeTypes))}
	if raw.IsNull() {
		for name, t := range typ.AttributeTypes {
			d.values[name] = tftypes.NewValue(t, nil)
		}
		return d, nil
	}
	if err := raw.As(&d.values); err != nil {
		return document{}, fmt.Errorf("read the resource's values: %w", err)
	}
	return d, nil
}

func (d document) clone() document { return document{typ: d.typ, values: maps.Clone(d.values)} }

func (d document) raw() tftypes.Value { return tftypes.NewValue(d.typ, d.values) }

func (d document) known(name string) bool { return d.values[name].IsFullyKnown() }

func (d document) null(name string) bool { return d.values[name].IsNull() }

func (d document) same(other document, name string) bool {
	return d.values[name].IsFullyKnown() && other.values[name].IsFullyKnown() &&
		d.values[name].Equal(other.values[name])
}

// get decodes a known attribute into a Go value, by its JSON. A null leaves into unchanged.
func (d document) get(name string, into any) error {
	v, err := codec.Go(d.values[name])
	if err != nil || v == nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	return nil
}

// text returns a known string attribute, or "".
func (d document) text(name string) string {
	var s string
	if v := d.values[name]; v.IsKnown() && !v.IsNull() && v.As(&s) != nil {
		return ""
	}
	return s
}

// set replaces an attribute with a Go value, by its JSON.
func (d document) set(name string, v any) error {
	t, ok := d.typ.AttributeTypes[name]
	if !ok {
		return fmt.Errorf("no attribute %s", name)
	}
	value, err := codec.Terraform(t, v)
	if err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	d.values[name] = value
	return nil
}

// setUnknown makes attributes unknown.
func (d document) setUnknown(names ...string) {
	for _, name := range names {
		d.values[name] = tftypes.NewValue(d.typ.AttributeTypes[name], tftypes.UnknownValue)
	}
}

// copyFrom copies attributes from another document.
func (d document) copyFrom(from document, names ...string) {
	for _, name := range names {
		d.values[name] = from.values[name]
	}
}
