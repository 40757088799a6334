// Package approval decides whether an execution may go ahead. It is pure: values in, a decision out; no I/O, no clock of its own.
package approval

import (
	"fmt"
	"path"
	"strings"
)

// Enforce says when a missing approval is an error.
type Enforce string

// Values of Enforce.
const (
	EnforceApply Enforce = "apply" // plan warns, apply refuses
	EnforcePlan  Enforce = "plan"  // plan refuses too
)

// Policy is who may approve, as the provider's approval block says.
type Policy struct {
	// Approvers are patterns such as "*@example.com", matched without regard to case. None means that anybody may approve.
	Approvers []string
	// Enforce is EnforceApply where empty.
	Enforce Enforce
}

// Given is what the configuration offers as an approval.
type Given struct {
	// By is the identity of the approver, or empty.
	By string
}

// Decision is what came of it.
type Decision struct {
	// Needed tells whether the change asked for an approval at all.
	Needed bool
	// Granted tells whether the change may run.
	Granted bool
	// RefusedAtPlan tells that plan must fail already: the policy says so, or the approver given is a wrong one.
	RefusedAtPlan bool
	// Missing says what is lacking, in one sentence; empty where granted.
	Missing string
	// Who says who could give it.
	Who string
	// By is who gave it, or empty.
	By string
}

// Decide weighs what was given against the reasons for which the change needs an approval; no reasons, no need. An approver
// who doesn't match the policy is refused even where none is needed: a wrong name is a mistake to be told of, not to be kept.
func (p Policy) Decide(reasons []string, given Given) Decision {
	d := Decision{Needed: len(reasons) > 0, Granted: true, Who: p.who(), By: given.By}
	switch {
	case given.By != "" && !p.accepts(given.By):
		d.Granted, d.Missing = false, fmt.Sprintf("%q is not among the approvers", given.By)
	case d.Needed && given.By == "":
		d.Granted, d.Missing = false, "nobody has approved it"
	}
	d.RefusedAtPlan = !d.Granted && (given.By != "" || p.Enforce == EnforcePlan)
	return d
}

func (p Policy) accepts(by string) bool {
	if len(p.Approvers) == 0 {
		return true
	}
	for _, pattern := range p.Approvers {
		if Match(pattern, by) {
			return true
		}
	}
	return false
}

func (p Policy) who() string {
	if len(p.Approvers) == 0 {
		return "anybody (the provider's approval block names no approvers)"
	}
	return strings.Join(p.Approvers, ", ")
}

// Match tells whether by matches pattern, in which * stands for any characters but / and ? for one. Case is ignored.
func Match(pattern, by string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(by))
	return err == nil && ok
}

// CheckPattern returns an error where pattern is not one that Match can use.
func CheckPattern(pattern string) error {
	if strings.TrimSpace(pattern) != pattern || pattern == "" {
		return fmt.Errorf("approver pattern %q is empty or has blanks around it", pattern)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("approver pattern %q: %w; write it like *@example.com", pattern, err)
	}
	return nil
}
