// Package redact keeps secrets out of everything that the provider writes: state, plan, journal, logs and errors.
package redact

import (
	"io"
	"slices"
	"strings"
)

// Mask stands where a secret was.
const Mask = "(redacted)"

// MinLength is the shortest value, in bytes, that is treated as a secret: replacing shorter ones would garble ordinary text
// and hide nothing that could not be guessed.
const MinLength = 6

// Redactor replaces known secrets. The zero value and nil replace nothing.
type Redactor struct {
	replacer *strings.Replacer
	longest  int
}

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
	return &Redactor{replacer: strings.NewReplacer(pairs...), longest: len(kept[0])}
}

// String returns s with every secret masked.
func (r *Redactor) String(s string) string {
	if r == nil || r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

// Writer masks secrets in lines written to w. A line is held back until it ends, so that a secret which arrives in two
// writes is still seen; Close writes what is left and does not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &writer{redactor: r, to: w} }

type writer struct {
	redactor *Redactor
	to       io.Writer
	held     []byte
}

func (w *writer) Write(p []byte) (int, error) {
	w.held = append(w.held, p...)
	end := strings.LastIndexByte(string(w.held), '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(w.to, w.redactor.String(string(w.held[:end])))
	w.held = append(w.held[:0], w.held[end:]...)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *writer) Close() error {
	_, err := io.WriteString(w.to, w.redactor.String(string(w.held)))
	w.held = nil
	return err
}
