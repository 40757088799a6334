package dbt

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// mention finds var('x'), var("x") and var.has_var('x'), not env_var('x').
var mention = regexp.MustCompile(`\b(?:var|has_var)\(\s*['"]([^'"]+)['"]`)

// checkVars refuses variables that no file of the project or of its packages knows: a typing error in a variable's name
// would otherwise run with the default, silently.
func checkVars(p project, files []string, vars map[string]any) error {
	if len(vars) == 0 {
		return nil
	}
	known := map[string]bool{}
	declared(p.Vars, known)
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range mention.FindAllSubmatch(data, -1) {
			known[string(m[1])] = true
		}
		if strings.HasSuffix(path, string(os.PathSeparator)+projectFile) {
			var raw struct {
				Vars any `yaml:"vars"`
			}
			if yaml.Unmarshal(data, &raw) == nil { // dbt itself says what is wrong with a package's file
				declared(raw.Vars, known)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		if known[key] {
			continue
		}
		return &problem.Problem{
			What: fmt.Sprintf("dbt knows no variable %q", key),
			Why: "No vars: section and no var() of the project or its installed packages names it." +
				didYouMean(key, slices.Collect(maps.Keys(known))),
			Next: "Correct the name, or declare the variable under vars: in dbt_project.yml.",
			Path: []string{"vars", problem.Key(key)},
			Err:  ErrUnknownVar,
		}
	}
	return nil
}

// declared collects the keys of a vars section at every level: a key may be a variable or the name of a package.
func declared(node any, known map[string]bool) {
	m, ok := node.(map[string]any)
	if !ok {
		return
	}
	for key, value := range m {
		known[key] = true
		declared(value, known)
	}
}

// didYouMean names what is near to name, as a sentence with a leading blank, or is empty.
func didYouMean(name string, candidates []string) string {
	near := nearest(name, candidates)
	if len(near) == 0 {
		return ""
	}
	return " Did you mean " + strings.Join(near, ", ") + "?"
}

// nearest are at most three candidates within a third of name's length in edits, the nearest first, and those that
// contain it.
func nearest(name string, candidates []string) []string {
	const most, share, least = 3, 3, 2
	type scored struct {
		name     string
		distance int
	}
	limit := max(len(name)/share, least)
	var near []scored
	for _, candidate := range candidates {
		d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate))
		if contains := len(name) > least && strings.Contains(candidate, name); d <= limit || contains {
			near = append(near, scored{candidate, d})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, s := range near[:min(most, len(near))] {
		names = append(names, s.name)
	}
	return names
}
