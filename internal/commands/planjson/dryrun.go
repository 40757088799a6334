package planjson

import "strings"

// labelWidth is the width of the label column of a dry run's text.
const labelWidth = 12

// Section is a label in a dry run's text with its lines.
type Section struct {
	Label string
	Lines []string
}

// Title returns the first line of the dry run's text, which names the execution.
func (c Change) Title() string {
	title, _, _ := strings.Cut(c.DryRun, "\n")
	return title
}

// Sections returns the sections of the dry run's text, without its title.
func (c Change) Sections() []Section {
	var sections []Section
	lines := strings.Split(strings.TrimRight(c.DryRun, "\n"), "\n")
	for _, line := range lines[1:] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		label, value := "", line
		if len(line) > labelWidth {
			label, value = strings.TrimSpace(line[:labelWidth]), line[labelWidth:]
		}
		switch last := len(sections) - 1; {
		case value == line: // a label that fills the column has its own line, above its values
			sections = append(sections, Section{Label: strings.TrimSpace(line)})
		case label != "" || last < 0:
			sections = append(sections, Section{Label: label, Lines: []string{value}})
		default:
			sections[last].Lines = append(sections[last].Lines, value)
		}
	}
	return sections
}

// Section returns the lines under a label, or nil.
func (c Change) Section(label string) []string {
	for _, s := range c.Sections() {
		if s.Label == label {
			return s.Lines
		}
	}
	return nil
}

// First returns the first line under the first label that has lines, or "".
func (c Change) First(labels ...string) string {
	for _, label := range labels {
		if lines := c.Section(label); len(lines) > 0 {
			return lines[0]
		}
	}
	return ""
}

// Approvers returns who gave the approval or who can give it, according to the dry run, or "" if that doesn't say.
func (c Change) Approvers() string {
	line := c.First("Approval")
	for _, before := range []string{"NEEDED before apply, from ", "given by "} {
		if who, ok := strings.CutPrefix(line, before); ok {
			return who
		}
	}
	return ""
}
