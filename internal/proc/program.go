package proc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Program is a file that decides what a process does, identified by its content.
type Program struct {
	// Name says what the file is, such as "dbt" or "dbt-core".
	Name string `json:"name"`
	// Path is absolute. Links are resolved.
	Path string `json:"path"`
	// SHA256 is the hash of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// ProgramChanges describes each difference between the programs of an earlier and a later time on one host, in the
// order of their names.
func ProgramChanges(was, now []Program) []string {
	return programChanges(was, now, func(a, b Program) bool { return a == b })
}

// ProgramChangesElsewhere is ProgramChanges for two hosts. The same content at another path is no difference there.
func ProgramChangesElsewhere(was, now []Program) []string {
	return programChanges(was, now, func(a, b Program) bool { return a.SHA256 == b.SHA256 })
}

func programChanges(was, now []Program, same func(a, b Program) bool) []string {
	var names []string
	for _, p := range slices.Concat(was, now) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	var changes []string
	for _, name := range slices.Compact(names) {
		before, after := programsNamed(name, was), programsNamed(name, now)
		if !slices.EqualFunc(before, after, same) {
			changes = append(changes, fmt.Sprintf("%s: was %s, now %s", name, describe(before), describe(after)))
		}
	}
	return changes
}

func programsNamed(name string, among []Program) []Program {
	return slices.DeleteFunc(slices.Clone(among), func(p Program) bool { return p.Name != name })
}

// describe formats programs for people.
func describe(programs []Program) string {
	var texts []string
	for _, p := range programs {
		const shown = 12
		texts = append(texts, fmt.Sprintf("%s (SHA-256 %.*s...)", p.Path, shown, p.SHA256))
	}
	return text.OrNone(strings.Join(texts, " and "))
}
