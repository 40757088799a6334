package review

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// MinBytes is the smallest budget. It has room for a heading, a row, and the note about what is left out.
	MinBytes = 2_000
	// readable is the size, in bytes, above which the lists in a comment are cut shorter.
	readable = 14_000
	// maxCell is how many characters of a cell are shown. The dry run has the rest.
	maxCell = 160
	// marker is the first line, by which a workflow finds its comment again.
	marker = "<!-- remediation review -->"
)

// brief is the shortest length of a list. At that length, a dry run that lacks no approval has only its essential
// sections.
const brief = 1

// shortened is the note about brief dry runs.
const shortened = "\nDry runs that need no further approval are shortened. The plan has all of them.\n"

// listLimits are the lengths to which lists are cut. They are tried in turn until the comment is readable.
var listLimits = [...]int{20, 8, 4, 2, brief} //nolint:gochecknoglobals // an array can't be a constant

// Options configures the output.
type Options struct {
	// MaxBytes is the maximum size of the output, in bytes.
	MaxBytes int
	// PlanFile is the plan's file name in the command that approves.
	PlanFile string
}

// planFile returns the plan's file name, or a placeholder for one that would fill the budget.
func (o Options) planFile() string {
	if len(o.PlanFile) > maxCell {
		return "PLAN.json"
	}
	return o.PlanFile
}

// Markdown returns the plan as Markdown for the comment of a pull request at GitHub, GitLab, or Gitea.
func Markdown(p planjson.Plan, o Options) string {
	rows := rowsOf(p)
	head := heading(p)
	table, shown := tableOf(rows, o.MaxBytes-len(head)-len(footer(len(rows), len(rows)))-len(toApprove(rows, o)))
	head += table + toApprove(rows, o)
	rows = rows[:shown]
	var body string
	var left int
	budget := o.MaxBytes - len(head) - len(footer(len(p.Changes), len(p.Changes)))
	for _, limit := range listLimits {
		if limit == brief && budget < len(shortened) {
			break
		}
		if body, left = folds(rows, limit, budget-len(shortened)); limit == brief {
			body += shortened
		}
		if left == 0 && len(head)+len(body) <= readable {
			break
		}
	}
	return head + body + footer(len(p.Changes)-shown, left)
}

func heading(p planjson.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Remediation: %s\n", marker, summary(p))
	if p.Errored {
		b.WriteString("\n**This plan is incomplete: planning failed.**\n")
	}
	return b.String()
}

// tableOf returns the table with the rows that fit into the budget, and their number.
func tableOf(rows []row, budget int) (table string, shown int) {
	if len(rows) == 0 {
		return "", 0
	}
	var b strings.Builder
	b.WriteString("\n| Execution | What | Where | Risk | Duration | Approval |\n|---|---|---|---|---|---|\n")
	for i, r := range rows {
		line := r.markdown()
		if b.Len()+len(line) > budget {
			return b.String(), i
		}
		b.WriteString(line)
	}
	return b.String(), len(rows)
}

func (r row) markdown() string {
	cell := func(s string) string { return markup.Code(markup.Cut(markup.Line(s), maxCell)) }
	what := cell(r.what)
	if may := r.mayRun(); may != "" {
		what += " (" + may + ")"
	}
	approval := r.approval
	switch {
	case r.change.Approval == planjson.Missing && r.who != "":
		approval = fmt.Sprintf("**%s**, from %s: %s", r.approval, cell(r.who), r.how)
	case r.how != "":
		approval = fmt.Sprintf("**%s**: %s", r.approval, r.how)
	case r.change.Approval == planjson.Given && r.who != "":
		approval = "given by " + cell(r.who)
	}
	cells := []string{cell(r.change.Address), what, cell(r.where), word(r.risk), word(r.duration), approval}
	for i, c := range cells {
		cells[i] = cmp.Or(c, "-")
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// plainBytes are the bytes that need no code span.
const plainBytes = "abcdefghijklmnopqrstuvwxyz0123456789. "

// word returns a word such as "medium" or a duration as it is, "high" in bold, and anything else as code.
func word(s string) string {
	switch {
	case s == "high":
		return "**high**"
	case strings.Trim(s, plainBytes) == "":
		return s
	default:
		return markup.Code(s)
	}
}

// toApprove says how to approve, or returns "" if no approval is missing.
func toApprove(rows []row, o Options) string {
	for _, r := range rows {
		if r.change.Approval == planjson.Missing {
			return "\nTo approve: " + markup.Code("terraform-provider-remediation approve "+o.planFile()) +
				" shows each dry run, signs it, and prints the blocks to commit.\n"
		}
	}
	return ""
}

// folds returns the dry runs that fit into the budget, and how many are left out.
func folds(rows []row, limit, budget int) (body string, left int) {
	var b strings.Builder
	for _, r := range rows {
		if !r.hasFold() {
			continue
		}
		fold := fmt.Sprintf("\n<details><summary>Dry run of <code>%s</code></summary>\n%s\n</details>\n",
			markup.HTML(markup.Cut(markup.Line(r.change.Address), maxCell)), markup.Block(r.folded(limit)))
		if b.Len()+len(fold) > budget {
			left++
			continue
		}
		b.WriteString(fold)
	}
	return b.String(), left
}

// hasFold reports whether the row's dry run is shown: an execution is planned, and its dry run is known.
func (r row) hasFold() bool {
	return r.change.DryRun != "" && (r.change.Kind == planjson.Runs || r.change.Kind == planjson.MayRun)
}

// footer says how many rows and dry runs were left out, or returns "".
func footer(rows, dryRuns int) string {
	var parts []string
	if rows > 0 {
		parts = append(parts, text.Count(int64(rows), "row"))
	}
	if dryRuns > 0 {
		parts = append(parts, text.Count(int64(dryRuns), "dry run"))
	}
	if len(parts) == 0 {
		return ""
	}
	return "\nLeft out to keep this comment short: " + strings.Join(parts, " and ") + ". The plan has all of them.\n"
}
