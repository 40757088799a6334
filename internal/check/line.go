// Package check says why a text that people wrote can't be used: names, single lines, addresses.
package check

import (
	"fmt"
	"strings"
	"unicode"
)

// LongestLabel is the longest text, in bytes, that Label accepts.
const LongestLabel = 255

// Label is OneLine for a name, which must also not be longer than LongestLabel.
func Label(s string) string {
	if why := OneLine(s); why != "" || len(s) <= LongestLabel {
		return why
	}
	return fmt.Sprintf("is longer than %d bytes", LongestLabel)
}

// OneLine says why s can't be shown as it is in a line of a plan, a log or a protocol; empty where it can. A text is
// refused if it is empty, has spaces around it, or contains invisible characters, which can make it read as something
// else. The answer never repeats s, which may be a secret.
func OneLine(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "is empty"
	case s != strings.TrimSpace(s):
		return "begins or ends with a space or a line break"
	case strings.ContainsFunc(s, hidden):
		return "contains a line break or another character that can't be seen"
	}
	return ""
}

// hidden reports whether r is a control or format character (such as a change of the writing direction) or a line or
// paragraph separator.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}
