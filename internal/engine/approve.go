package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// decide weighs the approvals of req, with what the journal knows of them. Without a journal it decides on the
// configuration alone and returns the journal's error: that is good enough for a plan, and apply doesn't come that far.
func (e *Engine) decide(ctx context.Context, req Request, review *Review) error {
	c := approval.Case{
		Playbook: review.ActionType, Target: review.Target, Digest: review.Digest, Reasons: review.ApprovalReasons,
		Risk: string(review.Risk), CostUSD: review.CostUSD, Count: review.Size(), Now: e.cfg.Clock.Now(),
		Payload: approval.Payload(review.ActionType, review.Target, review.Digest, 0),
	}
	if e.cfg.Forge != nil && e.cfg.Policy.NeedsForge(c, req.Given) {
		confirmed := e.cfg.Forge.Confirmed(ctx)
		c.Confirmed = &confirmed
	}
	err := e.evidence(ctx, req, &c)
	review.Decision = e.cfg.Policy.Decide(c, req.Given)
	review.ApprovalReasons = review.Decision.Reasons
	if err == nil {
		review.loosened, err = e.loosened(ctx, review.Target)
	}
	if review.loosened != "" {
		review.Warnings = append(slices.Clip(review.Warnings),
			"The approval policy demands less than before. "+review.loosened)
	}
	return err
}

// evidence completes c with what the journal knows: which executions there have been of the same change, which
// signatures they used, when the change was first shown, and a time that is not before anything it holds.
func (e *Engine) evidence(ctx context.Context, req Request, c *approval.Case) error {
	if !e.cfg.Policy.Asks(*c, req.Given) {
		return nil
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return err
	}
	about, err := subject(req, c.Target)
	if err != nil {
		return err
	}
	newest, err := store.Find(ctx, journal.Filter{All: true, Limit: 1})
	if err != nil {
		return err
	}
	for _, rec := range newest {
		c.Now = later(c.Now, rec.CreatedAt)
	}
	past, err := store.Find(ctx, journal.Filter{Playbook: about.Playbook, Target: about.Target})
	if err != nil {
		return err
	}
	var after int64
	if c.Spent, after, err = spent(past, about.Request, c.Digest); err != nil {
		return err
	}
	c.Payload = approval.Payload(c.Playbook, c.Target, c.Digest, after)
	if e.cfg.Policy.MaxAge == 0 {
		return nil
	}
	shown, err := store.Find(ctx, journal.Filter{Request: about.Request, DryRuns: true})
	for _, rec := range shown {
		if rec.ID > after && rec.Intent.Digest == c.Digest {
			c.FirstSeen = rec.CreatedAt
			break
		}
	}
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// spent returns which executions used signatures, and the last execution of the request with this digest.
func spent(past []journal.Record, request, digest string) (used map[string]int64, after int64, err error) {
	used = map[string]int64{}
	for _, rec := range past {
		if rec.Subject.Request == request && rec.Intent.Digest == digest {
			after = rec.ID
		}
		if rec.Intent.Approvals == nil {
			continue
		}
		var approvals []approval.Used
		if err := json.Unmarshal(rec.Intent.Approvals, &approvals); err != nil {
			return nil, 0, fmt.Errorf("approvals of execution %d: %w: %w", rec.ID, journal.ErrDamaged, err)
		}
		for _, a := range approvals {
			if a.Signature != "" {
				used[approval.SignatureHash(a.Signature)] = rec.ID
			}
		}
	}
	return used, after, nil
}

// spentMeanwhile tells whether another execution used one of the signatures between the decision and the intent.
func (r *run) spentMeanwhile(ctx context.Context, rec journal.Record, d approval.Decision) (bool, error) {
	if !slices.ContainsFunc(d.Used, func(u approval.Used) bool { return u.Signature != "" }) {
		return false, nil
	}
	past, err := r.store.Find(ctx, journal.Filter{Playbook: rec.Subject.Playbook, Target: rec.Subject.Target})
	if err != nil {
		return false, err
	}
	past = slices.DeleteFunc(past, func(other journal.Record) bool { return other.ID >= rec.ID })
	used, _, err := spent(past, "", "")
	for _, u := range d.Used {
		if _, ok := used[approval.SignatureHash(u.Signature)]; ok && u.Signature != "" {
			return true, nil
		}
	}
	return false, err
}

// agreed is the policy as the journal keeps it.
type agreed struct {
	Fingerprint string         `json:"fingerprint"`
	Terms       approval.Terms `json:"terms"`
}

// encodedPolicy is the policy for an intent, nil where there is none.
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

// loosened compares the policy with that of the target's last execution, or of the last one at all, and says where it
// demands less now. Dry runs don't count: the plan of the very change that loosens it would hide it from the next one.
func (e *Engine) loosened(ctx context.Context, target string) (string, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return "", err
	}
	last, err := store.Find(ctx, journal.Filter{Target: target, Limit: 1})
	if err == nil && len(last) == 0 {
		last, err = store.Find(ctx, journal.Filter{Limit: 1})
	}
	if err != nil || len(last) == 0 || last[0].Intent.Policy == nil {
		return "", err
	}
	var was agreed
	if err := json.Unmarshal(last[0].Intent.Policy, &was); err != nil {
		return "", fmt.Errorf("policy of execution %d: %w: %w", last[0].ID, journal.ErrDamaged, err)
	}
	list := e.cfg.Policy.Terms().Loosened(was.Terms)
	if len(list) == 0 {
		return "", nil
	}
	return fmt.Sprintf("Since execution %d: %s.", last[0].ID, strings.Join(list, "; ")), nil
}

// approved completes an intent with what was decided.
func (e *Engine) approved(intent *journal.Intent, review Review) error {
	d := review.Decision
	intent.Payload, intent.Remarks = d.Payload, slices.Clone(d.Remarks)
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
	why := fmt.Sprintf("This execution of %s can't go ahead: %s.", review.ActionType, d.Missing)
	for _, reason := range review.ApprovalReasons {
		why += "\n  - it needs an approval because " + reason
	}
	return &problem.Problem{
		What: fmt.Sprintf("%s needs an approval", review.ActionType), Why: why, Next: "Nothing has run. " + d.Next,
		Path: []string{"approved_by"}, Err: ErrNotApproved,
	}
}

// conclude an execution whose approval somebody else used at the same moment. Nothing was sent.
func (r *run) overtaken(ctx context.Context, x Execution) (Execution, error) {
	cause := &problem.Problem{
		What: "Its approval was used by another execution at the same " +
			"moment", Why: "An approval that is signed is for one execution.",
		Next: "Nothing has run. Plan again and have the new payload signed.", Err: ErrNotApproved,
	}
	return r.conclude(ctx, x, ending{journal.StatusCancelled, playbook.Report{}, cause})
}
