package dbtrun

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// searched is how many executions are searched for the one to retry, and for durations.
const searched = 50

// Retry is what an execution with retry_failed runs again.
type Retry struct {
	// Execution is the execution that is retried.
	Execution int64 `json:"execution"`
	// Arguments are those of that execution.
	Arguments dbt.Selection `json:"arguments"`
	// Failed, Skipped, and Succeeded are its models by unique id. Succeeded ones are not run again.
	Failed    []string `json:"failed"`
	Skipped   []string `json:"skipped"`
	Succeeded []string `json:"succeeded"`
}

// selection selects exactly what failed or was skipped. qualified adds the package to each name, for names that exist
// in several packages.
func (r Retry) selection(threads int, qualified bool) dbt.Selection {
	s := r.Arguments
	s.Models, s.Exclude, s.Selector, s.Upstream = nil, nil, "", false
	for _, id := range r.models() {
		const parts = 3 // model, package, name
		of := strings.SplitN(id, ".", parts)
		name := of[len(of)-1]
		if qualified && len(of) == parts {
			name += ",package:" + of[1]
		}
		s.Models = append(s.Models, name)
	}
	if threads > 0 {
		s.Threads = threads
	}
	return s
}

// models are the unique ids of what is run again.
func (r Retry) models() []string {
	all := slices.Concat(r.Failed, r.Skipped)
	slices.Sort(all)
	return all
}

// retry finds the execution to retry. Nil: the whole selection runs, because retry_failed is not set, or because the
// last execution with these arguments succeeded or does not exist.
func (a action) retry(ctx context.Context) (*Retry, error) {
	if !a.params.RetryFailed {
		return nil, nil //nolint:nilnil // nothing is retried, and that is not an error
	}
	past, err := playbook.PastOf(ctx, searched)
	if err != nil {
		return nil, err
	}
	whole := a.params.selects()
	for _, p := range past {
		arguments, err := argumentsOf(p)
		if err != nil || whole && !arguments.sameAs(a.params.selection()) {
			continue
		}
		if p.Status == "success" {
			break
		}
		r := outcomeOf(p)
		if r.Arguments = dbt.Selection(arguments); len(r.models()) == 0 {
			why := fmt.Sprintf("All models of execution %d succeeded. A hook may have failed.", p.ID)
			return nil, nothingToRetry(why)
		}
		return &r, nil
	}
	if whole {
		return nil, nil //nolint:nilnil // as above
	}
	if len(past) == 0 {
		return nil, nothingToRetry("The journal has no execution on this target.")
	}
	return nil, nothingToRetry(fmt.Sprintf("Execution %d, the last one on this target, succeeded.", past[0].ID))
}

func nothingToRetry(why string) error {
	return &problem.Problem{
		What: "There is nothing to retry", Why: why,
		Next: "Remove retry_failed and name models, or name the models of the execution to retry.",
		Path: []string{"retry_failed"}, Err: ErrNothingToRetry,
	}
}

// arguments are the dbt arguments of an earlier execution.
type arguments dbt.Selection

// sameAs compares the arguments, except for the number of threads.
func (a arguments) sameAs(s dbt.Selection) bool {
	a.Threads, s.Threads = 0, 0
	one, err := json.Marshal(a)
	if err != nil {
		return false
	}
	other, err := json.Marshal(s)
	return err == nil && string(one) == string(other)
}

// argumentsOf returns the arguments of an earlier execution. A retry has those of the execution that it retried.
func argumentsOf(p playbook.Past) (arguments, error) {
	var facts Facts
	if len(p.Facts) > 0 && json.Unmarshal(p.Facts, &facts) == nil && facts.Retry != nil {
		return arguments(facts.Retry.Arguments), nil
	}
	inputs, err := Describe().Decode(p.Params)
	return arguments(inputs.selection()), err
}

// outcomeOf sorts the models of an execution by their outcome. One that left no result was skipped.
func outcomeOf(p playbook.Past) Retry {
	var content struct {
		Nodes  map[string]json.RawMessage `json:"nodes"`
		Models []string                   `json:"models"`
	}
	_ = json.Unmarshal(p.Content, &content) // without it, only what has a result is known
	planned := content.Models
	for id := range content.Nodes {
		planned = append(planned, id)
	}
	for name := range p.Details {
		if strings.HasPrefix(name, "model.") && !slices.Contains(planned, name) {
			planned = append(planned, name)
		}
	}
	slices.Sort(planned)
	r := Retry{Execution: p.ID}
	for _, id := range planned {
		switch status := statusOf(p.Details[id]); status {
		case "success", "no-op", "reused":
			r.Succeeded = append(r.Succeeded, id)
		case "", "skipped":
			r.Skipped = append(r.Skipped, id)
		default:
			r.Failed = append(r.Failed, id)
		}
	}
	return r
}

// statusOf returns dbt's status in a detail such as "partial success in 2.1 s, 100 rows".
func statusOf(detail string) string {
	status, _, _ := strings.Cut(detail, " in ")
	return status
}

// lines returns the lines that say what is retried, and with which arguments.
func (r Retry) lines(command string) []string {
	line := fmt.Sprintf("Retries execution %d", r.Execution)
	for _, group := range []struct {
		what string
		ids  []string
	}{{"failed", r.Failed}, {"skipped", r.Skipped}, {"succeeded and not run again", r.Succeeded}} {
		if len(group.ids) > 0 {
			line += fmt.Sprintf("; %s: %s", group.what, some(short(group.ids)))
		}
	}
	return []string{line, fmt.Sprintf("Arguments of execution %d: %s", r.Execution, command)}
}

// short returns the names in unique ids such as model.shop.orders.
func short(ids []string) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		const parts = 3
		of := strings.SplitN(id, ".", parts)
		names[i] = of[len(of)-1]
	}
	return names
}
