// Package check validates names, single lines, and addresses from users.
package check

import (
	"fmt"
	"strings"
	"unicode"
)

// LongestLabel is the longest text, in bytes, that Label accepts.
const LongestLabel = 255

// Label is OneLine for a name, which must not be longer than LongestLabel.
func Label(s string) string {
	if why := OneLine(s); why != "" || len(s) <= LongestLabel {
		return why
	}
	return fmt.Sprintf("is longer than %d bytes", LongestLabel)
}

// OneLine returns why s can't be used in one line of a plan, a log, or a protocol, or "" if it can. It refuses a text
// that is empty, begins or ends with a space, or contains invisible characters, which can mislead a reader. The answer
// never repeats s, which may be a secret.
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
