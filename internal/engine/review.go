package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// escalateAfter is how many executions of one incident may fail in a row before the advice is to escalate.
const escalateAfter = 3

// deadlineFactor times the estimate is the deadline where none is given.
const deadlineFactor = 2

// leastDeadline is the shortest deadline that an estimate gives: one of zero, where nothing is to be done, would end at
// once.
const leastDeadline = 10 * time.Second

// Review is a preview with all that a reviewer needs to decide on it.
type Review struct {
	playbook.Preview
	ActionType string
	Target     string
	// Request identifies what is asked for; see journal.Subject.
	Request string
	Digest  string
	// IdentityHash and ContentHash are the SHA-256 sums, in hexadecimal, of what Identity and Content (with Facts)
	// hold.
	IdentityHash, ContentHash string
	// Record is the dry run's number in the journal, or zero where it has none.
	Record   int64
	Decision approval.Decision
	// Deadline bounds the execution, from its start. TimeoutSet reports that it is configured.
	Deadline   time.Duration
	TimeoutSet bool
	// Guardrails are those of the request.
	Guardrails []guard.Rail
	// AsOf is when the target was looked at.
	AsOf time.Time
	// History holds the newest executions of the same request, oldest first; Executions is how many there are in all.
	History    []journal.Record
	Executions int
	// Finished tells that the newest of them is the outcome of an apply already; see Request.Known.
	Finished bool
	// Warnings are for the reader of the plan: what is volatile or needs attention.
	Warnings []string
	// Unseen tells that the target can't be looked at before apply has settled the execution that is open on it.
	// Nothing is known then but ActionType, Target, Request and the history; see the warnings.
	Unseen bool

	facts json.RawMessage
	// loosened says where the approval policy demands less than it did for the execution before, or is empty.
	loosened string
}

// Look is a dry run that is not recorded: it is for nothing that apply would compare with. It changes nothing.
func (e *Engine) Look(ctx context.Context, req Request) (Review, error) {
	action, err := e.Bind(req)
	if err != nil {
		return Review{}, err
	}
	return e.look(ctx, req, action)
}

// look makes the preview of the live target. It changes nothing.
func (e *Engine) look(ctx context.Context, req Request, action playbook.Action) (Review, error) {
	target, err := action.Target(ctx)
	if err != nil {
		return Review{}, err
	}
	began := time.Now()
	preview, err := action.Preview(ctx)
	logging.Debug(ctx, logging.Engine, "target previewed", "playbook", req.ActionType, "target", target,
		"ms", time.Since(began).Milliseconds())
	if err != nil {
		return Review{Preview: playbook.Preview{Locks: preview.Locks}, ActionType: req.ActionType, Target: target}, err
	}
	facts, err := json.Marshal(preview.Facts)
	if err != nil {
		return Review{}, fmt.Errorf("encode the facts of the preview: %w", err)
	}
	digest, err := approval.Binding{
		Playbook: req.ActionType, Target: target, Inputs: req.Params,
		Triggers: req.Triggers, Commands: preview.Commands, Facts: facts,
	}.Digest()
	if err != nil {
		return Review{}, err
	}
	deadline := req.Timeout
	if deadline == 0 {
		deadline = max(deadlineFactor*preview.Duration, leastDeadline) + guard.Longest(req.Guardrails)
	}
	return Review{
		Preview: preview, ActionType: req.ActionType, Target: target, Digest: digest, Deadline: deadline,
		TimeoutSet: req.Timeout != 0, Guardrails: req.Guardrails,
		Warnings: preview.Warnings, facts: facts,
	}, nil
}

// subject says what the request is about. The same playbook, target, incident and inputs are the same request; triggers
// are not part of it, so that the history of a request outlives them.
func subject(req Request, target string) (journal.Subject, error) {
	inputs, err := jcs.Transform(req.Params)
	if err != nil {
		return journal.Subject{}, fmt.Errorf("canonical JSON of the inputs: %w", err)
	}
	sum := sha256.New()
	for _, part := range []string{"remediation.request.v1", req.ActionType, target, req.Incident, string(inputs)} {
		fmt.Fprintf(sum, "%d:%s\n", len(part), part)
	}
	return journal.Subject{
		Playbook: req.ActionType, Target: target, Incident: req.Incident,
		Request: hex.EncodeToString(sum.Sum(nil)),
	}, nil
}

// Plan is the dry run: it looks at the live target, journals what it saw and decides on the approval. It changes
// nothing on the target. A journal that can't be used is a warning here; apply refuses then. So is a target that can't
// be looked at while an execution is open on it; see Review.Unseen.
func (e *Engine) Plan(ctx context.Context, req Request) (Review, error) {
	action, err := e.Bind(req)
	if err != nil {
		return Review{}, err
	}
	if err := guard.CheckSources(e.cfg.Metrics, req.Guardrails); err != nil {
		return Review{}, err
	}
	review, lookErr := e.look(ctx, req, action)
	if lookErr != nil && (review.Target == "" || ctx.Err() != nil) {
		return Review{}, lookErr
	}
	if lookErr == nil {
		if err := guard.CheckSteps(req.Guardrails, review.Step); err != nil {
			return Review{}, err
		}
		watch := guard.Begin(ctx, e.cfg.Metrics, req.Guardrails, guard.Traffic(review.Exposure))
		review.Warnings = append(review.Warnings, watch.Warnings()...)
	}
	var decideErr error
	if lookErr == nil {
		decideErr = e.decide(ctx, req, &review)
	}
	moved, err := e.remember(ctx, req, &review, lookErr)
	if err == nil {
		err = decideErr
	}
	switch {
	case lookErr != nil && moved != nil:
		return Review{}, moved
	case lookErr != nil:
		return e.unseen(ctx, review, lookErr)
	case err != nil:
		p := problem.Of(err, "The journal can't be used")
		review.Warnings = append(review.Warnings,
			fmt.Sprintf("%s. %s Apply will refuse to run anything until it can be written.", p.What, p.Detail()))
	case moved != nil:
		return Review{}, moved
	}
	if req.ExpectedDigest != "" && req.ExpectedDigest != review.Digest {
		return Review{}, digestProblem(req.ExpectedDigest, review.Digest)
	}
	if review.Decision.RefusedAtPlan {
		return Review{}, approvalProblem(review)
	}
	return review, nil
}

