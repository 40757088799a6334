package dbt

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// secretName matches names that end in a word for a secret: db_password, apiKey, ACCESS_TOKEN, but not token_count or
// monkey.
var secretName = regexp.MustCompile(`(?i:^|[^a-z])(?i:` + secretWords + `)$|[a-z](?:` + camelWords + `)$`)

const (
	secretWords = `password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|access|private|secret)_?key`
	camelWords  = `Password|Passwd|Passphrase|Pwd|Secret|Token|Credentials?|(?:Api|API|Access|Private|Secret)Key`
)

// CheckVars refuses variables that look like secrets. vars are part of the command that is shown, approved, and kept,
// and Terraform doesn't tell a provider which values are sensitive. Errors wrap ErrSelection.
func CheckVars(vars map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if err := checkVar(vars[name], name, "vars", problem.Key(name)); err != nil {
			return err
		}
	}
	return nil
}

func checkVar(value any, name string, path ...string) error {
	switch v := value.(type) {
	case string:
		if v != "" && secretName.MatchString(name) {
			return secretProblem(fmt.Sprintf("The variable %s looks like a secret.", name), path)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := checkVar(v[key], key, append(slices.Clone(path), problem.Key(key))...); err != nil {
				return err
			}
		}
	case []any:
		for i, element := range v {
			if err := checkVar(element, name, append(slices.Clone(path), strconv.Itoa(i))...); err != nil {
				return err
			}
		}
	}
	return nil
}

func secretProblem(why string, path []string) error {
	return selectionProblem("vars can't hold a secret", why+" vars are part of the command, which plans show and the "+
		"journal keeps.", "Read it with {{ env_var('DBT_ENV_SECRET_NAME') }} in the dbt project, and set the variable "+
		"in the environment of the runner, or in dbt.environment of the provider block.", path...)
}

// refuseSecrets refuses variables that contain a secret from dbt's environment.
func (c *CLI) refuseSecrets(vars map[string]any) error {
	text, err := canonical(vars)
	if err != nil || len(vars) == 0 || c.secrets.String(text) == text {
		return nil //nolint:nilerr // Validate has reported it
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		one, err := canonical(map[string]any{name: vars[name]})
		if err == nil && c.secrets.String(one) != one {
			return secretProblem(fmt.Sprintf("The variable %s contains a secret of dbt's environment.", name),
				[]string{"vars", problem.Key(name)})
		}
	}
	return secretProblem("A variable contains a secret of dbt's environment.", []string{"vars"})
}
