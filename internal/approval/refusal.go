package approval

import (
	"fmt"
	"slices"
	"strings"
)

// refusals describes why approvals don't count.
func refusals(votes []vote) (out []string) {
	for _, v := range votes {
		if why := v.refused + v.timed; why != "" {
			out = append(out, fmt.Sprintf("the approval by %q does not count: %s", v.By, why))
		}
	}
	return out
}

func orAnybody(who []string) string {
	if len(who) == 0 {
		return "anybody"
	}
	return strings.Join(who, ", ")
}

// advice describes how to get what is missing.
func (p Policy) advice(c Case, demands []demand, votes []vote) string {
	sign := p.SignaturesRequired || slices.ContainsFunc(votes, func(v vote) bool { return v.Signature != "" })
	text := fmt.Sprintf("Have the preview (%s) reviewed, then set approved_by. Approvals are accepted from: %s.",
		c.Digest, p.who())
	switch {
	case sign && c.Payload == "":
		text = "Each approver signs the payload that the next plan shows. Approvals are accepted from: " + p.who() + "."
	case sign:
		text = fmt.Sprintf("Have the preview (%s) reviewed. Each approver signs its payload with\n\n  %s\n\n"+
			"and sets the output as signature in an approval block, next to approved_by. Approvals are accepted "+
			"from: %s.", c.Digest, SignCommand(c.Payload), p.who())
	}
	for _, d := range demands {
		switch {
		case d.rule != "":
			text += fmt.Sprintf(" The rule %q requires %s, from: %s.", d.rule, people(d.minimum), d.who(p))
		case d.minimum > 1:
			text += fmt.Sprintf(" %d different people must approve: add an approval block for each.", d.minimum)
		}
	}
	text += p.forgeAdvice(c.Confirmed)
	for _, f := range p.Freeze {
		if end, closed := f.until(c.clock()); closed {
			text += fmt.Sprintf(" Wait until %s, or add an approval with break_glass = true", stamp(end))
			if sign && c.Payload != "" {
				text += ", which signs this text:\n\n  " + SignCommand(signedText(c.Payload, true, ""))
			}
			text += "."
		}
	}
	return text
}
