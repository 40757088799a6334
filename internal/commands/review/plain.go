package review

import (
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
)

// Plain returns the plan as text for a terminal, or for a program that puts it into a fence.
func Plain(p planjson.Plan, o Options) string {
	rows := rowsOf(p)
	var b strings.Builder
	fmt.Fprintf(&b, "Remediation: %s\n", summary(p))
	if p.Errored {
		b.WriteString("This plan is incomplete: planning failed.\n")
	}
	shown := 0
	for _, r := range rows {
		block := r.plain()
		if b.Len()+len(block)+len(footer(len(rows), 0)) > o.MaxBytes {
			break
		}
		b.WriteString(block)
		shown++
	}
	b.WriteString(footer(len(rows)-shown, 0))
	return b.String()
}

func (r row) plain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", markup.Plain(markup.Line(r.change.Address)))
	what := r.what
	if may := r.mayRun(); may != "" {
		what += " (" + may + ")"
	}
	approval := r.approval
	if r.who != "" {
		switch r.change.Approval {
		case planjson.Missing:
			approval += ", from " + r.who
		case planjson.Given:
			approval += " by " + r.who
		}
	}
	if r.how != "" {
		approval += ": " + r.how
	}
	for _, line := range [...][2]string{{"What", what}, {"Where", r.where}, {"Risk", r.risk},
		{"Duration", r.duration}, {"Approval", approval}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", line[0], markup.Plain(markup.Line(line[1])))
		}
	}
	if r.change.Approval == planjson.Missing {
		fmt.Fprintf(&b, "  %-9s expected_digest = %q\n", "Pin", r.pin())
	}
	return b.String()
}
