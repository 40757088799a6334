package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// leaves are the individual facts that a digest covers, by their path.
type leaves map[string]any

// leavesOf returns the facts that a record showed.
func leavesOf(target string, intent journal.Intent, was shown) leaves {
	return collect(target, intent.Params, intent.Triggers, was)
}

// leavesOfReview returns the facts that a review shows.
func leavesOfReview(r Review, req Request) leaves {
	was := shown{Preview: r.Preview, Facts: r.facts, Safety: r.safety}
	return collect(r.Target, req.Params, req.Triggers, was)
}

func collect(target string, inputs json.RawMessage, triggers map[string]string, was shown) leaves {
	all := leaves{"target": target}
	all.add("inputs", inputs)
	all.add("triggers", triggers)
	all.add("commands", was.Commands)
	all.add("", was.Facts)
	for _, name := range was.Unbound {
		delete(all, name)
	}
	all.add("identity", was.Identity)
	all.add("content", was.Content)
	all.add("guardrails", was.Safety.Guardrails)
	all.add("undo", was.Safety.Undo)
	all["timeout"], all["on_destroy"] = was.Safety.Timeout, was.Safety.OnDestroy
	return all
}

// add adds a value under its name, and each member of an object separately.
func (l leaves) add(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		return // it was encoded for the digest before
	}
	var plainValue any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&plainValue) != nil {
		return
	}
	l.flatten(name, plainValue)
}

func (l leaves) flatten(name string, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		if value != nil {
			l[name] = value
		}
		return
	}
	for key, member := range object {
		path := key
		if name != "" {
			path = name + "." + key
		}
		l.flatten(path, member)
	}
}

// movedProblem lists each fact that differs from what was reviewed, with its value then and now.
func movedProblem(was leaves, now Review, req Request) error {
	is := leavesOfReview(now, req)
	names := map[string]bool{}
	for name := range was {
		names[name] = true
	}
	for name := range is {
		names[name] = true
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, after := was[name], is[name]
		if !reflect.DeepEqual(before, after) {
			lines = append(lines, difference(name, before, after))
		}
	}
	const most = 30
	if over := len(lines) - most; over > 0 {
		lines = append(lines[:most], fmt.Sprintf("... and %d more", over))
	}
	if len(lines) == 0 {
		lines = []string{"the digest is " + now.Digest + " now"}
	}
	return &problem.Problem{
		What: fmt.Sprintf("The target of %s changed since it was reviewed", now.ActionType),
		Why:  "What was planned is not what would run now:\n  - " + strings.Join(lines, "\n  - "),
		Next: "Nothing has run. Plan again, review what it shows now, and apply that plan.",
		Err:  ErrTargetChanged,
	}
}

// reviewedLeaves returns the facts that the plan showed: from its record, or as far as the plan itself contains them.
func (r *run) reviewedLeaves(was Reviewed, rec *journal.Record) leaves {
	if rec != nil {
		if content, err := decoded(*rec); err == nil {
			return leavesOf(rec.Subject.Target, rec.Intent, content)
		}
	}
	// Only what the plan contains can be compared: every other fact counts as it is now.
	all := leavesOfReview(r.now, r.req)
	all["target"] = was.Target
	all.add("commands", was.Commands)
	for name, value := range was.Facts {
		if !slices.Contains(r.now.Unbound, name) {
			all.add(name, value)
		}
	}
	return all
}

// difference says how a fact changed. For lists it says what was added and removed.
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
	if v == nil {
		return "not set"
	}
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// digestProblem returns the error for an expected_digest that belongs to another preview.
func digestProblem(expected, now string) error {
	next := "Nothing has run. Review the new preview, then set expected_digest to its digest or remove it."
	why := fmt.Sprintf("expected_digest is %s, but what would run now has the digest %s.", expected, now)
	if wrong := approval.CheckPin(expected); wrong != "" {
		why = fmt.Sprintf("expected_digest is %q: %s. What would run now has the digest %s.", expected, wrong, now)
	}
	return &problem.Problem{
		What: "The preview is not the one that expected_digest pins", Why: why, Next: next,
		Path: []string{"expected_digest"}, Err: ErrTargetChanged,
	}
}
