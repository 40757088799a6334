package dbt

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
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
				text.DidYouMean(key, slices.Collect(maps.Keys(known))),
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
