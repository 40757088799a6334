// Package redact keeps secrets out of everything that the provider writes: state, plan, journal, logs and errors.
package redact

import (
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

// New returns a Redactor of the given secrets; values shorter than MinLength are passed over.
func New(secrets ...string) *Redactor {
	kept := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < MinLength })
	// The longest first: a secret that contains another one must go as a whole.
	slices.SortFunc(kept, func(a, b string) int { return len(b) - len(a) })
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
