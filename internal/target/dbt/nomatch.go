package dbt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// noMatch returns the problem that s selects no model to run; dbt itself exits with 0. passive is how many models it
// selects that dbt never runs, and notRun are other nodes that it selects, by kind.
func (c *CLI) noMatch(s Selection, passive int, notRun map[string][]string) error {
	const shown = 3
	why := fmt.Sprintf("dbt finds no model for %s.", Line(s.selectors()))
	var others []string
	for _, kind := range slices.Sorted(maps.Keys(notRun)) {
		for _, name := range notRun[kind] {
			others = append(others, strings.ReplaceAll(kind, "_", " ")+" "+name)
		}
	}
	switch more := len(others) - shown; {
	case passive > 0:
		why = fmt.Sprintf("%s selects only ephemeral or empty models, which dbt never runs.", Line(s.selectors()))
	case more > 0:
		why += fmt.Sprintf(" It matches only %s and %d more.", strings.Join(others[:shown], ", "), more)
	case len(others) > 0:
		why += " It matches only " + strings.Join(others, ", ") + "."
	}
	p := &problem.Problem{
		What: "No dbt model matches the selection",
		Why:  why,
		Next: "Correct models and exclude; `dbt ls` with the same selectors shows what they match.",
		Path: []string{"models"},
		Err:  ErrNoMatch,
	}
	if s.Selector != "" {
		p.Next = "Correct the selector in selectors.yml, or name another one."
		p.Path = []string{"selector"}
	}
	return p
}

// kinds maps the name of a node to the kinds of the nodes with this name: model, seed, snapshot, source, disabled.
type kinds map[string][]string

// disabled is the kind of a node that the project's configuration disables.
const disabled = "disabled"

func nodeNames(pairs [][2]string) kinds {
	names := kinds{}
	for _, pair := range pairs {
		names[pair[0]] = append(names[pair[0]], pair[1])
	}
	return names
}

func (k kinds) models() []string {
	var names []string
	for name, of := range k {
		if slices.Contains(of, "model") {
			names = append(names, name)
		}
	}
	return names
}

// unknownSelectors returns the problem for selectors that match nothing.
func (c *CLI) unknownSelectors(s Selection, unmatched []string, names kinds) error {
	var whys []string
	for _, criterion := range unmatched {
		name := strings.Trim(criterion, "+@0123456789")
		hint := ""
		if !strings.ContainsAny(name, ":*,") {
			hint = text.DidYouMean(name[strings.LastIndexByte(name, '.')+1:], names.models())
		}
		if s.Upstream {
			criterion = strings.TrimPrefix(criterion, "+")
		}
		why := fmt.Sprintf("%q matches no enabled model, seed or other node.%s", criterion, hint)
		if slices.Contains(names[name], disabled) {
			why = fmt.Sprintf("%q is disabled in the project.", name)
		}
		whys = append(whys, why)
	}
	return &problem.Problem{
		What: "Unknown dbt model or selector",
		Why:  strings.Join(whys, " "),
		Next: "Correct or remove it. A selection with unmatched parts is not run.",
		Path: []string{"models"},
		Err:  ErrUnknownModel,
	}
}

// onlyOthers refuses the plain name of a seed, snapshot, or source: `dbt run` skips it silently.
func onlyOthers(s Selection, l Listing, names kinds) error {
	for _, selector := range s.Models {
		of := names[selector]
		if len(of) == 0 || slices.Contains(of, "model") ||
			slices.ContainsFunc(l.Models, func(m Model) bool { return m.isIn(selector) }) {
			continue
		}
		return &problem.Problem{
			What: "Not a dbt model",
			Why:  fmt.Sprintf("%q is a %s. `dbt run` runs only models and would skip it.", selector, of[0]),
			Next: "Remove it, or select the models that depend on it with " + selector + "+.",
			Path: []string{"models"},
			Err:  ErrUnknownModel,
		}
	}
	return nil
}
