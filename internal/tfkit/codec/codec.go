// Package codec converts between Go values and Terraform values, by their JSON.
package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// longest is the size in bits up to which whole numbers are written without an exponent.
const longest = 128

// Go converts a fully known Terraform value to the Go values that encoding/json uses: strings, bools, json.Numbers,
// slices and maps. Null becomes nil. The elements of a set keep Terraform's order, which is sorted.
func Go(v tftypes.Value) (any, error) {
	if !v.IsKnown() {
		return nil, fmt.Errorf("value is not known yet")
	}
	if v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		var n big.Float
		if err := v.As(&n); err != nil {
			return nil, err
		}
		if n.IsInt() && n.MantExp(nil) <= longest {
			return json.Number(n.Text('f', 0)), nil // not 1e+06, which encoding/json does not accept as an integer
		}
		return json.Number(n.Text('g', -1)), nil
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}), t.Is(tftypes.Tuple{}):
		return goSlice(v)
	default:
		return goMap(v)
	}
}

func goSlice(v tftypes.Value) (any, error) {
	var elements []tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	out := make([]any, len(elements))
	for i, e := range elements {
		var err error
		if out[i], err = Go(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func goMap(v tftypes.Value) (any, error) {
	var elements map[string]tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(elements))
	for k, e := range elements {
		var err error
		if out[k], err = Go(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Terraform converts a Go value to a Terraform value of type t, by its JSON. Missing attributes of an object become
// null. Attributes that t does not have are dropped.
func Terraform(t tftypes.Type, v any) (tftypes.Value, error) {
	switch plain := v.(type) {
	case nil, bool:
		return build(t, plain)
	case string:
		if utf8.ValidString(plain) { // its JSON is the same text
			return build(t, plain)
		}
	}
	return viaJSON(t, v)
}

func viaJSON(t tftypes.Type, v any) (tftypes.Value, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return tftypes.Value{}, err
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return tftypes.Value{}, err
	}
	return build(t, plain)
}

func build(t tftypes.Type, v any) (tftypes.Value, error) {
	if t.Is(tftypes.DynamicPseudoType) {
		t = infer(v)
	}
	var err error
	switch in := v.(type) {
	case json.Number:
		n, _, parseErr := big.ParseFloat(in.String(), 10, numberPrecision, big.ToNearestEven)
		v, err = n, parseErr
	case []any:
		v, err = buildSlice(t, in)
	case map[string]any:
		v, err = buildMap(t, in)
	}
	if err != nil {
		return tftypes.Value{}, err
	}
	if err := tftypes.ValidateValue(t, v); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(t, v), nil
}

func buildSlice(t tftypes.Type, in []any) ([]tftypes.Value, error) {
	out := make([]tftypes.Value, len(in))
	for i, e := range in {
		var element tftypes.Type
		switch t := t.(type) {
		case tftypes.List:
			element = t.ElementType
		case tftypes.Set:
			element = t.ElementType
		case tftypes.Tuple:
			element = t.ElementTypes[i]
		default:
			return nil, fmt.Errorf("a list does not fit %s", t)
		}
		var err error
		if out[i], err = build(element, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func buildMap(t tftypes.Type, in map[string]any) (map[string]tftypes.Value, error) {
	out := make(map[string]tftypes.Value, len(in))
	var err error
	switch t := t.(type) {
	case tftypes.Map:
		for k, e := range in {
			if out[k], err = build(t.ElementType, e); err != nil {
				return nil, err
			}
		}
	case tftypes.Object:
		for k, attribute := range t.AttributeTypes {
			if out[k], err = build(attribute, in[k]); err != nil {
				return nil, fmt.Errorf("attribute %s: %w", k, err)
			}
		}
	default:
		return nil, fmt.Errorf("an object does not fit %s", t)
	}
	return out, nil
}

// numberPrecision is the precision of Terraform's numbers, in bits.
const numberPrecision = 512

// infer returns the type that Terraform infers for a value of a dynamic attribute.
func infer(v any) tftypes.Type {
	switch v := v.(type) {
	case string:
		return tftypes.String
	case bool:
		return tftypes.Bool
	case json.Number:
		return tftypes.Number
	case []any:
		types := make([]tftypes.Type, len(v))
		for i, e := range v {
			types[i] = infer(e)
		}
		return tftypes.Tuple{ElementTypes: types}
	case map[string]any:
		types := make(map[string]tftypes.Type, len(v))
		for k, e := range v {
			types[k] = infer(e)
		}
		return tftypes.Object{AttributeTypes: types}
	default:
		return tftypes.DynamicPseudoType
	}
}
