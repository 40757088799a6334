package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// maxCell is how many characters of a text a table cell shows.
	maxCell = 120
	// timeFormat is how reports write times, in UTC.
	timeFormat = "2006-01-02 15:04"
)

// Markdown returns the report. It leaves out the oldest executions if the text would exceed maxBytes.
func (r Report) Markdown(maxBytes int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Remediation history\n\n%s\n", r.summary())
	if len(r.Executions) == 0 {
		return b.String()
	}
	b.WriteString("\n| Playbook | Executions | Succeeded | Median | 90% within | Estimate " +
		"|\n|---|---:|---:|---:|---:|---:|\n")
	for _, t := range r.totals() {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s |\n", markup.Code(t.Playbook), t.Count, t.Succeeded,
			seconds(t.Median), seconds(t.P90), seconds(t.Estimate))
	}
	b.WriteString("\n| Execution | Started (UTC) | Playbook | Target | Status | Took | Approved by | Message |\n" +
		"|---|---|---|---|---|---:|---|---|\n")
	shown := 0
	for _, e := range r.Executions {
		cell := func(s string) string { return markup.Code(markup.Cut(markup.Line(s), maxCell)) }
		line := fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s "+
			"|\n", cell(e.ID), e.Started.UTC().Format(timeFormat),
			cell(e.Playbook), cell(e.Target), cell(e.Status), seconds(e.Seconds), cell(e.ApprovedBy), cell(e.Message))
		if b.Len()+len(line)+len(leftOut(len(r.Executions))) > maxBytes {
			break
		}
		b.WriteString(line)
		shown++
	}
	if rest := len(r.Executions) - shown; rest > 0 {
		b.WriteString(leftOut(rest))
	}
	return b.String()
}

func leftOut(n int) string {
	return "\n" + text.Count(int64(n), "older execution") + " left out.\n"
}

// summary says in one line what the report covers.
func (r Report) summary() string {
	if len(r.Executions) == 0 {
		return "No executions."
	}
	names, counts := r.statuses()
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	oldest, newest := r.Executions[len(r.Executions)-1].Started, r.Executions[0].Started
	line := fmt.Sprintf("%s from %s to %s UTC: %s.", text.Count(int64(len(r.Executions)), "execution"),
		oldest.UTC().Format(timeFormat), newest.UTC().Format(timeFormat), strings.Join(parts, ", "))
	if r.Journal != "" {
		line += " Journal " + r.Journal + "."
	}
	return line
}

// seconds formats a duration in seconds for people.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
