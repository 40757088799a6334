// Package markup escapes text that others control, such as names and messages from a target, for Markdown, HTML, and
// terminals. It is shown as text, regardless of what it contains.
package markup

import (
	"fmt"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with each character that a reader can't see, or that changes how the rest is shown, replaced by its
// code point, such as <U+202E>: control characters, bidirectional overrides, and invalid UTF-8. Line breaks and tabs
// stay.
func Visible(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, "<0x%02X>", s[i])
		case hidden(r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden reports whether r can't be seen or changes how the rest is shown.
func hidden(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// Line returns s as one line: Visible(s), with each run of white space replaced by one space.
func Line(s string) string { return strings.Join(strings.Fields(Visible(s)), " ") }

// Cut returns at most limit characters of s, with "..." at the end if it was longer.
func Cut(s string, limit int) string {
	const more = "..."
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:max(limit-len(more), 0)]) + more
}

// Code returns s as an inline code span of Markdown that is also valid in the cell of a table. Nothing within a code
// span is a mention, a link, or HTML.
func Code(s string) string {
	s = Line(s)
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	// A table is split into cells before code spans are read. A backslash before the pipe would escape the escape.
	return fence + strings.ReplaceAll(strings.ReplaceAll(s, `\|`, `\ |`), "|", `\|`) + fence
}

// Block returns s as a fenced code block of Markdown, with line breaks around it. The fence is longer than any in s.
func Block(s string) string {
	const least = 3
	fence := strings.Repeat("`", max(longestRun(s, '`')+1, least))
	return "\n" + fence + "text\n" + strings.TrimRight(Visible(s), "\n") + "\n" + fence + "\n"
}

// Plain returns s for a terminal, or for another program that puts it into a fence: the result contains no fence.
func Plain(s string) string { return strings.ReplaceAll(Visible(s), "```", "'''") }

// HTML returns s escaped as HTML text, which is also valid in an attribute within double quotes.
func HTML(s string) string { return html.EscapeString(Visible(s)) }

func longestRun(s string, of rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != of {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
