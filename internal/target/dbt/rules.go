package dbt

import (
	"regexp"
)

// rule recognizes the cause of a failure by dbt's message. Adapters word messages differently, so patterns are broad
// and the message itself is always shown.
type rule struct {
	match      *regexp.Regexp
	sentinel   error
	what, next string
	path       []string
}

// rules are tried in order; the first match counts.
var rules = []rule{
	{
		regexp.MustCompile(`does not have a target named`), ErrUnknownTarget, "The dbt profile has no such target",
		"Set dbt.target to one of the targets named above.", []string{"dbt", "target"},
	},
	{
		regexp.MustCompile(`Secret env vars are allowed only in`), ErrEnvironment, "A secret variable is read where " +
			"dbt doesn't allow that",
		"Read it only in profiles.yml and packages.yml, or pass a value that is no secret under a name without " +
			"DBT_ENV_SECRET_.", nil,
	},
	{
		regexp.MustCompile(`Env var required but not provided`), ErrEnvironment, "A variable that the dbt project " +
			"needs is not set",
		"Set it in dbt.environment. Of Terraform's own environment, dbt gets only variables such as DBT_ENV_SECRET_*.",
		[]string{"dbt", "environment"},
	},
	{
		regexp.MustCompile(`Could not find profile|profiles\.yml|Credentials in profile|outputs not specified in profile|[Ii]nvalid profile`), ErrProfiles, "dbt's profiles.yml can't be used",
		"Correct profiles.yml, or set dbt.profiles_dir to the folder of the right one; `dbt debug` " +
			"checks it.", []string{"dbt", "profiles_dir"},
	},
	{
		regexp.MustCompile(`Run "dbt deps"|run dbt deps`), ErrPackagesMissing, "The project's dbt packages are not " +
			"installed",
		"Run `dbt deps`, for example with a remediation_dbt_deps resource whose preview.digest is in after.", nil,
	},
	{
		regexp.MustCompile(`is not a valid method name|Invalid node spec|Invalid selector spec`), ErrSelection,
		"A selector is not valid",
		"Use a model's name or a method of dbt, such as tag:nightly, path:models/marts, or config.materialized:view.",
		[]string{"models"},
	},
	{
		regexp.MustCompile(`no comparison manifest|No comparison run_results|No (previous|current) state comparison`),
		ErrSelection, "A selector compares with another run, and its artifacts are missing",
		"Set state to the folder with the artifacts of that run: manifest.json for state:, run_results.json for " +
			"result:, sources.json for source_status:.", []string{"state"},
	},
	{
		regexp.MustCompile(`Could not find selector named`), ErrSelection, "Unknown selector",
		"Use one of the names above, or add it to selectors.yml.", []string{"selector"},
	},
	{
		regexp.MustCompile(`source and target schemas on this incremental model are out of sync`), ErrSchemaChange,
		"The columns of an incremental model have changed",
		"Set full_refresh to rebuild the table with the new columns, or set on_schema_change of the model to a value " +
			"that adds them.", []string{"full_refresh"},
	},
	{
		regexp.MustCompile(`Found a cycle`), ErrCompilation, "Models of the dbt project read each other in a circle",
		"Remove one of the references in the circle.", nil,
	},
	{
		regexp.MustCompile(`codec can't decode byte`), ErrCompilation, "A file of the dbt project is not UTF-8",
		"Save it as UTF-8. In the project, `grep -axrlv '.*' .` lists the files that are not.", nil,
	},
	{
		regexp.MustCompile(`(?m)^\s*(Compilation|Parsing) Error|Syntax error near line`), ErrCompilation,
		"dbt can't compile the project",
		"Correct the file; `dbt parse` or `dbt compile` in the project shows whether dbt accepts it.", nil,
	},
	{
		regexp.MustCompile(`(?i)could not set lock on file|database is locked|conflicting lock|deadlock detected|lock wait timeout`), ErrLocked, "The database is locked",
		"Wait until the process that holds the lock ends, or stop it. Then apply again.", nil,
	},
	{
		regexp.MustCompile(`(?i)(table|view) with name \S+ does not exist|relation "[^"]+" does not exist|object '[^']+' does not exist|table or view not found|not found: table`),
		ErrRelationMissing, "A table or view that a model reads is missing",
		"Build or load it first: run the model that builds it (upstream = true), `dbt seed` for a seed, or the job " +
			"that loads the source.", nil,
	},
	{
		regexp.MustCompile(`(?i)\btimed? ?out\b|deadline exceeded`), ErrTimeout, "The warehouse did not answer in time",
		"Check the database. Run fewer models, or use more threads.", nil,
	},
	{
		regexp.MustCompile(`(?i)\b(permission denied|access denied|not authorized|unauthorized|insufficient privileges?|authentication failed|incorrect username or password|must be owner of)\b|does not have .*(permission|privilege)`),
		ErrPermission, "The warehouse refuses permission",
		"Check the credentials in profiles.yml and the grants of their user.", nil,
	},
	{
		regexp.MustCompile(`(?i)could not connect|connection refused|could not translate host|connection to server|network is unreachable|no route to host|connection reset|server closed the connection|name or service not known|failed to establish a new connection|cannot open (file|database)|not a valid DuckDB database file`),
		ErrConnection, "The warehouse can't be reached",
		"Check that the database is up and that the host, port and path in profiles.yml are right.", nil,
	},
}

// packagesRule is for everything that stops `dbt deps` except a variable that is not set (ErrEnvironment).
var packagesRule = rule{
	nil, ErrPackages, "dbt can't resolve or fetch the packages",
	"Check names, versions and revisions in packages.yml, and that the package hub and the git hosts can be reached " +
		"with the current credentials.", nil,
}

func diagnose(text string) (rule, bool) {
	for _, r := range rules {
		if r.match.MatchString(text) {
			return r, true
		}
	}
	return rule{}, false
}
