package review

import (
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/page"
)

// MinHTMLBytes is the smallest budget of HTML, whose style alone has half of it.
const MinHTMLBytes = 6_000

const (
	tableBegin = "<table>\n<thead><tr><th scope=\"col\">Execution</th><th scope=\"col\">What</th>" +
		"<th scope=\"col\">Where</th><th scope=\"col\">Risk</th><th scope=\"col\">Duration</th>" +
		"<th scope=\"col\">Approval</th></tr></thead>\n<tbody>\n"
	tableEnd = "</tbody>\n</table>\n"
)

// HTML returns the plan as one self-contained page.
func HTML(p planjson.Plan, o Options) string {
	rows := rowsOf(p)
	document := page.Page{Title: "Remediation: " + summary(p)}
	var b strings.Builder
	fmt.Fprintf(&b, "<h1>%s</h1>\n", markup.HTML(document.Title))
	if p.Errored {
		b.WriteString("<p class=\"missing\">This plan is incomplete: planning failed.</p>\n")
	}
	// What comes after the rows and after the dry runs is subtracted first.
	budget := o.MaxBytes - len(document.HTML()) - len(footerHTML(len(rows), len(rows)))
	shown := 0
	if len(rows) > 0 {
		b.WriteString(tableBegin)
		end := len(tableEnd) + len(toApproveHTML(rows, o))
		for _, r := range rows {
			line := r.html()
			if b.Len()+len(line)+end > budget {
				break
			}
			b.WriteString(line)
			shown++
		}
		b.WriteString(tableEnd)
	}
	b.WriteString(toApproveHTML(rows[:shown], o))
	left := 0
	for _, r := range rows[:shown] {
		fold := r.htmlFold()
		if b.Len()+len(fold) > budget {
			left++
			continue
		}
		b.WriteString(fold)
	}
	b.WriteString(footerHTML(len(rows)-shown, left))
	document.Body = b.String()
	return document.HTML()
}

// toApproveHTML is toApprove as HTML.
func toApproveHTML(rows []row, o Options) string {
	if toApprove(rows, o) == "" {
		return ""
	}
	return fmt.Sprintf("<p>To approve: <code>terraform-provider-remediation approve %s</code> shows each dry run, "+
		"signs it, and prints the blocks to commit.</p>\n", markup.HTML(o.planFile()))
}

// footerHTML is footer as HTML.
func footerHTML(rows, dryRuns int) string {
	note := footer(rows, dryRuns)
	if note == "" {
		return ""
	}
	return fmt.Sprintf("<p>%s</p>\n", markup.HTML(strings.TrimSpace(note)))
}

func (r row) html() string {
	approval := markup.HTML(r.approval)
	if r.who != "" {
		approval += " (" + markup.HTML(r.who) + ")"
	}
	if r.change.Approval == planjson.Missing {
		approval = `<span class="missing">` + approval + "</span>"
	}
	if r.how != "" {
		approval += ": " + markup.HTML(r.how)
	}
	what := r.what
	if may := r.mayRun(); may != "" {
		what += " (" + may + ")"
	}
	class := ""
	if r.risk == "high" || r.risk == "medium" || r.risk == "low" {
		class = r.risk
	}
	return fmt.Sprintf("<tr><th scope=\"row\"><code>%s</code></th><td>%s</td><td><code>%s</code></td>"+
		"<td class=%q>%s</td><td>%s</td><td>%s</td></tr>\n", markup.HTML(r.change.Address), markup.HTML(what),
		markup.HTML(r.where), class, markup.HTML(r.risk), markup.HTML(r.duration), approval)
}

func (r row) htmlFold() string {
	if !r.hasFold() {
		return ""
	}
	return fmt.Sprintf("<details open><summary>Dry run of <code>%s</code></summary>\n<pre>%s</pre>\n</details>\n",
		markup.HTML(r.change.Address), markup.HTML(r.folded(listLimits[0])))
}
