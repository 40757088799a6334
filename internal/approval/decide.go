package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// clockSkew is the accepted difference between the approver's clock and this machine's.
const clockSkew = 5 * time.Minute

// maxApprovals limits how many approvals are examined.
const maxApprovals = 100

// vote is an examined approval.
type vote struct {
	Used
	// refused is why it doesn't count, or "". timed is a reason that can disappear between plan and apply: the time, or
	// the forge's answer.
	refused, timed string
	// person is the canonical name. It equals By if the policy doesn't need to distinguish people.
	person string
}

// Decide compares the given approvals with what the case needs. A case without reasons needs no approval. An approver
// who doesn't match the policy is refused even then: a wrong name is a mistake to report, not to record.
func (p Policy) Decide(c Case, given Given) Decision {
	demands, reasons := p.demands(c)
	d := Decision{Needed: len(reasons) > 0, Reasons: reasons, Who: p.who(), By: given.By, Payload: c.Payload}
	stranger := given.By != "" && !p.accepts(given.By)
	var missing, shown []string
	if stranger {
		missing = append(missing, fmt.Sprintf("%q is not among the approvers", given.By))
		shown = missing
	}
	votes := p.weigh(c, given)
	for _, v := range votes {
		if v.BreakGlass && v.refused+v.timed == "" && p.accepts(v.By) {
			d.BreakGlass = append(d.BreakGlass, v.Used)
		}
	}
	if d.Needed && !stranger {
		d.take(votes)
		missing = append(missing, p.lacking(demands, votes, false)...)
		shown = append(shown, p.lacking(demands, votes, true)...)
		if len(missing) > 0 {
			missing = append(missing, refusals(votes)...)
		}
	}
	closed := append(p.frozen(c, votes, &d), p.outside(c, votes, &d)...)
	if len(closed) > 0 {
		missing = append(missing, closed...)
		for _, why := range refusals(breaking(votes)) {
			if !slices.Contains(missing, why) {
				missing = append(missing, why)
			}
		}
	}
	d.Granted, d.Shown = len(missing) == 0, len(shown) == 0
	d.RefusedAtPlan = !d.Granted && (stranger || p.Enforce == EnforcePlan)
	if !d.Granted {
		d.Missing, d.Next = strings.Join(missing, "; "), p.advice(c, demands, votes)
	}
	return d
}

// breaking returns the break-glass approvals.
func breaking(votes []vote) []vote {
	return slices.DeleteFunc(slices.Clone(votes), func(v vote) bool { return !v.BreakGlass })
}

// take records the approvals that count. By also names approvers whose approval lacks only the right time or the
// forge's confirmation, because a plan shows By.
func (d *Decision) take(votes []vote) {
	var names []string
	for _, v := range votes {
		if v.refused != "" || v.BreakGlass {
			continue
		}
		if v.timed == "" && !slices.Contains(d.Used, v.Used) {
			d.Used = append(d.Used, v.Used)
		}
		names = append(names, v.By)
	}
	if len(names) > 0 {
		d.By = strings.Join(names, ", ")
	}
}

// weigh examines each approval separately.
func (p Policy) weigh(c Case, given Given) []vote {
	all := given.All()
	votes := make([]vote, 0, min(len(all), maxApprovals))
	for i, a := range all {
		v := vote{Used: Used{Approval: a}, person: a.By}
		if i < maxApprovals {
			p.look(c, &v)
		} else {
			v.refused = fmt.Sprintf("there are %d approvals, and only the first %d are evaluated", len(all),
				maxApprovals)
		}
		votes = append(votes, v)
	}
	return votes
}

