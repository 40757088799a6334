package redact

import "testing"

func TestString(t *testing.T) {
	t.Parallel()
	r := New("secret-long", "secret-longer", "abc")
	tests := map[string]string{
		"a secret-longer one":         "a " + Mask + " one",
		"secret-long and secret-long": Mask + " and " + Mask,
		"abc is too short to hide":    "abc is too short to hide",
		"nothing":                     "nothing",
	}
	for in, want := range tests {
		if got := r.String(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	var none *Redactor
	if none.String("secret-long") != "secret-long" || New().String("x") != "x" {
		t.Error("without secrets something changed")
	}
}
