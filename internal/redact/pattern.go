package redact

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern finds one text in any escaped form. It searches for the longest run of letters and digits in the text, which
// escaping doesn't change, and matches the surroundings only there. A search in a large file therefore costs little
// more than one for a plain text.
type pattern struct {
	anchor        string
	before, after *regexp.Regexp
	// window is the maximum number of bytes that the text on either side of the anchor can have.
	window int
}

func newPattern(text string) pattern {
	from, to := longestRun(text)
	// widest is the maximum number of bytes that one byte of the text takes, escaped twice.
	const widest = 24
	return pattern{
		anchor: text[from:to], window: widest * (len(text) - (to - from)),
		before: regexp.MustCompile("(?s)" + escaped(text[:from]) + "$"), after: regexp.MustCompile("(?s)^" +
			escaped(text[to:])),
	}
}

// longestRun returns where the longest run of letters and digits in text begins and ends, or the whole of a text that
// has none.
func longestRun(text string) (from, to int) {
	begin := -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && plain(text[i]) {
			if begin < 0 {
				begin = i
			}
			continue
		}
		if begin >= 0 && i-begin > to-from {
			from, to = begin, i
		}
		begin = -1
	}
	if to == from {
		return 0, len(text)
	}
	return from, to
}

func plain(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }

// in adds the spans of s that match the pattern to found.
func (p pattern) in(s string, found []span) []span {
	for at := 0; ; {
		next := strings.Index(s[at:], p.anchor)
		if next < 0 {
			return found
		}
		from, to := at+next, at+next+len(p.anchor)
		at = from + 1
		left := p.before.FindStringIndex(s[max(0, from-p.window):from])
		right := p.after.FindStringIndex(s[to:min(len(s), to+p.window)])
		if left == nil || right == nil {
			continue
		}
		one := span{from: max(0, from-p.window) + left[0], to: to + right[1]}
		found, at = append(found, one), to
	}
}

// escaped returns a regular expression for text in which each character except letters and digits may be escaped.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf && plain(byte(r)) { //nolint:gosec // one byte
			b.WriteRune(r)
			continue
		}
		b.WriteString("(?:" + strings.Join(spellings(r), "|") + ")")
	}
	return b.String()
}

// spellings returns the ways to write a character, as regular expressions: literally, after backslashes,
// percent-encoded, as JSON and Python escape it, and as HTML does.
func spellings(r rune) []string {
	const amp = `(?:&|\\+(?i:u0026|x26)|%(?:25)*26)` // HTML in JSON or in an address
	const invalid = '\uFFFD'                         // replaces bytes that are not valid text
	code := ""
	for _, c := range []byte(string(r)) {
		code += fmt.Sprintf(`%%(?:25)*(?i:%02x)`, c)
	}
	ways := []string{`\\*` + regexp.QuoteMeta(string(r)), code, fmt.Sprintf(`\\+(?i:u%04x|x%02x)`, r, r), amp +
		fmt.Sprintf(`#(?:%d|(?i:x%x));`, r, r)}
	for plain, names := range map[rune][]string{
		'\\': {`\\+`}, ' ': {`\+`}, '\n': {`\\+n`, `\\+r\\+n`, `\r\n`}, '\t': {`\\+t`}, '\r': {`\\+r`},
		'"': {amp + "quot;"}, '&': {amp + "amp;"}, '<': {amp + "lt;"}, '>': {amp + "gt;"}, '\'': {amp + "apos;",
			`'\\+''`, `''`}, invalid: {`(?s:.{1,4})`},
	} {
		if plain == r {
			ways = append(ways, names...)
		}
	}
	return ways
}
