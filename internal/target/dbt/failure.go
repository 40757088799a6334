package dbt

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
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
		regexp.MustCompile(`(?i)could not connect|connection refused|could not translate host|connection to server|network is unreachable|no route to host|connection reset|server closed the connection|name or service not known|failed to establish a new connection|cannot open (file|database)`),
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

// explain returns the problem for a failed invocation.
func (e ending) explain() *problem.Problem {
	var failed, hooks []NodeResult
	for _, n := range e.nodes() {
		switch {
		case !n.Failed():
		case n.IsHook():
			hooks = append(hooks, n)
		default:
			failed = append(failed, n)
		}
	}
	switch {
	case e.summary.Interrupted:
		return &problem.Problem{
			What: "The dbt run was interrupted",
			Why:  "dbt got an interrupt that this provider did not send.",
			Next: "Find out who stopped it, and apply again.",
			Err:  ErrInterrupted,
		}
	case len(hooks) > 0:
		return e.hooksFailed(hooks, failed)
	case len(failed) > 0:
		return e.modelsFailed(failed)
	default:
		return e.stopped()
	}
}

// hooksFailed names the hooks that failed, with reasons. dbt skips the models if a hook fails at the start.
func (e ending) hooksFailed(hooks, models []NodeResult) *problem.Problem {
	next := "Correct the hooks in dbt_project.yml, then apply again."
	if r, ok := diagnose(hooks[0].Full); ok {
		next = r.next
	}
	why := reasons(append(hooks, models...))
	return &problem.Problem{
		What: text.Count(int64(len(hooks)), "dbt hook") + " failed", Why: why, Next: next,
		Err: errors.Join(ErrModelsFailed),
	}
}

// modelsFailed names the models that failed, with reasons.
func (e ending) modelsFailed(failed []NodeResult) *problem.Problem {
	errs := []error{ErrModelsFailed}
	next := "Correct the models, then apply again."
	for i, n := range failed {
		r, ok := diagnose(n.Full)
		if ok {
			errs = append(errs, r.sentinel)
		}
		switch {
		case i > 0:
		case ok:
			next = r.next
		case n.Status == "partial success":
			next = "Look for the batches that failed in the log. Apply again to run them."
		}
	}
	models, _ := split(e.nodes())
	return &problem.Problem{
		What: fmt.Sprintf("%d of %d dbt models failed", len(failed), len(models)),
		Why:  reasons(failed), Next: next, Err: errors.Join(errs...),
	}
}

// reasons lists failed nodes: the first few with the beginning of their messages, one per line, and then only names.
func reasons(failed []NodeResult) string {
	const explained, named = 3, 10
	var whys []string
	for _, n := range failed[:min(explained, len(failed))] {
		whys = append(whys, fmt.Sprintf("%s (%s): %s", n.Name, n.Status, n.Message))
	}
	if len(failed) > explained {
		var names []string
		for _, n := range failed[explained:min(named, len(failed))] {
			names = append(names, n.Name)
		}
		line := "Also failed: " + strings.Join(names, ", ")
		if more := len(failed) - named; more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		whys = append(whys, line+".")
	}
	return strings.Join(whys, "\n")
}

// stopped explains an error that stopped dbt as a whole.
func (e ending) stopped() *problem.Problem {
	said := e.summary.Failure
	if said == "" {
		said = excerpt(filepath.Join(e.run.dir, stderrFile))
	}
	if said == "" {
		said = "dbt wrote no message; its exit: " + e.status() + "."
	}
	if e.run.exit == nil && e.run.done != nil && e.run.record.Expected != nil && !e.known {
		return noArtifacts("run_results.json")
	}
	return explainText(said, isDeps(e.run.record.Argv))
}

// noArtifacts returns the problem for a command that reports success but did not write its artifact to the requested
// folder.
func noArtifacts(name string) *problem.Problem {
	return &problem.Problem{
		What: "dbt.executable drops the environment",
		Why: "The command exited with status 0, but did not write " + name + " to the folder that the variable " +
			"DBT_TARGET_PATH names.",
		Next: "Make the script pass all DBT_ variables and its exit status on: `docker run --env-file`, `sudo -E`, " +
			"or no `env -i`. A container must also mount the folder. Or set dbt.executable to the dbt command itself.",
		Path: []string{"dbt", "executable"},
		Err:  ErrUnhandled,
	}
}

// explainText explains dbt's message about an error that stopped it.
func explainText(said string, deps bool) *problem.Problem {
	r, ok := diagnose(said)
	if deps && (!ok || !errors.Is(r.sentinel, ErrEnvironment)) {
		r, ok = packagesRule, true
	}
	if !ok {
		r = rule{
			sentinel: ErrUnhandled, what: "dbt stopped with an error",
			next: "Run the command yourself to see more.",
		}
	}
	what := r.what
	if errors.Is(r.sentinel, ErrCompilation) {
		if where := location(said); where != "" {
			what = "dbt can't compile " + where
		}
	}
	return &problem.Problem{
		What: what, Why: opening(said), Next: r.next, Path: r.path,
		Err: errors.Join(r.sentinel, ErrUnhandled),
	}
}

// refused returns the problem if dbt ran nothing because it found something other than what was reviewed, and nil
// otherwise.
func (e ending) refused() *problem.Problem {
	path := filepath.Join(e.run.dir, refusalFile)
	if !exists(path) {
		return nil
	}
	var refusal struct {
		Differences []string `json:"differences"`
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &refusal)
	}
	if err != nil {
		refusal.Differences = []string{err.Error()}
	}
	return notReviewed(refusal.Differences)
}

// notReviewed returns the problem that lists the differences from what was reviewed.
func notReviewed(differences []string) *problem.Problem {
	const shown = 10
	slices.Sort(differences)
	more := ""
	if n := len(differences) - shown; n > 0 {
		differences, more = differences[:shown], fmt.Sprintf(" and %d more", n)
	}
	return &problem.Problem{
		What: "dbt would not run what was reviewed",
		Why:  "These differ now: " + strings.Join(differences, ", ") + more + ". Nothing was run.",
		Next: "Plan again, and review the new plan.",
		Err:  ErrNotReviewed,
	}
}

// Patterns for the file and the line of an error in dbt's message.
var (
	fileInParentheses = regexp.MustCompile(`\(([^()\n]+\.(?:sql|py|ya?ml|md|csv))\)`)
	fileAfterReading  = regexp.MustCompile(`Error reading [^:\n]+: (\S+)`)
	lineNumber        = regexp.MustCompile(`\bline (\d+)`)
)

// location returns the file and line that text names, such as "models/x.sql, line 3", or as much of that as it names.
func location(text string) string {
	m := fileInParentheses.FindStringSubmatch(text)
	if m == nil {
		m = fileAfterReading.FindStringSubmatch(text)
	}
	if m == nil {
		return ""
	}
	if line := lineNumber.FindStringSubmatch(text); line != nil {
		return m[1] + ", line " + line[1]
	}
	return m[1]
}
