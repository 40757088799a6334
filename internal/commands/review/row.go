// Package review formats a saved plan as a comment for a pull request: a table with one row per execution, and the dry
// runs folded below it.
package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// row is a planned change as the table shows it.
type row struct {
	change planjson.Change
	// what describes in a few words what happens.
	what string
	// where is the target.
	where          string
	risk, duration string
	// approval is the status of the approval, how says how to give it, and who names who can give it.
	approval, how, who string
}

// pinDigits is how many digits of a digest expected_digest needs.
const pinDigits = 20

// rowsOf returns the rows, sorted by the status of the approval, missing ones first, and then by risk, the highest
// first.
func rowsOf(p planjson.Plan) []row {
	rows := make([]row, len(p.Changes))
	for i, c := range p.Changes {
		rows[i] = rowOf(c, p.Signatures)
	}
	order := func(r row) int {
		first := map[planjson.Approval]int{planjson.Missing: 0, planjson.Reviewed: 1, planjson.Later: 2}
		if n, ok := first[r.change.Approval]; ok {
			return n
		}
		return len(first)
	}
	risks := map[string]int{"high": 0, "medium": 1, "low": 2}
	risk := func(r row) int {
		if n, ok := risks[r.risk]; ok {
			return n
		}
		return len(risks)
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(risk(a), risk(b)))
	})
	return rows
}

func rowOf(c planjson.Change, signatures bool) row {
	r := row{change: c, where: c.Preview.Target, who: c.Approvers()}
	switch c.Kind {
	case planjson.Runs, planjson.MayRun:
		r.what = cmp.Or(c.First("Changes", "Commands", "Command"), "runs its playbook")
		r.risk, r.duration = c.Preview.Risk, estimate(c)
	case planjson.Unknown:
		r.risk = c.Preview.Risk
		r.what = "not known before apply: an input is unknown"
	case planjson.Skips:
		r.what = "skipped: run_if is false"
	case planjson.Undoes:
		r.what = fmt.Sprintf("destroy runs the undo: %s %s", c.Undo.Type, c.Undo.Params)
	case planjson.Forgets:
		r.what = "removed from the state; nothing runs"
	case planjson.Settings:
		r.what = "settings change; nothing runs"
	}
	r.approval, r.how = approvalOf(c, signatures)
	return r
}

// approvalOf returns the status of the approval, and how to give one that is missing.
func approvalOf(c planjson.Change, signatures bool) (standing, how string) {
	switch c.Approval {
	case planjson.NotNeeded:
		return "not needed", ""
	case planjson.Given:
		return "given", ""
	case planjson.Reviewed:
		return "by review", "approve this pull request at its head commit"
	case planjson.Missing:
		if signatures {
			return "MISSING", "sign it with the command approve"
		}
		return "MISSING", "sign it with the command approve, or set approved_by"
	case planjson.Later:
		return "known at apply", ""
	default:
		return "", ""
	}
}

// estimate returns the estimated duration as the dry run gives it.
func estimate(c planjson.Change) string {
	duration, _, _ := strings.Cut(c.First("Estimate"), ", USD")
	return duration
}

// mayRun returns a note if the execution depends on run_if, or "".
func (r row) mayRun() string {
	if r.change.Kind == planjson.MayRun {
		return "may run, only if run_if is true"
	}
	return ""
}

// pin returns the beginning of the digest for expected_digest.
func (r row) pin() string {
	digits := strings.TrimPrefix(r.change.Preview.Digest, "sha256:")
	return digits[:min(pinDigits, len(digits))]
}

// summary returns one line with the number of executions and the number of missing approvals.
func summary(p planjson.Plan) string {
	kinds := map[planjson.Kind]int{}
	approvals := map[planjson.Approval]int{}
	for _, c := range p.Changes {
		kinds[c.Kind]++
		approvals[c.Approval]++
	}
	running := kinds[planjson.Runs] + kinds[planjson.MayRun] + kinds[planjson.Unknown] + kinds[planjson.Undoes]
	if running == 0 {
		return "nothing runs"
	}
	line := text.Count(int64(running), "execution")
	if n := approvals[planjson.Missing]; n > 0 {
		line += ", " + text.Count(int64(n), "approval") + " missing"
	} else if approvals[planjson.Reviewed] > 0 {
		line += ", approvals depend on the review of this pull request"
	} else if approvals[planjson.Later] == 0 {
		line += ", no approval missing"
	}
	return line
}

// essential are the sections of a brief dry run.
//
//nolint:gochecknoglobals // as listLimits
var essential = [...]string{"Condition", "Starts from", "Command", "Commands", "Changes", "Undo"}

// folded returns the dry run without what the table already says. A list of more than limit+1 lines is cut to limit.
func (r row) folded(limit int) string {
	var b strings.Builder
	if title := r.change.Title(); title != "" {
		b.WriteString(title + "\n")
	}
	for _, s := range r.change.Sections() {
		single := len(s.Lines) == 1
		switch {
		case s.Label == "Risk" && single && s.Lines[0] == r.risk,
			s.Label == "Approval" && single && s.Lines[0] == "not needed",
			limit == brief && r.change.Approval != planjson.Missing && !slices.Contains(essential[:], s.Label),
			s.Label == "Estimate" && single && !strings.Contains(s.Lines[0], "("):
			continue
		}
		label := s.Label
		lines, rest := s.Lines, 0
		if len(lines) > limit+1 { // a line that says "1 more" saves nothing
			lines, rest = lines[:limit], len(lines)-limit
		}
		for _, line := range lines {
			fmt.Fprintf(&b, "%-11s %s\n", label, line)
			label = ""
		}
		if rest > 0 {
			fmt.Fprintf(&b, "%-11s ... and %d more\n", "", rest)
		}
	}
	if pin := r.pin(); pin != "" && r.change.Approval == planjson.Missing {
		fmt.Fprintf(&b, "%-11s expected_digest = %q\n", "Pin", pin)
	}
	return b.String()
}