func (p Policy) look(c Case, v *vote) {
	if v.By == "" {
		v.refused = "it has no approved_by"
		return
	}
	if p.comparesPeople() {
		person, err := p.person(v.By)
		if err != nil {
			v.refused = err.Error()
			return
		}
		v.person = person
	}
	if !v.BreakGlass && !p.accepts(v.By) {
		v.refused = "not among the approvers"
		return
	}
	if v.refused = p.separate(v.By); v.refused != "" {
		return
	}
	covered := ""
	switch {
	case v.Signature != "":
		covered = p.checkSignature(c, v)
	case p.SignaturesRequired:
		v.refused = "it is not signed"
	case v.BreakGlass:
		v.refused = c.Names.refuseBreakGlass(v.By, c.Digest)
	default:
		v.refused = c.Names.refuse(v.By, c.Digest)
	}
	if v.refused == "" {
		p.checkAge(c, v, covered)
	}
	if v.refused == "" {
		p.confirm(c.Confirmed, v)
	}
}

// checkSignature sets the key and the text of a valid signature, or why the signature doesn't count. It returns the
// time that the signature covers, or "".
func (p Policy) checkSignature(c Case, v *vote) (covered string) {
	if len(p.Signers) == 0 {
		v.refused = "there is nothing to check its signature against: set allowed_signers in the provider's approval " +
			"block"
		return ""
	}
	sig, err := parseSignature(v.Signature)
	if err != nil {
		v.refused = err.Error()
		return ""
	}
	if id, ok := c.Spent[SignatureHash(v.Signature)]; ok {
		v.refused = fmt.Sprintf("its signature was used by execution %d, and each execution needs a new one", id)
		return ""
	}
	if c.Payload == "" { // no plan has shown it, and a signature of an empty text approves nothing
		v.refused = errOtherText.Error()
		return ""
	}
	texts := []string{signedText(c.Payload, v.BreakGlass, "")}
	if v.At != "" {
		texts = append(texts, signedText(c.Payload, v.BreakGlass, v.At))
	}
	for i, text := range texts {
		found, err := verify(sig, text, v.By, signing{signers: p.Signers, now: c.Now})
		switch {
		case err == nil:
			v.refused, v.Key, v.timed, v.Signed = "", found.key, found.timed, text
			if i > 0 {
				covered = v.At
			}
			return covered
		case v.refused == "" || !errors.Is(err, errOtherText):
			v.refused = err.Error()
		}
	}
	return ""
}

// SignatureHash returns a hash that identifies an armored signature regardless of its white space.
func SignatureHash(armored string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(armored), "\n")))
	return hex.EncodeToString(sum[:])
}

// checkAge sets why the approval is too old or dated in the future. A time that the signature doesn't cover is only a
// claim: it may make a signed approval older, but not newer than the first plan that showed what it approves. An
// approval without a signature is as old as it claims.
func (p Policy) checkAge(c Case, v *vote, covered string) {
	given := c.FirstSeen
	if v.At != "" {
		at, err := time.Parse(time.RFC3339, v.At)
		if err != nil {
			v.refused = fmt.Sprintf("approved_at %q is not a time such as 2026-01-02T15:04:05Z", v.At)
			return
		}
		if at.After(c.Now.Add(clockSkew)) {
			v.timed = fmt.Sprintf("approved_at %s is in the future (it is now %s)", v.At, stamp(c.Now))
			return
		}
		if covered != "" || v.Signature == "" || given.IsZero() || at.Before(given) {
			given = at
		}
	}
	if p.MaxAge == 0 || v.timed != "" {
		return
	}
	if given.IsZero() {
		given = c.Now // nobody has seen it before now
	}
	if end := given.Add(p.MaxAge); !c.Now.Before(end) {
		v.timed = fmt.Sprintf("it expired %s (max_age %s, counted from %s)", stamp(end), p.MaxAge, stamp(given))
	}
}

// lacking describes which demands the votes don't meet. If timeless is set, votes count regardless of the time and the
// forge.
func (p Policy) lacking(demands []demand, votes []vote, timeless bool) (missing []string) {
	for _, d := range demands {
		var counting []vote
		for _, v := range votes {
			if v.refused == "" && !v.BreakGlass && (timeless || v.timed == "") && p.matchAny(d.approvers, v.By) {
				counting = append(counting, v)
			}
		}
		n := distinct(counting)
		if n >= d.minimum {
			continue
		}
		text := "nobody has approved it"
		if d.minimum > 1 {
			text = fmt.Sprintf("%d of %d people have approved it", n, d.minimum)
		}
		if d.rule != "" {
			text += fmt.Sprintf(" for the rule %q", d.rule)
		}
		missing = append(missing, text)
	}
	return missing
}

