package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// labelWidth aligns the values of the block for people.
const labelWidth = 10

// Text is the dry run as a block for people, several lines. Its first line names the execution and what came of the
// last one, so that it differs from the block of any other execution: a plan hides what did not change.
func (r Review) Text(number int, last *journal.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Execution %d of %s on %s; %s\n\n", number, r.ActionType, r.Target, r.since(last))
	label := "Command"
	if len(r.Commands) > 1 {
		label = "Commands"
	}
	lines(&b, label, r.Commands)
	lines(&b, "Changes", r.Changes)
	estimate := fmt.Sprintf("%s, USD %.2f; it is stopped after %s", inWords(r.Duration), r.CostUSD, inWords(r.Deadline))
	lines(&b, "Estimate", []string{estimate})
	lines(&b, "Risk", []string{string(r.Risk)})
	lines(&b, "Affects", r.Affected)
	lines(&b, "Approval", r.approvalLines())
	lines(&b, "Undo", []string{r.Undo})
	lines(&b, "Digest", []string{r.Digest})
	return b.String()
}

func lines(b *strings.Builder, label string, values []string) {
	for i, v := range values {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(b, "%-*s%s\n", labelWidth, label, v)
	}
}

func (r Review) approvalLines() []string {
	d := r.Decision
	switch {
	case !d.Needed:
		return []string{"not needed"}
	case d.Shown:
		return append([]string{"given by " + d.By}, because(r.ApprovalReasons)...)
	default:
		return append([]string{"NEEDED before apply, from: " + d.Who}, because(r.ApprovalReasons)...)
	}
}

func because(reasons []string) []string {
	out := make([]string, len(reasons))
	for i, reason := range reasons {
		out[i] = "because " + reason
	}
	return out
}

// since tells what came of the last execution.
func (r Review) since(last *journal.Record) string {
	if last == nil {
		return "there was none before"
	}
	at := last.CreatedAt
	if last.Result != nil {
		at = last.Result.FinishedAt
	}
	verbs := map[journal.Status]string{
		journal.StatusSuccess: "succeeded", journal.StatusFailed: "failed", journal.StatusCancelled: "was cancelled",
		journal.StatusUnknown: "ended unknown",
	}
	verb, ok := verbs[last.Status]
	if !ok {
		verb = "was begun"
	}
	return fmt.Sprintf("the last one (%d) %s at %s", last.ID, verb, at.UTC().Format(time.RFC3339))
}

// inWords writes a duration as people read it: "45 s", "10 min (600 s)".
func inWords(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	if d < 2*time.Hour {
		return fmt.Sprintf("%s min (%.0f s)", trimZero(d.Minutes()), d.Seconds())
	}
	return fmt.Sprintf("%s h (%.0f s)", trimZero(d.Hours()), d.Seconds())
}

func trimZero(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }
