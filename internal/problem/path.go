package problem

import (
	"strconv"
	"strings"
)

// Key returns the step of a Path to the element of a map with that name. All other steps are names of attributes or,
// for elements of lists, indices.
func Key(name string) string { return "[" + strconv.Quote(name) + "]" }

// IsKey returns the name in a step from Key. ok is false for any other step.
func IsKey(step string) (name string, ok bool) {
	quoted, ok := strings.CutPrefix(step, "[")
	if !ok {
		return "", false
	}
	name, err := strconv.Unquote(strings.TrimSuffix(quoted, "]"))
	return name, err == nil
}

// Where formats a Path for people: approval.freeze[0].name, planner.haproxy.servers["v1"].
func Where(path []string) string {
	var b strings.Builder
	for i, step := range path {
		_, err := strconv.Atoi(step)
		_, isKey := IsKey(step)
		switch {
		case err == nil && i > 0:
			b.WriteString("[" + step + "]")
		case isKey || i == 0:
			b.WriteString(step)
		default:
			b.WriteString("." + step)
		}
	}
	return b.String()
}
