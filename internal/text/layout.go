package text

import "strings"

// indent is what Indented puts before a line.
const indent = "  "

// Unlike returns block in the layout that old doesn't have, indented or as it is, so that they share no line after the
// first. Terraform shows a changed text as a diff by lines, which reads as two blocks only if no lines are equal. Newer
// Terraform versions pair the lines of two texts with the same number of lines. In that case, the first line is also
// broken before " on ".
func Unlike(block, old string) string {
	if strings.Count(old, "\n") > 1 && !isIndented(old) {
		block = Indented(block)
	}
	if strings.Count(block, "\n") != strings.Count(old, "\n") {
		return block
	}
	first, rest, _ := strings.Cut(block, "\n")
	gap := ""
	if isIndented(block) {
		gap = indent
	}
	return strings.Replace(first, broken, "\n"+gap+broken[1:], 1) + "\n" + rest
}

// broken is the text before which the first line may be broken.
const broken = " on "

// Indented returns the block with every line but the first one indented.
func Indented(block string) string {
	first, rest, _ := strings.Cut(block, "\n")
	var b strings.Builder
	b.WriteString(first + "\n")
	for line := range strings.Lines(rest) {
		b.WriteString(indent + line)
	}
	return b.String()
}

// Outdented returns a block in the layout that it had before Unlike.
func Outdented(block string) string {
	if isIndented(block) {
		block = strings.ReplaceAll(block, "\n"+indent, "\n")
	}
	first, rest, _ := strings.Cut(block, "\n")
	if strings.HasPrefix(rest, broken[1:]) {
		return first + " " + rest
	}
	return block
}

func isIndented(block string) bool {
	_, rest, _ := strings.Cut(block, "\n")
	return strings.HasPrefix(rest, indent)
}
