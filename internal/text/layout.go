package text

import "strings"

// indent is what Indented adds.
const indent = "  "

// Unlike returns block in the layout that old doesn't have, so that no two of their lines are equal: with every line
// but the first one indented, or as it is. Terraform shows a changed text as a comparison by lines, and one without
// equal lines reads as two blocks. Newer versions pair the lines of two texts that have as many of them, so then the
// first line is broken before " on ".
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

// broken is where the first line may be broken.
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

// Outdented returns a block in its plain layout.
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
