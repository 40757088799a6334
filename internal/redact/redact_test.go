package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
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
		"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "JSON": string(plain),
		"quoted":        fmt.Sprintf("%q", secret),
		"user info":     (&url.URL{Scheme: "http", User: url.UserPassword("u", secret), Host: "h"}).String(),
		"base64":        base64.StdEncoding.EncodeToString([]byte(secret)),
		"for addresses": base64.URLEncoding.EncodeToString([]byte(secret)),
		"basic 0":       basic("ab", base64.StdEncoding), "basic 1": basic("a", base64.StdEncoding),
		"basic 2": basic("abc",
			base64.StdEncoding),
		"basic without padding": basic("root", base64.RawURLEncoding),
	} {
		got := r.String("before " + text + " after")
		if !strings.Contains(got, Mask) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") ||
			strings.Contains(got, "s3cret") {
			t.Errorf("%s: %q became %q", name, text, got)
		}
		// In a Base64 text, only characters that depend on other bytes may remain.
		if rest := strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(got, Mask, ""), "before "),
			" after"); strings.HasPrefix(name, "ba") && len(rest) > 10 {
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

func TestEscapedTwice(t *testing.T) {
	t.Parallel()
	const secret = `Kan"arie/+=&\x`
	r := New(secret)
	json := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	for name, text := range map[string]string{
		"path in JSON": json(url.PathEscape(secret)), "quoted in JSON": json(fmt.Sprintf("%q",
			secret)), "JSON in JSON": json(json(json(secret))),
		"query twice": url.QueryEscape(url.QueryEscape(secret)), "HTML in JSON": json(html.EscapeString(secret)),
		"lower-case codes":     "Kan%22arie%2f%2b%3d%26%5cx",
		"Base64 in an address": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(secret))),
	} {
		got := r.String("<" + text + ">")
		if !strings.Contains(got, Mask) || strings.Contains(got, "arie") || !strings.HasPrefix(got, "<") ||
			!strings.HasSuffix(got, ">") {
			t.Errorf("%s: %s became %s", name, text, got)
		}
	}
	for _, text := range []string{"arie", `Kan"arie`, `Kan"arie/+=&y`, "Kan arie/+=&\\x"} {
		if got := r.String(text); got != text {
			t.Errorf("%q is not the secret, and became %q", text, got)
		}
	}
	if got := New("secret-long", "long-lived").String("a secret-long-lived one"); got != "a "+Mask+" one" {
		t.Errorf("secrets that overlap: %q", got)
	}
	if got := New("!!!!!!!").String("a!!!!!!!b"); got != "a"+Mask+"b" {
		t.Errorf("a secret without letters: %q", got)
	}
}

func BenchmarkLargeFile(b *testing.B) {
	r := New("Kanarie/+=&x-of-a-warehouse", "another-secret-value", "third%secret")
	text := strings.Repeat(`{"unique_id": "model.shop.orders", "path": "models/orders.sql"},`, 1<<17)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if r.String(text) != text {
			b.Fatal("changed")
		}
	}
}
