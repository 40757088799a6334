package engine

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
)

const (
	// labelWidth is the width of the label column of the dry run's text.
	labelWidth = 12
	// maxItems is how many items of one list the text shows; the journal has all of them.
	maxItems = 20
	// maxLine is how many characters of one line the text shows.
	maxLine = 400
)

// Text returns the dry run as text for people. Its first line differs from that of every other execution, because
// Terraform hides lines that did not change. It counts executions with ordinals, because a plain number names an entry
// in the journal. Hidden characters in it are shown by their code points: names and messages are texts of others, which
// could otherwise move the terminal's cursor and overwrite lines of the plan.
func (r Review) Text() string {
	var b strings.Builder
	if r.Number > 0 {
		fmt.Fprintf(&b, "%s execution of %s on %s\n", humanize.Ordinal(r.Number), r.ActionType, r.Target)
		section(&b, "Last", []string{r.Last})
	} else {
		fmt.Fprintf(&b, "%s on %s\n", r.ActionType, r.Target)
	}
	if r.chain.Conditional {
		section(&b, "Condition", []string{"may run: only if run_if is true"})
	}
	if r.chain.From != "" {
		section(&b, "Starts from", []string{"what " + r.chain.From + " will leave"})
	}
	section(&b, "Where", r.Where)
	label := "Command"
	if len(r.Commands) > 1 {
		label = "Commands"
	}
	section(&b, label, r.Commands)
	section(&b, "Changes", r.Changes)
	section(&b, "Not done", r.NotDone)
	section(&b, r.figuresLabel(), r.Figures)
	section(&b, "Guardrails", r.guardrailLines())
	section(&b, "Estimate", []string{r.estimateLine()})
	section(&b, "Deadline", []string{r.deadlineLine()})
	section(&b, "Risk", []string{joined(string(r.Risk), r.RiskReason)})
	section(&b, "Approval", r.approvalLines())
	section(&b, "Undo", []string{r.Undo})
	return markup.Visible(b.String())
}

// section writes a label with its lines, or nothing if there are none. Long lists and lines are cut.
func section(b *strings.Builder, label string, values []string) {
	rest := 0
	if len(values) > maxItems {
		values, rest = values[:maxItems], len(values)-maxItems
	}
	for _, v := range values {
		if v == "" {
			continue
		}
		for line := range strings.SplitSeq(v, "\n") { // a message may have several lines
			entry(b, label, shortened(line))
			label = ""
		}
	}
	if rest > 0 {
		entry(b, "", fmt.Sprintf("... and %d more", rest))
	}
}

func entry(b *strings.Builder, label, value string) {
	if len(label) >= labelWidth {
		fmt.Fprintf(b, "%s\n", label)
		label = ""
	}
	fmt.Fprintf(b, "%-*s%s\n", labelWidth, label, value)
}

// shortened cuts a line that is too long to read.
func shortened(line string) string {
	over := utf8.RuneCountInString(line) - maxLine
	if over <= 0 {
		return line
	}
	return fmt.Sprintf("%s ... (%d more characters)", string([]rune(line)[:maxLine]), over)
}

func joined(value, reason string) string {
	if reason == "" {
		return value
	}
	return value + ": " + reason
}

func (r Review) figuresLabel() string {
	if r.AsOf.IsZero() {
		return "Figures"
	}
	return "As of " + r.AsOf.UTC().Format("15:04")
}

func (r Review) estimateLine() string {
	estimate := inWords(r.Duration)
	if r.DurationFrom > 0 && r.DurationFrom < r.Duration {
		estimate = rangeInWords(r.DurationFrom, r.Duration)
	}
	if r.CostUSD > 0 {
		estimate += fmt.Sprintf(", USD %.2f", r.CostUSD)
	}
	if r.EstimateOrigin != "" {
		estimate += " (" + r.EstimateOrigin + ")"
	}
	return estimate
}

func (r Review) deadlineLine() string {
	stopped := "stopped after " + inWords(r.Deadline)
	switch {
	case r.TimeoutSet:
		return stopped + " (timeouts)"
	case r.Expected >= r.Deadline:
		return fmt.Sprintf("%s (%s)", stopped, r.expectation())
	default:
		return fmt.Sprintf("%s, reported after %s (%s)", stopped, inWords(r.Expected), r.expectation())
	}
}

// expectation says how Expected follows from the estimate.
func (r Review) expectation() string {
	how := "twice the estimate"
	if least := max(leastDeadline, r.LeastDeadline); deadlineFactor*r.Duration < least {
		how = "the minimum"
	}
	if r.Overtime > 0 {
		how += fmt.Sprintf(", and %s for readings that fail", inWords(r.Overtime))
	}
	return how
}

// guardrailLines describes each guardrail: its bounds, when it is read, and what a breach does.
func (r Review) guardrailLines() []string {
	lines := make([]string, len(r.Guardrails))
	for i, rail := range r.Guardrails {
		if r.ReadOnly {
			rail.OnBreach = "" // there is nothing to undo
		}
		lines[i] = rail.Describe(guard.Traffic(r.Exposure))
	}
	return lines
}

func (r Review) approvalLines() []string {
	d := r.Decision
	switch {
	case !d.Needed:
		return []string{"not needed"}
	case d.Shown:
		return append([]string{"given by " + d.By}, because(r.ApprovalReasons)...)
	default:
		return append([]string{"NEEDED before apply, from " + d.Who}, because(r.ApprovalReasons)...)
	}
}

func because(reasons []string) []string {
	out := make([]string, len(reasons))
	for i, reason := range reasons {
		out[i] = "because " + reason
	}
	return out
}

// lastLine says how the last execution ended, and why it failed.
func lastLine(last journal.Record) string {
	at := last.CreatedAt
	if last.Result != nil {
		at = last.Result.FinishedAt
	}
	verbs := map[journal.Status]string{
		journal.StatusSuccess: "succeeded", journal.StatusFailed: "failed", journal.StatusCancelled: "was canceled",
		journal.StatusUnknown: "has an unknown outcome",
	}
	verb, ok := verbs[last.Status]
	if !ok {
		verb = "started"
	}
	line := fmt.Sprintf("execution %s %s at %s", last.Ref(), verb, at.UTC().Format(time.RFC3339))
	if last.Result != nil && last.Result.Message != "" && last.Status != journal.StatusSuccess {
		line += ": " + last.Result.Message
	}
	return line
}

// inWords formats a duration for people: "45 s", "10 min", "2.5 h".
func inWords(d time.Duration) string {
	value, unit := split(d, d)
	return value + " " + unit
}

// rangeInWords formats a range of durations for people: "6 to 9 min".
func rangeInWords(from, to time.Duration) string {
	low, _ := split(from, to)
	high, unit := split(to, to)
	return low + " to " + high + " " + unit
}

// split formats d in the unit that suits the size of like, and returns the number and the unit.
func split(d, like time.Duration) (value, unit string) {
	switch {
	case like < 2*time.Minute:
		return fmt.Sprintf("%.0f", d.Seconds()), "s"
	case like < 2*time.Hour:
		return trimZero(d.Minutes()), "min"
	default:
		return trimZero(d.Hours()), "h"
	}
}

func trimZero(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }
