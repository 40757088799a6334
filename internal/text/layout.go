package text

import "strings"

// indent is what Indented adds.
const indent = "  "

// Unlike returns block in the layout that old doesn't have, so that no two of their lines are equal: with every line
// but the first one indented, or as it is. Terraform shows a changed text as a comparison by lines, and one without
// equal lines reads as two blocks.
func Unlike(block, old string) string {
	if strings.Count(old, "\n") <= 1 || isIndented(old) {
		return block
	}
	return Indented(block)
}

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
	if !isIndented(block) {
		return block
	}
	return strings.ReplaceAll(block, "\n"+indent, "\n")
}

func isIndented(block string) bool {
	_, rest, _ := strings.Cut(block, "\n")
	return strings.HasPrefix(rest, indent)
}
