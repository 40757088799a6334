package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// shownBy says which plan has shown the preview that is being decided on.
type shownBy struct {
	// record is the number of the record that showed it; zero if there is none.
	record int64
	// any makes every approver's name count, for a preview that is never applied.
	any bool
}

// decide evaluates the approvals given in req with what the journal knows about them, and puts the decision into
// review.
func (e *Engine) decide(ctx context.Context, req Request, review *Review, by shownBy) error {
	c := e.caseOf(req, *review)
	if e.cfg.Forge != nil && e.cfg.Policy.NeedsForge(c, req.Given) {
		confirmed := e.cfg.Forge.Confirmed(ctx)
		c.Confirmed = &confirmed
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	if reason, err := e.escalation(ctx, store, req); err != nil {
		return err
	} else if reason != "" {
		c.Reasons = append(slices.Clip(c.Reasons), reason)
	}
	if e.cfg.Policy.Asks(c, req.Given) {
		if err := e.evidence(ctx, store, evidenceFor{req, review, by}, &c); err != nil {
			return err
		}
	}
	review.weighed, review.Decision = c, e.cfg.Policy.Decide(c, req.Given)
	review.ApprovalReasons = review.Decision.Reasons
	review.loosened, err = e.loosened(ctx, review.Target)
	if warning := "The approval policy demands less than before. " + review.loosened; review.loosened != "" &&
		!slices.Contains(review.Warnings, warning) {
		review.Warnings = append(slices.Clip(review.Warnings), warning)
	}
	return err
}

// decideAlone decides from the configuration alone, because the journal can't be read. That is good enough for a plan:
// apply doesn't run without a journal.
func (e *Engine) decideAlone(req Request, review *Review) {
	c := e.caseOf(req, *review)
	c.Names.Any = true
	review.Decision = e.cfg.Policy.Decide(c, req.Given)
	review.Decision.Payload = ""
	review.ApprovalReasons = review.Decision.Reasons
}

func (e *Engine) caseOf(req Request, review Review) approval.Case {
	return approval.Case{
		Playbook: review.ActionType, Target: review.Target, Digest: review.Digest, Reasons: review.playbookReasons(),
		OtherNames: slices.Concat(review.Locks, review.OtherNames),
		ReadOnly:   review.ReadOnly, Risk: string(review.Risk), CostUSD: review.CostUSD, Count: review.Size(),
		Now: e.cfg.Clock.Now(), Clock: e.cfg.Clock.Now(),
		Names: approval.Names{Any: approval.Pins(req.ExpectedDigest, review.Digest) ||
			approval.Pins(req.PinnedUndo, review.Digest)},
	}
}

// playbookReasons returns why the playbook needs an approval, without the policy's reasons, which a decision adds to
// ApprovalReasons.
func (r *Review) playbookReasons() []string {
	if r.ownReasons == nil {
		r.ownReasons = append([]string{}, r.ApprovalReasons...)
	}
	return r.ownReasons
}

// evidenceFor selects the evidence to look up.
type evidenceFor struct {
	req    Request
	review *Review
	by     shownBy
}

// evidence completes c with what the journal knows: which signatures earlier executions of the digest used, when the
// digest was first shown since the last of them, which names count without a signature, and a time that is not before
// any record. It searches by playbook, target, and digest, regardless of the incident.
func (e *Engine) evidence(ctx context.Context, store journal.Store, of evidenceFor, c *approval.Case) error {
	newest, err := store.Find(ctx, journal.Filter{All: true, Limit: 1})
	if err != nil {
		return err
	}
	for _, rec := range newest {
		c.Now = later(c.Now, rec.CreatedAt)
	}
	same := journal.Filter{Playbook: c.Playbook, Target: c.Target, Digest: c.Digest}
	past, err := store.Find(ctx, same)
	if err = errors.Join(err, journal.Intact(past)); err != nil {
		return err
	}
	if c.Spent, err = spent(past); err != nil {
		return err
	}
	epoch, err := journal.EpochOf(ctx, store)
	if err != nil {
		return err
	}
	after := epoch.From - 1
	if len(past) > 0 {
		after = max(after, past[len(past)-1].ID)
	}
	past = slices.DeleteFunc(past, func(rec journal.Record) bool { return rec.ID < epoch.From })
	same.DryRuns = true
	records, err := store.Find(ctx, same)
	if err = errors.Join(err, journal.Intact(records)); err != nil {
		return err
	}
	of.review.first = 0
	for _, rec := range records {
		if rec.ID > after && rec.Status == journal.StatusDryRunOK {
			c.FirstSeen, of.review.first = rec.CreatedAt, rec.ID
			c.Payload = approval.Payload(c.Playbook, c.Target, c.Digest, rec.Ref())
			break
		}
	}
	c.Names.Any = c.Names.Any || of.by.any || retries(past, c.Reasons)
	return e.names(ctx, store, of, c)
}

// names decides which names count without a signature: those under which nothing had been executed on the target's
// identity when the record was made, every name for a retry that needs the approval for no new reason, and none for a
// preview that nobody could see.
func (e *Engine) names(ctx context.Context, store journal.Store, of evidenceFor, c *approval.Case) error {
	if c.Names.Any {
		return nil
	}
	epoch, err := journal.EpochOf(ctx, store)
	if err != nil {
		return err
	}
	until := of.by.record
	if until == 0 || until < epoch.From {
		c.Names.Unseen, until = true, math.MaxInt64
	}
	ran, err := store.Find(ctx, journal.Filter{Identity: of.review.IdentityHash})
	if err = errors.Join(err, journal.Intact(ran)); err != nil {
		return err
	}

	c.Names.Adopted = epoch.Adoption != nil && (len(ran) == 0 || ran[len(ran)-1].ID < epoch.From)
	for _, rec := range ran {
		if rec.ID > until {
			break
		}
		for name := range strings.SplitSeq(rec.Intent.ApprovedBy, ", ") {
			if name != "" && !slices.Contains(c.Names.Used, name) {
				c.Names.Used = append(c.Names.Used, name)
			}
		}
		used, err := usedBy(rec)
		if err != nil {
			return err
		}
		for _, u := range used {
			if u.BreakGlass {
				c.Names.Broken = append(c.Names.Broken, u.By)
			}
		}
	}
	return nil
}

// usedBy returns the approvals that an execution used.
func usedBy(rec journal.Record) (used []approval.Used, err error) {
	if rec.Intent.Approvals == nil {
		return nil, nil
	}
	if err := json.Unmarshal(rec.Intent.Approvals, &used); err != nil {
		return nil, fmt.Errorf("approvals of execution %d: %w: %w", rec.ID, journal.ErrDamaged, err)
	}
	return used, nil
}

// retries reports whether an execution of the digest would only repeat executions that failed or were canceled, and
// needs the approval for no new reason. After an execution that a guardrail held, a new decision is needed.
func retries(past []journal.Record, reasons []string) bool {
	if len(past) == 0 {
		return false
	}
	for _, rec := range past {
		if rec.Status == journal.StatusSuccess || rec.Status == journal.StatusUnknown || rec.Open() || rec.Held {
			return false
		}
	}
	last, err := decoded(past[len(past)-1])
	return err == nil && !slices.ContainsFunc(reasons,
		func(reason string) bool { return !slices.Contains(last.ApprovalReasons, reason) })
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// spent returns the execution that used each signature, by the signature's hash.
func spent(past []journal.Record) (map[string]int64, error) {
	used := map[string]int64{}
	for _, rec := range past {
		approvals, err := usedBy(rec)
		if err != nil {
			return nil, err
		}
		for _, a := range approvals {
			if a.Signature != "" {
				used[approval.SignatureHash(a.Signature)] = rec.ID
			}
		}
	}
	return used, nil
}

// escalateAfter is how many executions for one incident may end without success in a row before each further one needs
// an approval.
const escalateAfter = 3

// escalationSearch is how many of the incident's newest executions are searched for those that change something.
const escalationSearch = 100

// escalation returns why the next execution for the incident needs an approval: the newest ones all failed, were
// stopped or held, or have an unknown outcome. It is empty if no approval is needed for this reason.
//
// Executions that change nothing are not attempts: they don't count, and they don't need the approval.
func (e *Engine) escalation(ctx context.Context, store journal.Store, req Request) (string, error) {
	if req.Incident == "" || req.page.ReadOnly {
		return "", nil
	}
	attempts, err := store.Find(ctx, journal.Filter{Incident: req.Incident, Limit: escalationSearch})
	if err != nil {
		return "", err
	}
	attempts = slices.DeleteFunc(attempts, func(r journal.Record) bool { return r.Intent.ReadOnly })
	if len(attempts) < escalateAfter {
		return "", nil
	}
	for _, r := range attempts[len(attempts)-escalateAfter:] {
		if r.Status == journal.StatusSuccess || r.Open() {
			return "", nil
		}
	}
	return fmt.Sprintf("the last %d executions for incident %s did not succeed; escalate to the team that owns the "+
		"system",
		escalateAfter, req.Incident), nil
}

// spentMeanwhile reports whether another execution used one of the signatures between the decision and the intent.
func (r *run) spentMeanwhile(ctx context.Context, rec journal.Record, d approval.Decision) (bool, error) {
	if !slices.ContainsFunc(d.Used, func(u approval.Used) bool { return u.Signature != "" }) {
		return false, nil
	}
	past, err := r.store.Find(ctx, journal.Filter{Playbook: rec.Subject.Playbook, Target: rec.Subject.Target,
		Digest: rec.Subject.Digest})
	if err != nil {
		return false, err
	}
	past = slices.DeleteFunc(past, func(other journal.Record) bool { return other.ID >= rec.ID })
	used, err := spent(past)
	for _, u := range d.Used {
		if _, ok := used[approval.SignatureHash(u.Signature)]; ok && u.Signature != "" {
			return true, nil
		}
	}
	return false, err
}

// agreed is the policy as the journal stores it.
type agreed struct {
	Fingerprint string         `json:"fingerprint"`
	Terms       approval.Terms `json:"terms"`
}

// encodedPolicy returns the policy as an intent stores it, or nil if there is none.
func (e *Engine) encodedPolicy() json.RawMessage {
	terms := e.cfg.Policy.Terms()
	if terms.Empty() {
		return nil
	}
	print, err := terms.Fingerprint()
	if err != nil {
		return nil // strings, numbers and lists always encode
	}
	text, err := json.Marshal(agreed{Fingerprint: print, Terms: terms})
	if err != nil {
		return nil // as above
	}
	return text
}

// policyPrint returns the fingerprint of the approval policy.
func (e *Engine) policyPrint() string {
	print, err := e.cfg.Policy.Terms().Fingerprint()
	if err != nil {
		return "" // strings, numbers and lists always encode
	}
	return print
}

// loosened says where the policy requires less than it did for the target's last execution. If the target has none, it
// compares with the last execution in the journal, unless this process has executed something: then the two policies
// are the same. Dry runs don't count: the plan that loosens the policy would hide that from the next one.
func (e *Engine) loosened(ctx context.Context, target string) (string, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return "", err
	}
	last, err := store.Find(ctx, journal.Filter{Target: target, Limit: 1})
	if err == nil && len(last) == 0 && !e.hasExecuted() {
		last, err = store.Find(ctx, journal.Filter{Limit: 1})
	}
	if err != nil || len(last) == 0 || last[0].Intent.Policy == nil {
		return "", err
	}
	var was agreed
	if err := json.Unmarshal(last[0].Intent.Policy, &was); err != nil {
		return "", fmt.Errorf("read the policy recorded with execution %d: %w: %w", last[0].ID, journal.ErrDamaged, err)
	}
	list := e.cfg.Policy.Terms().Loosened(was.Terms)
	if len(list) == 0 {
		return "", nil
	}
	return fmt.Sprintf("Since execution %d: %s.", last[0].ID, strings.Join(list, "; ")), nil
}

// approved adds the decision to an intent.
func (e *Engine) approved(intent *journal.Intent, review Review) error {
	d := review.Decision
	intent.Payload, intent.Remarks = d.Payload, slices.Concat(d.Remarks, review.remarks)
	if d.By != "" {
		intent.ApprovedBy = d.By
	}
	intent.Policy = e.encodedPolicy()
	if review.loosened != "" {
		intent.Remarks = append(intent.Remarks, "the approval policy demands less than before: "+review.loosened)
	}
	if len(d.Used) == 0 {
		return nil
	}
	var err error
	if intent.Approvals, err = json.Marshal(d.Used); err != nil {
		return fmt.Errorf("encode the approvals: %w", err)
	}
	return nil
}

func approvalProblem(review Review) error {
	d := review.Decision
	why := fmt.Sprintf("This execution of %s can't run: %s.", review.ActionType, d.Missing)
	for _, reason := range review.ApprovalReasons {
		why += "\n  - it needs an approval because " + reason
	}
	next := d.Next
	if d.Payload == "" && d.Needed {
		next = "Plan again: the plan shows the change, and what approvers sign. " + next
	}
	return &problem.Problem{
		What: fmt.Sprintf("%s needs an approval", review.ActionType), Why: why, Next: "Nothing has run. " + next,
		Path: []string{"approved_by"}, Err: ErrNotApproved,
	}
}

// overtaken ends an execution whose approval another one used at the same moment. Nothing was sent.
func (r *run) overtaken(ctx context.Context, x Execution) (Execution, error) {
	cause := &problem.Problem{
		What: "Another execution used the approval at the same moment",
		Why:  "A signed approval is valid for one execution.",
		Next: "Nothing has run. Plan again and have the new payload signed.", Err: ErrNotApproved,
	}
	return r.conclude(ctx, x, ending{journal.StatusCancelled, playbook.Report{}, cause})
}
