// Package approval decides whether an execution may run. It is pure: it maps values to a decision, without I/O and
// without its own clock.
package approval

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Enforce selects when a missing approval is an error.
type Enforce string

// Values of Enforce.
const (
	EnforceApply Enforce = "apply" // plan warns, apply refuses
	EnforcePlan  Enforce = "plan"  // plan refuses too
)

// GroupPrefix is the prefix of an approver pattern that refers to a group.
const GroupPrefix = "group:"

// Policy says who may approve an execution, from the provider's approval block and the runner's policy. The zero value
// requires only a name.
type Policy struct {
	// Approvers are patterns such as "*@example.com". Case is ignored. If empty, anybody may approve.
	Approvers []string
	// Enforce is EnforceApply if empty.
	Enforce Enforce
	// Groups maps the name of a group to the patterns of its members. The approver pattern "group:name" refers to it.
	Groups map[string][]string
	// Aliases maps a person's main name to their other names.
	Aliases map[string][]string
	// Minimum is how many distinct people must approve if an approval is needed. Zero means one.
	Minimum int
	// SeparationOfDuties refuses approvals by Requesters, the known names of the person who requested the change.
	SeparationOfDuties bool
	Requesters         []string
	// Requester is the configured requester. It is empty if the environment names the requester.
	Requester string
	// MaxAge is how long an approval is valid. Zero means forever.
	MaxAge time.Duration
	// SignaturesRequired makes only signed approvals count. Signers are the accepted signers.
	SignaturesRequired bool
	Signers            []Signer
	Rules              []Rule
	Freeze             []Freeze
	// Maintenance contains the maintenance windows. Outside of them, their playbooks are refused or need an approval.
	Maintenance []Freeze
	// RunnerApprovers are the approver patterns in the runner's policy. An approver must match one of them, too. Empty
	// means anybody.
	RunnerApprovers []string
	// Claimed marks settings that the author of the change controls.
	Claimed Claimed
	// Forge names the repository at a forge where approvals must also have been given, or is empty. If it is set, an
	// approval counts only if Case.Confirmed contains its approver.
	Forge string
}

// Claimed marks the settings that come from the configuration, and so from the author of the change, although the
// runner's policy must distinguish people. Such a setting can show that two names belong to one person, but never that
// they belong to two people: otherwise authors could approve their own changes.
type Claimed struct{ Aliases, Groups, Signers, Forge bool }

// proved returns the policy without the settings that the author of the change wrote.
func (p Policy) proved() Policy {
	if p.Claimed.Aliases {
		p.Aliases = nil
	}
	if p.Claimed.Groups {
		p.Groups = nil
	}
	if p.Claimed.Signers {
		p.Signers = nil
	}
	if p.Claimed.Forge {
		p.Forge = ""
	}
	return p
}

// Approval is one approval in the configuration.
type Approval struct {
	By string `json:"approved_by"`
	// Signature is an armored SSH signature, or empty.
	Signature string `json:"signature,omitempty"`
	// At is when the approval was given, in RFC 3339, or empty. It is only a claim unless the signature covers it.
	At string `json:"approved_at,omitempty"`
	// Ticket is a reference from the approver, stored in the history.
	Ticket string `json:"ticket,omitempty"`
	// BreakGlass allows the execution within a freeze window and has no other effect.
	BreakGlass bool `json:"break_glass,omitempty"`
}

// Given contains the approvals in the configuration.
type Given struct {
	// By is the identity of an approver, or empty.
	By string
	// Approvals are further approvals, each with its proof.
	Approvals []Approval
}

// All returns the approvals. One without a name gets the name By. If none but break-glass approvals has the name By, an
// approval with that name comes first.
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

