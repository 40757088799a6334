package redact

import (
	"bytes"
	"testing"
)

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

func TestWriterSeesSecretsAcrossWrites(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := New("secret-long").Writer(&b)
	for _, part := range []string{"one sec", "ret-long\ntwo secret", "-long"} {
		if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "one " + Mask + "\ntwo " + Mask; b.String() != want {
		t.Errorf("wrote %q, want %q", b.String(), want)
	}
}
