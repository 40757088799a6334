package approval

import (
	"fmt"
	"slices"
	"strings"
)

// Rule adds requirements for some executions. It applies if all of its set conditions are met.
type Rule struct {
	// Name is for messages.
	Name string `json:"name"`
	// Playbooks are action types.
	Playbooks []string `json:"playbooks,omitempty"`
	// Risk is the minimum risk: "low", "medium" or "high".
	Risk string `json:"risk,omitempty"`
	// Targets are patterns of targets, in which * matches any characters. One of them must match one of the target's
	// names.
	Targets []string `json:"targets,omitempty"`
	// MinCostUSD and MinCount are the minimum cost and the minimum number of things changed.
	MinCostUSD float64 `json:"min_cost_usd,omitempty"`
	MinCount   int     `json:"min_count,omitempty"`
	// Minimum is how many distinct people must approve. Zero means one.
	Minimum int `json:"minimum,omitempty"`
	// Approvers are patterns of those whose approvals count for this rule. Empty means all approvers.
	Approvers []string `json:"approvers,omitempty"`
}

// riskOrder returns the position of a risk in ascending order, or -1 if it is unknown.
func riskOrder(risk string) int { return slices.Index([]string{"low", "medium", "high"}, risk) }

func (r Rule) applies(c Case) bool {
	switch {
	case len(r.Playbooks) > 0 && !slices.Contains(r.Playbooks, c.Playbook),
		r.Risk != "" && riskOrder(c.Risk) >= 0 && riskOrder(c.Risk) < riskOrder(r.Risk),
		c.CostUSD < r.MinCostUSD,
		c.Count < r.MinCount:
		return false
	}
	return len(r.Targets) == 0 || slices.ContainsFunc(r.Targets, func(pattern string) bool {
		return wildcard(pattern, c.Target) ||
			slices.ContainsFunc(c.OtherNames, func(name string) bool { return wildcard(pattern, name) })
	})
}

// reason says why an execution needs the rule's approvals.
func (r Rule) reason() string {
	return fmt.Sprintf("the rule %q asks for %s", r.Name, people(max(1, r.Minimum)))
}

func people(n int) string {
	if n == 1 {
		return "an approval"
	}
	return fmt.Sprintf("approvals by %d people", n)
}

// demand is how many people must approve, and who counts.
type demand struct {
	minimum   int
	approvers []string
	rule      string
}

func (d demand) who(p Policy) string {
	if len(d.approvers) == 0 {
		return p.who()
	}
	return strings.Join(d.approvers, ", ")
}

// Asks reports whether it matters which approvals count: the case needs one, the policy has freezes or maintenance
// windows, or there are approval blocks.
func (p Policy) Asks(c Case, given Given) bool {
	demands, _ := p.demands(c)
	return len(demands)+len(p.Freeze)+len(p.Maintenance)+len(given.Approvals) > 0
}

// demands returns the demands of the policy and of each rule that applies, and the reasons: the case's own and one per
// rule.
func (p Policy) demands(c Case) (all []demand, reasons []string) {
	reasons = slices.Clone(c.Reasons)
	for _, r := range p.Rules {
		if r.applies(c) {
			all = append(all, demand{minimum: max(1, r.Minimum), approvers: r.Approvers, rule: r.Name})
			reasons = append(reasons, r.reason())
		}
	}
	if len(reasons) > 0 {
		all = slices.Insert(all, 0, demand{minimum: max(1, p.Minimum)})
	}
	return all, reasons
}
