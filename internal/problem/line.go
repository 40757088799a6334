package problem

import (
	"fmt"
	"strings"
	"unicode"
)

// LongestLabel is the longest text, in bytes, that Label takes.
const LongestLabel = 255

// Label is OneLine for what names something, which is not longer than LongestLabel.
func Label(s string) string {
	if why := OneLine(s); why != "" || len(s) <= LongestLabel {
		return why
	}
	return fmt.Sprintf("is longer than %d bytes", LongestLabel)
}

// OneLine says why s can't stand for itself in a line of a plan, a log or a protocol, or nothing: it is empty, has
// blanks around it, or holds characters that nobody sees, by which a text could read otherwise than it is. What it says
// does not repeat s, which may be a secret.
func OneLine(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "is empty"
	case s != strings.TrimSpace(s):
		return "begins or ends with a blank or a line break"
	case strings.ContainsFunc(s, hidden):
		return "holds a line break or another character that can't be seen"
	}
	return ""
}

// hidden tells control and format characters (a change of the direction of writing is one), and the breaks of lines and
// paragraphs.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}
