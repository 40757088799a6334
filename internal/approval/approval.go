// Package approval decides whether an execution may go ahead. It is pure: values in, a decision out; no I/O, no clock
// of its own.
package approval

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Enforce says when a missing approval is an error.
type Enforce string

// Values of Enforce.
const (
	EnforceApply Enforce = "apply" // plan warns, apply refuses
	EnforcePlan  Enforce = "plan"  // plan refuses too
)

// GroupPrefix begins an approver pattern that stands for the members of a group.
const GroupPrefix = "group:"

// Policy is who may approve, as the provider's approval block says. The zero value asks for nothing but a name.
type Policy struct {
	// Approvers are patterns such as "*@example.com", matched without regard to case. None means that anybody may
	// approve.
	Approvers []string
	// Enforce is EnforceApply where empty.
	Enforce Enforce
	// Groups are patterns by name; an approver pattern "group:name" stands for them.
	Groups map[string][]string
	// Aliases are other names of one person, by the main one.
	Aliases map[string][]string
	// Minimum is how many distinct people must approve what needs an approval. Zero is one.
	Minimum int
	// SeparationOfDuties refuses approvals by Requesters, the known names of who asked for the change.
	SeparationOfDuties bool
	Requesters         []string
	// Requester is the configured one of them, or empty where the environment names them.
	Requester string
	// MaxAge is how long an approval holds. Zero: for ever.
	MaxAge time.Duration
	// SignaturesRequired counts signed approvals only. Signers is whose signatures are accepted.
	SignaturesRequired bool
	Signers            []Signer
	Rules              []Rule
	Freeze             []Freeze
	// Maintenance are the windows outside of which the playbooks that they name are refused or need an approval.
	Maintenance []Freeze
	// RunnerApprovers are the approvers of the runner's policy, whom an approver has to match as well. None: anybody.
	RunnerApprovers []string
	// Forge names where approvals must have been given as well, or is empty. An approval then counts only where
	// Case.Confirmed has its approver.
	Forge string
}

// Approval is one approval as the configuration offers it.
type Approval struct {
	By string `json:"approved_by"`
	// Signature is an armored SSH signature, or empty.
	Signature string `json:"signature,omitempty"`
	// At is when it was given, RFC 3339, or empty. It counts as a claim unless the signature covers it.
	At string `json:"approved_at,omitempty"`
	// Ticket is a reference of the approver's, kept in the history.
	Ticket string `json:"ticket,omitempty"`
	// BreakGlass lets the execution run within a freeze window, and does nothing else.
	BreakGlass bool `json:"break_glass,omitempty"`
}

// Given is what the configuration offers as approvals.
type Given struct {
	// By is the identity of an approver, or empty.
	By string
	// Approvals are further ones, each with what proves it.
	Approvals []Approval
}

// All returns the approvals; By is the first of them, unless one of them has its name, and stands in for missing names.
func (g Given) All() []Approval {
	all := slices.Clone(g.Approvals)
	named := g.By == ""
	for i := range all {
		if all[i].By == "" {
			all[i].By = g.By
		}
		named = named || (strings.EqualFold(all[i].By, g.By) && !all[i].BreakGlass)
	}
	if !named {
		all = slices.Insert(all, 0, Approval{By: g.By})
	}
	return all
}

// Case is an execution to be decided on.
type Case struct {
	Playbook, Target, Digest string
	// Payload is what approvers sign; see the function of that name.
	Payload string
	// Reasons are why the playbook wants an approval. None: it wants none.
	Reasons []string
	// Risk is "low", "medium" or "high". CostUSD and Count, the number of things changed, are for rules.
	Risk    string
	CostUSD float64
	Count   int
	// Now is the time for ages and validity, and not before anything that is known to have happened. Clock is this
	// machine's time, by which windows open and close: an entry from a clock that is ahead must not move them. Zero:
	// Now.
	Now, Clock time.Time
	// FirstSeen is when a plan first showed the digest; zero where that isn't known.
	FirstSeen time.Time
	// Spent tells which executions have used signatures, by the hash that Used.Signature has.
	Spent map[string]int64
	// Names says which names count without a signature.
	Names Names
	// Confirmed is what the forge says. Nil where it was not asked: that confirms nobody.
	Confirmed *Confirmed
}

