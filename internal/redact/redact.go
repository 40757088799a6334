// Package redact masks secrets in everything that the provider writes: state, plan, journal, logs and errors.
package redact

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Mask is what is written in place of a secret.
const Mask = "(redacted)"

// MinLength is the shortest value, in bytes, that is treated as a secret. Masking shorter values would garble ordinary
// text and protect nothing that could not be guessed.
const MinLength = 6

// Redactor replaces known secrets. The zero value and nil replace nothing.
type Redactor struct{ patterns []pattern }

// New returns a Redactor for the given secrets. It ignores values shorter than MinLength. It also finds a secret that
// is escaped for JSON, URLs, HTML or a shell, or for several of them in turn; that is in Base64, alone or as part of a
// longer text; and each line of a secret with several lines.
func New(secrets ...string) *Redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, formsOf(s)...)
	}
	slices.Sort(forms)
	r := &Redactor{}
	for _, form := range slices.Compact(forms) {
		r.patterns = append(r.patterns, newPattern(form))
	}
	return r
}

// span is a range of a text.
type span struct{ from, to int }

// String returns s with every secret masked. Overlapping secrets are masked as a whole.
func (r *Redactor) String(s string) string {
	if r == nil {
		return s
	}
	var found []span
	for _, p := range r.patterns {
		found = p.in(s, found)
	}
	if len(found) == 0 {
		return s
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	done := 0
	for i := 0; i < len(found); {
		one := found[i]
		for i++; i < len(found) && found[i].from < one.to; i++ {
			one.to = max(one.to, found[i].to)
		}
		b.WriteString(s[done:one.from])
		b.WriteString(Mask)
		done = one.to
	}
	b.WriteString(s[done:])
	return b.String()
}

// formsOf returns the texts as which a secret can occur, none of them shorter than MinLength: the secret, its lines,
// and its Base64.
func formsOf(secret string) []string {
	if len(secret) < MinLength {
		return nil
	}
	forms := []string{secret}
	if lines := strings.Split(strings.TrimSpace(secret), "\n"); len(lines) > 1 {
		for _, line := range lines {
			forms = append(forms, strings.TrimSpace(line))
		}
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, inBase64(encoding, secret)...)
	}
	return slices.DeleteFunc(forms, func(s string) bool { return len(s) < MinLength })
}

// inBase64 returns the Base64 of s after 0, 1 or 2 other bytes in the same group, without the characters that also
// depend on those bytes or on the text that follows.
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
