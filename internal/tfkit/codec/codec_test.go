package codec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func TestValuesSurviveARoundTripThroughJSON(t *testing.T) {
	t.Parallel()
	object := tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"text": tftypes.String, "number": tftypes.Number, "flag": tftypes.Bool, "missing": tftypes.String,
		"list": tftypes.List{ElementType: tftypes.Number}, "set": tftypes.Set{ElementType: tftypes.String},
		"map": tftypes.Map{ElementType: tftypes.String}, "any": tftypes.DynamicPseudoType,
	}}
	const text = `{"any":{"days":3,"deep":[true,"x",{"big":12345678901234567890,"small":0.1}]},"flag":true,"list":[1,2.5],` +
		`"map":{"a":"b"},"missing":null,"number":100000000000,"set":["p","q"],"text":"é\"<"}`
	var in any
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatal(err)
	}
	value, err := Terraform(object, json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Go(value)
	if err != nil {
		t.Fatal(err)
	}
	var number struct{ Number int }
	if again, err := json.Marshal(out); err != nil || json.Unmarshal(again, &number) != nil ||
		number.Number != 100000000000 {
		t.Errorf("a whole number became %s (%v)", again, err)
	}
	back, err := Terraform(object, out)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Equal(value) {
		t.Errorf("there %s, back %s", value, back)
	}
}

func TestUnknownValuesAreNotDecoded(t *testing.T) {
	t.Parallel()
	unknown := tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	list := tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, []tftypes.Value{unknown})
	if _, err := Go(list); err == nil {
		t.Error("an unknown element was decoded")
	}
}

func TestMistypedValuesAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		t tftypes.Type
		v any
	}{
		"a list for a string": {tftypes.String, []string{"x"}},
		"a string for a list": {tftypes.List{ElementType: tftypes.String}, "x"},
		"an object for a set": {tftypes.Set{ElementType: tftypes.String}, map[string]string{"a": "b"}},
		"text for a number":   {tftypes.Number, "three"},
	} {
		if v, err := Terraform(tt.t, tt.v); err == nil {
			t.Errorf("%s became %s", name, v)
		}
	}
}

// TestPlainValuesAreAsByTheirJSON: most attributes are texts, flags, or null, which take a shorter way.
func TestPlainValuesAreAsByTheirJSON(t *testing.T) {
	t.Parallel()
	for _, typ := range []tftypes.Type{tftypes.String, tftypes.Bool, tftypes.Number, tftypes.DynamicPseudoType,
		tftypes.List{ElementType: tftypes.String}} {
		for _, v := range []any{nil, true, "", "é\"<\u2028\x00", "not \xff UTF-8", json.Number("1")} {
			got, err := Terraform(typ, v)
			want, wantErr := viaJSON(typ, v)
			if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
				t.Errorf("%v as %s: %s, %v, by its JSON %s, %v", v, typ, got, err, want, wantErr)
			}
		}
	}
}

func TestTextNeedsNoJSON(t *testing.T) { //nolint:paralleltest // it counts allocations
	text := strings.Repeat("x", 1000)
	const runs, allocations = 10, 10
	if n := testing.AllocsPerRun(runs, func() { _, _ = Terraform(tftypes.String, text) }); n > allocations {
		t.Errorf("%v allocations, want at most %d", n, allocations)
	}
}