// Case is an execution to decide on.
type Case struct {
	Playbook, Target, Digest string
	// OtherNames are the target's other names. A rule that names one of them applies.
	OtherNames []string
	// Payload is the line that approvers sign, from the function Payload. It is empty if no plan has shown the digest.
	Payload string
	// Reasons are why the playbook needs an approval. If empty, it needs none.
	Reasons []string
	// Risk is "low", "medium" or "high". Rules use CostUSD and Count, the number of things changed.
	Risk    string
	CostUSD float64
	Count   int
	// ReadOnly reports that the execution changes nothing, so freezes don't apply to it.
	ReadOnly bool
	// Now is the time for ages and validity: this machine's time, or the time of the newest record in the journal if
	// that is later. Clock is this machine's time, which decides whether a window is open, because an entry from a
	// clock that is ahead must not move windows. If Clock is zero, Now is used.
	Now, Clock time.Time
	// FirstSeen is when a plan first showed the digest, or zero if that isn't known.
	FirstSeen time.Time
	// Spent maps the hash of each used signature, from SignatureHash, to the number of the execution that used it.
	Spent map[string]int64
	// Names decides which names count without a signature.
	Names Names
	// Confirmed is the forge's answer. Nil means that the forge was not asked, and confirms nobody.
	Confirmed *Confirmed
}

// Used is an approval that counted, as the journal stores it.
type Used struct {
	Approval
	// Key is the fingerprint of the key that signed, or empty.
	Key string `json:"key,omitempty"`
	// Signed is the text that the signature covers.
	Signed string `json:"signed,omitempty"`
	// Confirmed is the change that the approver approved at the forge, or empty.
	Confirmed string `json:"confirmed,omitempty"`
}

// Decision is the result of Policy.Decide.
type Decision struct {
	// Needed reports whether the change needed an approval. Reasons say why.
	Needed  bool
	Reasons []string
	// Granted reports whether the change may run. Shown is the same without windows, the clock, and the forge: a plan
	// shows it, and must not change as time passes or a review is given.
	Granted, Shown bool
	// RefusedAtPlan reports that the plan must already fail, because the policy requires it or the given approver is
	// wrong.
	RefusedAtPlan bool
	// Missing is what is missing, as a sentence without its period. It is empty if granted.
	Missing string
	// Who describes who can approve.
	Who string
	// Next describes how to get what is missing.
	Next string
	// By names who gave the approval, or is empty.
	By string
	// Payload is the line that approvers sign.
	Payload string
	// Used contains the approvals that counted.
	Used []Used
	// BreakGlass contains the valid approvals with break_glass, even if they were not needed.
	BreakGlass []Used
	// Remarks list anything unusual, for the history.
	Remarks []string
}

// LiftGuardrails uses the approvals with break_glass to run without a guardrail that can't be read, and returns their
// approvers. These approvals then count as used.
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

// Counted returns the names of those whose approvals counted, except break-glass approvals.
func (d Decision) Counted() string {
	var names []string
	for _, u := range d.Used {
		if !u.BreakGlass {
			names = append(names, u.By)
		}
	}
	return strings.Join(names, ", ")
}

// accepts reports whether by is an approver in the policy and, if there is one, in the runner's policy.
func (p Policy) accepts(by string) bool {
	return p.matchAny(p.Approvers, by) && p.matchAny(p.RunnerApprovers, by)
}

// clock returns the time that decides whether windows are open.
func (c Case) clock() time.Time {
	if c.Clock.IsZero() {
		return c.Now
	}
	return c.Clock
}

// matchAny reports whether by matches one of the patterns, with groups resolved. An empty list matches anybody.
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

// Match reports whether by matches pattern, in the syntax of path.Match: * matches any characters except /, and ?
// matches one. Case is ignored.
func Match(pattern, by string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(by))
	return err == nil && ok
}

// CheckPattern returns an error if Match can't use pattern.
func CheckPattern(pattern string) error {
	if strings.TrimSpace(pattern) != pattern || pattern == "" {
		return fmt.Errorf("approver pattern %q is empty or has blanks around it", pattern)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("approver pattern %q: %w; write it like *@example.com", pattern, err)
	}
	return nil
}
