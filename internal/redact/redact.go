// Package redact keeps secrets out of everything that the provider writes: state, plan, journal, logs and errors.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Mask stands where a secret was.
const Mask = "(redacted)"

// MinLength is the shortest value, in bytes, that is treated as a secret: replacing shorter ones would garble ordinary text
// and hide nothing that could not be guessed.
const MinLength = 6

// Redactor replaces known secrets. The zero value and nil replace nothing.
type Redactor struct{ replacer *strings.Replacer }

// New returns a Redactor of the given secrets in all their Forms; values shorter than MinLength are passed over.
func New(secrets ...string) *Redactor {
	var kept []string
	for _, s := range secrets {
		kept = append(kept, Forms(s)...)
	}
	// The longest first: a secret that contains another one must go as a whole.
	slices.SortFunc(kept, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	kept = slices.Compact(kept)
	if len(kept) == 0 {
		return &Redactor{}
	}
	pairs := make([]string, 0, 2*len(kept))
	for _, s := range kept {
		pairs = append(pairs, s, Mask)
	}
	return &Redactor{replacer: strings.NewReplacer(pairs...)}
}

// String returns s with every secret masked.
func (r *Redactor) String(s string) string {
	if r == nil || r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

// Forms are the ways in which a secret shows up in what others write: as it is, line by line, in JSON, in an address, and in Base64, alone or as part of
// something longer (Basic authentication). None of them is shorter than MinLength.
func Forms(secret string) []string {
	if len(secret) < MinLength {
		return nil
	}
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:]}
	if lines := strings.Split(strings.TrimSpace(secret), "\n"); len(lines) > 1 {
		for _, line := range lines {
			forms = append(forms, strings.TrimSpace(line))
		}
	}
	forms = append(forms, inJSON(secret)...)
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, inBase64(encoding, secret)...)
	}
	return slices.DeleteFunc(forms, func(s string) bool { return len(s) < MinLength })
}

// inJSON is s within a JSON text, by encoders that escape what HTML knows and by others.
func inJSON(s string) []string {
	var forms []string
	for _, html := range []bool{true, false} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(html)
		if encoder.Encode(s) == nil {
			quoted := strings.TrimSpace(b.String())
			forms = append(forms, quoted[1:len(quoted)-1])
		}
	}
	return forms
}

// inBase64 is the Base64 of s where 0, 1 or 2 other bytes are in front of its group, without the characters that those, or what follows, have a part in.
func inBase64(encoding *base64.Encoding, s string) []string {
	const group, bits, width = 3, 8, 6
	forms := make([]string, 0, group)
	for before := range group {
		text := encoding.EncodeToString(append(make([]byte, before), s...))
		from := (before*bits + width - 1) / width
		to := (before + len(s)) * bits / width
		forms = append(forms, text[from:to])
	}
	return forms
}
