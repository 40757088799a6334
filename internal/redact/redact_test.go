package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
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

func TestEveryFormIsMasked(t *testing.T) {
	t.Parallel()
	const secret = "s3cret/+?&<\"\\ü-value"
	r := New(secret)
	basic := func(user string, e *base64.Encoding) string { return e.EncodeToString([]byte(user + ":" + secret)) }
	plain, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "JSON": string(plain), "quoted": fmt.Sprintf("%q", secret),
		"user info": (&url.URL{Scheme: "http", User: url.UserPassword("u", secret), Host: "h"}).String(),
		"base64":    base64.StdEncoding.EncodeToString([]byte(secret)), "for addresses": base64.URLEncoding.EncodeToString([]byte(secret)),
		"basic 0": basic("ab", base64.StdEncoding), "basic 1": basic("a", base64.StdEncoding), "basic 2": basic("abc", base64.StdEncoding),
		"basic without padding": basic("root", base64.RawURLEncoding),
	} {
		got := r.String("before " + text + " after")
		if !strings.Contains(got, Mask) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q became %q", name, text, got)
		}
		// Of a Base64 text only what other bytes have a part in may be left.
		if rest := strings.ReplaceAll(strings.Trim(got, "before after"), Mask, ""); strings.HasPrefix(name, "ba") && len(rest) > 10 {
			t.Errorf("%s: %q is left", name, rest)
		}
	}
	key := New("-----BEGIN KEY-----\n  0123456789abcdef\nfedcba9876543210\n-----END KEY-----\n")
	if got := key.String("line 3 is fedcba9876543210"); got != "line 3 is "+Mask {
		t.Errorf("a line of a key: %q", got)
	}
	if got := New("abcde").String("abcde YWJjZGU"); got != "abcde YWJjZGU" {
		t.Errorf("a short one: %q", got)
	}
}