// distinct counts the people who cast the votes. Votes with the same person or the same key count as one person's.
func distinct(votes []vote) int {
	owner := map[string]string{} // maps a name or a key to another one of the same person
	var find func(string) string
	find = func(s string) string {
		if up, ok := owner[s]; ok && up != s {
			return find(up)
		}
		return s
	}
	for _, v := range votes {
		name := "name " + v.person
		if v.Key != "" {
			owner[find("key "+v.Key)] = find(name)
		}
	}
	seen := map[string]bool{}
	for _, v := range votes {
		seen[find("name "+v.person)] = true
	}
	return len(seen)
}

// frozen describes the open freezes that no break-glass approval breaks. In d, it records the approvals that break the
// others.
func (p Policy) frozen(c Case, votes []vote, d *Decision) (missing []string) {
	if c.ReadOnly {
		return nil
	}
	for _, f := range p.Freeze {
		end, closed := f.until(c.clock())
		if !closed {
			continue
		}
		if !p.broken(f, fmt.Sprintf("within the freeze %q, which ends %s", f.Name, stamp(end)), votes, d) {
			missing = append(missing, fmt.Sprintf("the freeze %q is in force until %s, and there is no break-glass "+
				"approval by %s", f.Name, stamp(end), orAnybody(p.breakers(f))))
		}
	}
	return missing
}

// breakers returns the patterns of those who may break the window. None means anybody.
func (p Policy) breakers(f Freeze) []string {
	if len(f.BreakGlass) > 0 {
		return f.BreakGlass
	}
	return p.Approvers
}

// broken reports whether a break-glass approval breaks the window, and records each one that does.
func (p Policy) broken(f Freeze, when string, votes []vote, d *Decision) (broken bool) {
	for _, v := range votes {
		allowed := p.accepts(v.By)
		if len(f.BreakGlass) > 0 {
			allowed = p.matchAny(f.BreakGlass, v.By)
		}
		if v.BreakGlass && v.refused == "" && v.timed == "" && allowed {
			broken = true
			d.Used = append(d.Used, v.Used)
			d.Remarks = append(d.Remarks, fmt.Sprintf("break-glass by %s %s", v.By, when))
		}
	}
	return broken
}

// outside describes the closed maintenance windows that hold the case back. Windows in the configuration and in the
// runner's policy are checked separately: an open one in the configuration doesn't replace one in the policy.
func (p Policy) outside(c Case, votes []vote, d *Decision) []string {
	return append(p.outsideOf(c, votes, d, false), p.outsideOf(c, votes, d, true)...)
}

// outsideOf is outside for the windows from one source. It returns nil if one of them is open, or if none names the
// playbook.
func (p Policy) outsideOf(c Case, votes []vote, d *Decision, runner bool) []string {
	var closed []Freeze
	for _, f := range p.Maintenance {
		if f.Runner != runner || !slices.Contains(f.Playbooks, c.Playbook) {
			continue
		}
		if _, open := f.until(c.clock()); open {
			return nil
		}
		closed = append(closed, f)
	}
	var missing []string
	for _, f := range closed {
		when := fmt.Sprintf("outside of the maintenance window %q", f.Name)
		text := when + ", and there is no break-glass approval by " + orAnybody(p.breakers(f))
		if f.Outside == OutsideApproval {
			if approved := len(p.lacking([]demand{{minimum: 1}}, votes, false)) == 0; approved {
				d.take(votes)
				continue
			}
			text = when + ", where an approval is needed"
		}
		if p.broken(f, when, votes, d) {
			continue
		}
		if next := f.next(c.clock()); !next.IsZero() {
			text += fmt.Sprintf(" (it opens %s)", stamp(next))
		}
		missing = append(missing, text)
	}
	return missing
}
