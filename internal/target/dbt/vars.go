package dbt

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// mention matches var('x'), var ("x"), and var.has_var('x'), but not env_var('x'). computed matches a name that only
// dbt can compute.
var (
	mention  = regexp.MustCompile(`\b(?:var|has_var)\s*\(\s*['"]([^'"]+)['"]`)
	computed = regexp.MustCompile(`\b(?:var|has_var)\s*\(\s*[^'"\s)]`)
)

// checkVars refuses variables that no file of the project or of its packages names: dbt would silently use the default
// for a misspelled name. If some names are computed, an unknown variable may be one of them and only causes a warning.
func checkVars(p project, files []string, vars map[string]any) (warnings []string, err error) {
	if len(vars) == 0 {
		return nil, nil
	}
	known := map[string]bool{}
	declared(p.Vars, known)
	dynamic := ""
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range mention.FindAllSubmatch(data, -1) {
			known[string(m[1])] = true
		}
		if dynamic == "" && filepath.Ext(path) == ".sql" && computed.Match(data) {
			dynamic = filepath.Base(path)
		}
		if filepath.Base(path) == projectFile {
			if raw, err := readYAML(data); err == nil { // dbt reports errors in a package's file
				declared(raw["vars"], known)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		switch {
		case known[key]:
		case dynamic != "":
			warnings = append(warnings, fmt.Sprintf("vars: no file of the dbt project names %q; %s computes the name "+
				"of a variable, which may be this one", key, dynamic))
		default:
			return nil, unknownVar(key, slices.Collect(maps.Keys(known)))
		}
	}
	return warnings, nil
}

func unknownVar(key string, known []string) error {
	return &problem.Problem{
		What: fmt.Sprintf("Unknown dbt variable %q", key),
		Why: "No vars: section and no var() of the project or its installed packages names it." +
			text.DidYouMean(key, known),
		Next: "Correct the name, or declare the variable under vars: in dbt_project.yml.",
		Path: []string{"vars", problem.Key(key)},
		Err:  ErrUnknownVar,
	}
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
