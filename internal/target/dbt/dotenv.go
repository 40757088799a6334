package dbt

import (
	"os"
	"path/filepath"
	"regexp"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// dotEnv is the name of the file from which dbt 1.12 and later read variables: the nearest one in the working directory
// or above it.
const dotEnv = ".env"

// dotEnvPath returns the .env file that dbt reads for the project, or nothing.
func (p project) dotEnvPath() string {
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, dotEnv)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// assignment matches the name in a line such as "export DBT_TARGET=prod".
var assignment = regexp.MustCompile(`(?m)^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=`)

// checkDotEnv refuses a .env file that sets flags of dbt, or where PostgreSQL's client connects. They would change what
// runs without being part of what is shown and approved. Other variables in it need no check: Listing.Content covers
// those that models read.
func (c *CLI) checkDotEnv(p project) error {
	path := p.dotEnvPath()
	if path == "" || !c.readsDotEnv() {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return &problem.Problem{
			What: "The .env file of the dbt project can't be read", Why: err.Error() + ".",
			Next: "Make it readable, or remove it.", Path: []string{"dbt", "project_dir"}, Err: ErrEnvironment,
		}
	}
	for _, m := range assignment.FindAllSubmatch(data, -1) {
		why := notShown(string(m[1]))
		if why == "" {
			continue
		}
		return &problem.Problem{
			What: "The .env file of the dbt project changes what runs", Why: why + " " + path + " sets it.",
			Next: "Remove it there; use the attributes of the provider's dbt block and of the resource instead.",
			Path: []string{"dbt", "project_dir"}, Err: ErrEnvironment,
		}
	}
	return nil
}

// readsDotEnv reports whether dbt may read a .env file: dbt before 1.12 does not. If the executable is not dbt's own
// entry point, the version is unknown, and dbt may.
func (c *CLI) readsDotEnv() bool {
	v, known := c.installedVersion()
	return !known || !v.before(version{1, 12, 0})
}