// remember journals the dry run, unless the newest record of the request is the same dry run, and completes the review
// with what the journal knows. When this plan is one within an apply and the target has moved since the plan that was
// reviewed, that is returned as a problem; and so is one that can't be looked at any more.
func (e *Engine) remember(ctx context.Context, req Request, review *Review, lookErr error) (moved, err error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return nil, err
	}
	about, err := subject(req, review.Target)
	if err != nil {
		return nil, err
	}
	review.Request = about.Request
	past := journal.Filter{Request: about.Request, Limit: e.cfg.HistoryLimit}
	if review.History, err = store.Find(ctx, past); err != nil {
		return nil, err
	}
	if review.Executions, err = store.Count(ctx, past); err != nil {
		return nil, err
	}
	last, err := store.Find(ctx, journal.Filter{Request: about.Request, DryRuns: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	intent, err := e.intent(req, *review)
	if err != nil {
		return nil, err
	}
	if lookErr != nil {
		intent.Problem = lookErr.Error()
		moved = e.outOfSight(last, intent, lookErr)
	} else if len(last) > 0 {
		moved = e.movedWithinApply(last[0], *review, intent)
	}
	if len(last) > 0 && e.withinApply(last[0], intent) {
		review.asOf(last[0])
	}
	if rec, ok := e.finished(req, about, review.History); ok {
		review.Finished = true
		review.Warnings = append(review.Warnings, warnOfFinished(rec))
	}
	if moved == nil && !e.sameDryRun(last, intent) {
		if _, err := store.Begin(ctx, about, journal.KindDryRun, intent); err != nil {
			return nil, err
		}
	}
	if warning := e.escalation(ctx, store, req.Incident); warning != "" {
		review.Warnings = append(review.Warnings, warning)
	}
	return moved, nil
}

// sameDryRun tells whether the newest dry run says it all. Another Terraform run that may yet apply is recorded anew,
// so that its own plan is what its apply is compared with.
func (e *Engine) sameDryRun(last []journal.Record, intent journal.Intent) bool {
	return len(last) == 1 && last[0].Intent.Digest == intent.Digest && last[0].Intent.Problem == intent.Problem &&
		last[0].Intent.ApprovedBy == intent.ApprovedBy && (e.cfg.Terraform.SavedPlan ||
		last[0].Intent.Session == intent.Session)
}

func (e *Engine) intent(req Request, review Review) (journal.Intent, error) {
	intent := journal.Intent{
		Params: req.Params, Triggers: req.Triggers, Preview: review.encoded(), Digest: review.Digest,
		ApprovedBy: req.Given.By, Holder: e.cfg.Self, Session: e.cfg.Terraform.Session,
	}
	return intent, e.approved(&intent, review)
}

// shown is the preview as the journal keeps it: for comparison with a later one, and for import.
type shown struct {
	playbook.Preview
	Facts json.RawMessage `json:"facts"`
}

func (r Review) encoded() json.RawMessage {
	if r.Digest == "" {
		return nil
	}
	text, err := json.Marshal(shown{Preview: r.Preview, Facts: r.facts})
	if err != nil {
		return nil // every field has been encoded once before
	}
	return text
}

// escalation advises to escalate when the incident's newest executions all failed.
func (e *Engine) escalation(ctx context.Context, store journal.Store, incident string) string {
	if incident == "" {
		return ""
	}
	newest, err := store.Find(ctx, journal.Filter{Incident: incident, Limit: escalateAfter})
	if err != nil || len(newest) < escalateAfter {
		return ""
	}
	for _, r := range newest {
		if r.Status != journal.StatusFailed {
			return ""
		}
	}
	return fmt.Sprintf("The last %d executions for incident %s failed. Escalate to the team that owns the system "+
		"instead of trying on.",
		escalateAfter, incident)
}

// Problems that fronts and tests tell apart.
var (
	ErrNotApproved   = errors.New("not approved")
	ErrTargetChanged = errors.New("the target changed since it was reviewed")
	ErrOutcome       = errors.New("the outcome of an earlier execution is not known")
	ErrBusy          = errors.New("the target is busy")
	ErrDeadline      = errors.New("the execution passed its deadline")
	ErrLease         = errors.New("the hold on the target could not be renewed")
)

func digestProblem(expected, now string) error {
	return &problem.Problem{
		What: "The preview is not the one that expected_digest pins",
		Why:  fmt.Sprintf("expected_digest is %s, but what would run now has the digest %s.", expected, now),
		Next: "Nothing has run. Review the new preview, then set expected_digest to its digest or remove it.",
		Path: []string{"expected_digest"}, Err: ErrTargetChanged,
	}
}
