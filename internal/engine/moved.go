package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// movedWithinApply compares this plan with the request's last dry run when this plan is one within an apply: Terraform
// plans each resource again there and calls a value that moved "a bug in the provider". A problem of our own comes
// first and names the fact. Where it can't be told whether this is an apply it stays silent, and Terraform's own check
// refuses.
func (e *Engine) movedWithinApply(last journal.Record, now Review, intent journal.Intent) error {
	if !e.withinApply(last, intent) {
		return nil
	}
	if last.Intent.Digest == now.Digest {
		return executedSince(last, intent)
	}
	var was shown
	if err := json.Unmarshal(last.Intent.Preview, &was); err != nil {
		//nolint:nilerr // an unreadable record only costs our own wording: Terraform's check refuses all the same
		return nil
	}
	facts := map[string]any{}
	if err := json.Unmarshal(was.Facts, &facts); err != nil {
		return nil //nolint:nilerr // as above
	}
	return movedProblem(Reviewed{Digest: last.Intent.Digest, Target: last.Subject.Target, Commands: was.Commands,
		Facts: facts}, now)
}

// withinApply tells whether this plan is one within the apply of what the dry run last has shown.
func (e *Engine) withinApply(last journal.Record, intent journal.Intent) bool {
	applying := e.cfg.Terraform.SavedPlan || (intent.Session != "" && last.Intent.Session == intent.Session)
	return applying && last.Status == journal.StatusDryRunOK && maps.Equal(last.Intent.Triggers, intent.Triggers)
}

// executedSince is for a change that was executed between plan and apply: its payload names that execution now, and
// what was signed is spent.
func executedSince(last journal.Record, intent journal.Intent) error {
	if last.Intent.Payload == "" || last.Intent.Payload == intent.Payload {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("%s was executed since it was reviewed", last.Subject.Playbook),
		Why: fmt.Sprintf("What approvers sign was %q and is %q: the same change ran on %s in the meantime.",
			last.Intent.Payload, intent.Payload, last.Subject.Target),
		Next: "Nothing has run now. Plan again, see whether it is still wanted, and have it approved once more.",
		Err:  ErrTargetChanged,
	}
}

// movedProblem names each fact that is not as it was reviewed, with its value then and now.
func movedProblem(was Reviewed, now Review) error {
	facts := map[string]any{}
	if err := json.Unmarshal(now.facts, &facts); err != nil {
		return fmt.Errorf("decode the facts of the preview: %w", err)
	}
	var lines []string
	if was.Target != now.Target {
		lines = append(lines, difference("target", was.Target, now.Target))
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		before, ok := was.Facts[name]
		if ok && !reflect.DeepEqual(before, facts[name]) {
			lines = append(lines, difference(name, before, facts[name]))
		}
	}
	if !slices.Equal(was.Commands, now.Commands) {
		lines = append(lines, difference("commands", anySlice(was.Commands), anySlice(now.Commands)))
	}
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("digest: was %s, now %s", was.Digest, now.Digest)}
	}
	return &problem.Problem{
		What: fmt.Sprintf("The target of %s changed since it was reviewed", now.ActionType),
		Why:  "What was planned is not what would run now:\n  - " + strings.Join(lines, "\n  - "),
		Next: "Nothing has run. Plan again, review what it shows now, and apply that.",
		Err:  ErrTargetChanged,
	}
}

func anySlice(s []string) []any {
	out := make([]any, len(s))
	for i, v := range s {
		out[i] = v
	}
	return out
}

// difference says how a fact moved; of lists it names what was added and removed.
func difference(name string, was, now any) string {
	before, isList := was.([]any)
	after, stillList := now.([]any)
	if !isList || !stillList {
		return fmt.Sprintf("%s: was %s, now %s", name, plain(was), plain(now))
	}
	var parts []string
	if added := without(after, before); len(added) > 0 {
		parts = append(parts, "added "+strings.Join(added, ", "))
	}
	if removed := without(before, after); len(removed) > 0 {
		parts = append(parts, "removed "+strings.Join(removed, ", "))
	}
	if len(parts) == 0 {
		parts = []string{"another order"}
	}
	return fmt.Sprintf("%s: %s (was %s, now %s)", name, strings.Join(parts, "; "), plain(was), plain(now))
}

func without(list, taken []any) []string {
	var left []string
	for _, v := range list {
		if !slices.ContainsFunc(taken, func(t any) bool { return reflect.DeepEqual(t, v) }) {
			left = append(left, plain(v))
		}
	}
	return left
}

func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
