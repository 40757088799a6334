package acctest

import (
	"html"
	"regexp"
	"strings"
)

// Visible returns the lines of a comment, rendered as HTML, that a reader sees without unfolding anything. The cells of
// a row are one line.
func Visible(rendered string) []string {
	for _, rule := range [][2]string{
		{`(?s)<details>.*?</details>|<!--.*?-->`, ""}, {`\n?</t[dh]>\s*`, " | "}, {`<[^>]*>`, ""},
	} {
		rendered = regexp.MustCompile(rule[0]).ReplaceAllString(rendered, rule[1])
	}
	var lines []string
	for line := range strings.Lines(html.UnescapeString(rendered)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
