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
	why := reasons(append(hooks, models...)) + "\n" + e.built()
	return &problem.Problem{
		What: text.Count(int64(len(hooks)), "dbt hook") + " failed", Why: why, Next: next,
		Err: errors.Join(ErrModelsFailed),
	}
}

// built says which models a failed run has built: an incremental model can append its rows a second time.
func (e ending) built() string {
	const named = 10
	var names []string
	for _, n := range e.nodes() {
		if !n.IsHook() && n.Status == "success" {
			names = append(names, n.Name)
		}
	}
	more := ""
	if n := len(names) - named; n > 0 {
		names, more = names[:named], fmt.Sprintf(" and %d more", n)
	}
	if len(names) == 0 {
		return "No model was built."
	}
	return "Built all the same, and built again by the next apply: " + strings.Join(names, ", ") + more + "."
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
