// Package text has helpers for messages: counted nouns, durations, and similar names for misspelled ones.
package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/dustin/go-humanize/english"
)

// Count formats a number with its noun, such as "1 rule" or "12 rules".
func Count(n int64, noun string) string {
	return fmt.Sprintf("%d %s", n, english.PluralWord(int(n), noun, ""))
}

// Capitalized returns s with its first letter in upper case, for the start of a sentence.
func Capitalized(s string) string {
	_, size := utf8.DecodeRuneInString(s) // 0 if s is empty
	return strings.ToUpper(s[:size]) + s[size:]
}

// Duration formats a duration, rounded to seconds, without trailing units that are zero: "2m" and "24h", not "2m0s" and
// "24h0m0s".
func Duration(d time.Duration) string {
	text := d.Round(time.Second).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// DidYouMean returns the sentence " Did you mean a, b?" with its leading space, or "" if no candidate is
// similar to name.
func DidYouMean(name string, candidates []string) string {
	near := Nearest(name, candidates)
	if len(near) == 0 {
		return ""
	}
	return " Did you mean " + strings.Join(near, ", ") + "?"
}

// Nearest returns up to three candidates that are similar to name, the most similar first. A candidate is similar if it
// contains a name of three letters or more, or if at most two letters or a third of name's letters differ. Case is
// ignored.
func Nearest(name string, candidates []string) []string {
	const most, share, least = 3, 3, 2
	type match struct {
		name  string
		edits int
	}
	limit := max(len(name)/share, least)
	var matches []match
	for _, candidate := range candidates {
		edits := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate))
		contains := len(name) > least && strings.Contains(strings.ToLower(candidate), strings.ToLower(name))
		if edits <= limit || contains {
			matches = append(matches, match{candidate, edits})
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.edits, b.edits), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, m := range matches[:min(most, len(matches))] {
		names = append(names, m.name)
	}
	return names
}

// OrNone returns s, or "none" if s is empty.
func OrNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