// Used is an approval that counted, as the journal keeps it.
type Used struct {
	Approval
	// Key is the fingerprint of the key that signed, or empty.
	Key string `json:"key,omitempty"`
	// Signed is the text that the signature covers.
	Signed string `json:"signed,omitempty"`
	// Confirmed is the change that the approver approved at the forge, or empty.
	Confirmed string `json:"confirmed,omitempty"`
}

// Decision is what came of it.
type Decision struct {
	// Needed tells whether the change asked for an approval at all, and Reasons why.
	Needed  bool
	Reasons []string
	// Granted tells whether the change may run. Shown tells the same apart from the clock and the forge: a plan shows
	// it, and what a plan shows must not move by time passing or by somebody's review.
	Granted, Shown bool
	// RefusedAtPlan tells that plan must fail already: the policy says so, or the approver given is a wrong one.
	RefusedAtPlan bool
	// Missing says what is lacking, a sentence without its stop; empty where granted.
	Missing string
	// Who says who could give it.
	Who string
	// Next says what to do about what is missing.
	Next string
	// By is who gave it, or empty.
	By string
	// Payload is what approvers sign.
	Payload string
	// Used are the approvals that counted.
	Used []Used
	// BreakGlass are the valid approvals with break_glass, whether or not anything has been broken by them yet.
	BreakGlass []Used
	// Remarks are for the history: what was out of the ordinary about it.
	Remarks []string
}

// LiftGuardrails uses the approvals with break_glass to run without a guardrail that can't be read, and returns who
// gave them. They count as used from then on.
func (d *Decision) LiftGuardrails() string {
	names := make([]string, len(d.BreakGlass))
	for i, u := range d.BreakGlass {
		names[i] = u.By
		if !slices.Contains(d.Used, u) {
			d.Used = append(d.Used, u)
		}
	}
	who := strings.Join(names, ", ")
	d.Remarks = append(d.Remarks, "break-glass by "+who+": runs although a guardrail can't be read")
	return who
}

// Counted returns who gave the approvals that counted, those that break a freeze aside.
func (d Decision) Counted() string {
	var names []string
	for _, u := range d.Used {
		if !u.BreakGlass {
			names = append(names, u.By)
		}
	}
	return strings.Join(names, ", ")
}

// accepts tells whether by is among the approvers.
func (p Policy) accepts(by string) bool {
	return p.matchAny(p.Approvers, by) && p.matchAny(p.RunnerApprovers, by)
}

// clock is the time by which windows open and close.
func (c Case) clock() time.Time {
	if c.Clock.IsZero() {
		return c.Now
	}
	return c.Clock
}

// matchAny tells whether by matches one of the patterns, groups resolved. No patterns match anybody.
func (p Policy) matchAny(patterns []string, by string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, pattern := range patterns {
		if group, ok := strings.CutPrefix(pattern, GroupPrefix); ok {
			if members := p.Groups[group]; len(members) > 0 && p.matchAny(members, by) {
				return true
			}
			continue
		}
		if Match(pattern, by) {
			return true
		}
	}
	return false
}

func (p Policy) who() string {
	text := strings.Join(p.Approvers, ", ")
	switch {
	case len(p.Approvers) == 0 && len(p.RunnerApprovers) == 0:
		return "anybody (the provider's approval block names no approvers)"
	case len(p.Approvers) == 0:
		return strings.Join(p.RunnerApprovers, ", ")
	case len(p.RunnerApprovers) > 0:
		return text + ", who must also be among those of the runner's policy: " + strings.Join(p.RunnerApprovers, ", ")
	}
	return text
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
