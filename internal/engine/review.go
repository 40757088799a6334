package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/cache"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// deadlineFactor is multiplied by the estimate. The product is the deadline if none is configured and the estimate was
// measured; otherwise, passing the product is only reported.
const deadlineFactor = 2

// leastDeadline is the shortest deadline that follows from an estimate: a deadline of zero would end at once.
const leastDeadline = 10 * time.Second

// unmeasuredDeadline is the shortest deadline of an execution whose estimate nobody measured: healthy work must not end
// because of a guess.
const unmeasuredDeadline = 24 * time.Hour

// defaultOnDestroy is what destroy does if the configuration doesn't say.
const defaultOnDestroy = "keep"

// Review is a preview with everything that a reviewer needs to decide on it.
type Review struct {
	playbook.Preview
	ActionType string
	Target     string
	// ReadOnly reports that the execution changes nothing; see playbook.Metadata.
	ReadOnly bool
	// Request identifies the playbook, target, incident, and inputs; see journal.Subject.
	Request string
	Digest  string
	// IdentityHash and ContentHash are the SHA-256 sums, in hexadecimal, of Identity and Content (with Facts).
	IdentityHash, ContentHash string
	// Record is the number of the dry run in the journal, or zero if it has none.
	Record   int64
	Decision approval.Decision
	// Deadline bounds the execution, from its start. TimeoutSet reports that it is configured.
	Deadline   time.Duration
	TimeoutSet bool
	// Expected is twice the estimate, or more where the playbook needs it. An execution that takes longer is reported.
	Expected time.Duration
	// Guardrails are those of the request.
	Guardrails []guard.Rail
	// AsOf is when the target was read.
	AsOf time.Time
	// Number counts the executions of the playbook on the target, including the planned one; zero if it is unknown.
	// Last says in one line how the previous one ended, and is empty if there was none.
	Number int
	Last   string
	// History contains the newest executions of the same request, oldest first. Executions is how many there are in
	// total.
	History    []journal.Record
	Executions int
	// Finished reports that the newest of them is the outcome of an apply that the state doesn't contain; see
	// Request.Known.
	Finished bool
	// Warnings are for what the reader of the plan should act on.
	Warnings []string
	// Unseen reports that there is no preview before apply: an execution is open on the target and has to be adopted
	// first, or earlier steps have to run first. At most ActionType, Target, Request, and the history are known then;
	// see the warnings.
	Unseen bool

	chain  chain
	facts  json.RawMessage
	safety approval.Safety
	// first is the record that the approval's payload names, or zero for this dry run's own.
	first int64
	// weighed is the case that the approval was decided on.
	weighed approval.Case
	// ownReasons are the playbook's reasons for an approval, without those of policy.
	ownReasons []string
	// caches are the cache entries that the preview used. Nil: none.
	caches *caches
	// remarks list anything unusual about what runs, for the history.
	remarks []string
	// loosened says where the approval policy requires less than for the previous execution, or is empty.
	loosened string
}

// Look is a dry run that is not recorded. It changes nothing.
func (e *Engine) Look(ctx context.Context, req Request) (Review, error) {
	action, err := e.bind(&req)
	if err != nil {
		return Review{}, err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return Review{}, err
	}
	l, err := e.link(ctx, req, target)
	if err != nil {
		return Review{}, err
	}
	if l.deferred != "" {
		return Review{}, deferredProblem(req, l)
	}
	review, err := e.look(ctx, req, action, l)
	if err != nil {
		return Review{}, err
	}
	if err := e.decide(ctx, req, &review, shownBy{any: true}); err != nil {
		e.decideAlone(req, &review)
	}
	return review, nil
}

// look previews the live target, or what earlier steps leave there. It changes nothing.
func (e *Engine) look(ctx context.Context, req Request, action playbook.Action, l link) (Review, error) {
	target, err := action.Target(ctx)
	if err != nil {
		return Review{}, err
	}
	began := time.Now()
	about, err := subject(req, Review{Target: target})
	if err != nil {
		return Review{}, err
	}
	used := e.caches(about)
	ctx = cache.With(playbook.WithPast(ctx, e.past(req.ActionType, target)), used)
	preview, err := previewOf(ctx, action, l)
	logging.Debug(ctx, logging.Engine, "target previewed", "playbook", req.ActionType, "target", target,
		"ms", time.Since(began).Milliseconds())
	if err != nil {
		return Review{Preview: playbook.Preview{Locks: preview.Locks}, ActionType: req.ActionType, Target: target}, err
	}
	review := Review{
		Preview: preview, ActionType: req.ActionType, Target: target, TimeoutSet: req.Timeout != 0,
		ReadOnly: req.page.ReadOnly, Guardrails: req.Guardrails, AsOf: e.cfg.Clock.Now(), chain: l.chain, caches: used,
		Warnings: append(slices.Clip(l.warnings), preview.Warnings...),
	}
	review.limit(req)
	if w := review.tooShort(req); w != "" {
		review.Warnings = append(review.Warnings, w)
	}
	return review, review.bind(req)
}

// limit sets Expected and Deadline. An estimate that nobody measured makes no deadline shorter than unmeasuredDeadline.
func (r *Review) limit(req Request) {
	r.Expected = max(deadlineFactor*r.Duration, leastDeadline, r.LeastDeadline) + r.Overtime +
		guard.Longest(req.watched())
	switch {
	case req.Timeout != 0:
		r.Deadline = req.Timeout
	case r.Measured || r.ReadOnly:
		r.Deadline = r.Expected
	default:
		r.Deadline = max(r.Expected, unmeasuredDeadline)
	}
}

// bind computes the digest of the preview, and the hashes that are part of it.
func (r *Review) bind(req Request) error {
	var err error
	if r.facts, err = json.Marshal(r.Facts); err != nil {
		return fmt.Errorf("encode the facts of the preview: %w", err)
	}
	if r.IdentityHash, r.ContentHash, err = r.hashes(); err != nil {
		return err
	}
	if r.safety, err = safety(req, r.Rollback); err != nil {
		return err
	}
	inputs, err := req.ownInputs()
	if err != nil {
		return err
	}
	r.Digest, err = approval.Binding{
		Playbook: r.ActionType, Target: r.Target, Inputs: inputs, Triggers: req.Triggers, Commands: r.Commands,
		Safety: r.safety, Identity: r.IdentityHash, Content: r.ContentHash,
	}.Digest()
	return err
}

// hashes returns the two hashes in the digest.
func (r *Review) hashes() (identity, content string, err error) {
	what := r.Identity
	if what == nil {
		what = r.Target
	}
	if identity, err = approval.Hash(what); err != nil {
		return "", "", err
	}
	facts, err := r.boundFacts()
	if err != nil {
		return "", "", err
	}
	content, err = approval.Hash(map[string]any{"facts": facts, "content": r.Content})
	return identity, content, err
}

// boundFacts returns the facts without those that may change between plan and apply.
func (r *Review) boundFacts() (json.RawMessage, error) {
	if len(r.Unbound) == 0 {
		return r.facts, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(r.facts, &all); err != nil {
		return nil, fmt.Errorf("decode the facts of the preview: %w", err)
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return slices.Contains(r.Unbound, name) })
	return json.Marshal(all)
}

// watched returns the guardrails that the engine reads during the execution. A gate reads its own.
func (r Request) watched() []guard.Rail {
	if r.page.Gate {
		return nil
	}
	return r.Guardrails
}

// ownInputs returns the inputs as they are in the digest. Guardrails are always in the digest's safety member.
func (r Request) ownInputs() (json.RawMessage, error) {
	if !r.page.Gate {
		return r.inputs, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(r.inputs, &all); err != nil {
		return nil, fmt.Errorf("decode the inputs: %w", err)
	}
	delete(all, playbook.InputGuardrails)
	return json.Marshal(all)
}

// safety returns what bounds the execution, as configured, and what undoes it.
func safety(req Request, undo *playbook.Rollback) (approval.Safety, error) {
	s := approval.Safety{Timeout: approval.DefaultTimeout, OnDestroy: req.OnDestroy}
	if req.Timeout != 0 {
		s.Timeout = req.Timeout.String()
	}
	if s.OnDestroy == "" {
		s.OnDestroy = defaultOnDestroy
	}
	rails := req.Guardrails
	if rails == nil {
		rails = []guard.Rail{}
	}
	var err error
	if s.Guardrails, err = json.Marshal(rails); err != nil {
		return s, fmt.Errorf("encode the guardrails: %w", err)
	}
	if s.Undo, err = json.Marshal(undo); err != nil {
		return s, fmt.Errorf("encode the undo: %w", err)
	}
	return s, nil
}

// identityLock returns the name of the lock on the target's identity, which is the same under every name of the target.
func (r *Review) identityLock() string { return "identity:" + r.IdentityHash }

// subject identifies the request. The same playbook, target, incident, and inputs are the same request. Triggers are
// not part of it, so a request keeps its history when they change.
func subject(req Request, review Review) (journal.Subject, error) {
	inputs, err := jcs.Transform(req.inputs)
	if err != nil {
		return journal.Subject{}, fmt.Errorf("canonical JSON of the inputs: %w", err)
	}
	sum := sha256.New()
	const format = "remediation.request.v1"
	for _, part := range []string{format, req.ActionType, review.Target, req.Incident, string(inputs)} {
		fmt.Fprintf(sum, "%d:%s\n", len(part), part)
	}
	about := journal.Subject{
		Playbook: req.ActionType, Target: review.Target, Incident: req.Incident,
		Request: hex.EncodeToString(sum.Sum(nil)), Digest: review.Digest, Identity: review.IdentityHash,
	}
	return about, nil
}

// Plan is the dry run: it previews the live target, records what it shows, and decides on the approval. It changes
// nothing on the target. A journal that can't be used is a warning here; apply refuses then. So is a target that can't
// be previewed while an execution is open on it; see Review.Unseen.
func (e *Engine) Plan(ctx context.Context, req Request) (Review, error) {
	action, err := e.bind(&req)
	if err != nil {
		return Review{}, err
	}
	if err := guard.CheckSources(e.cfg.Metrics, req.Guardrails); err != nil {
		return Review{}, err
	}
	target, err := action.Target(ctx)
	if err != nil {
		return Review{}, err
	}
	l, linkErr := e.planLink(ctx, req, target)
	if linkErr != nil || l.deferred != "" {
		return deferredReview(req, target, l), linkErr
	}
	review, lookErr := e.look(ctx, req, action, l)
	if errors.Is(lookErr, playbook.ErrNotProjected) {
		l.deferred = fmt.Sprintf("it comes after %s on the same target", l.From)
		if p := new(problem.Problem); errors.As(lookErr, &p) {
			l.deferred += ". " + p.What + ". " + strings.TrimSuffix(p.Why, ".")
		}
		return deferredReview(req, target, l), nil
	}
	if lookErr != nil && (review.Target == "" || ctx.Err() != nil) {
		return Review{}, lookErr
	}
	if err := e.checkState(ctx, req); err != nil {
		return Review{}, err
	}
	if err := e.checkOrigin(ctx, req, review); err != nil {
		return Review{}, err
	}
	if lookErr == nil {
		if err := guard.CheckSteps(req.Guardrails, review.Step); err != nil {
			return Review{}, err
		}
		watch := guard.Begin(ctx, e.cfg.Metrics, req.watched(), guard.Traffic(review.Exposure))
		review.Warnings = append(review.Warnings, watch.Warnings()...)
	}
	p := planning{engine: e, req: req, review: &review, lookErr: lookErr}
	refused, err := p.remember(ctx)
	switch {
	case refused != nil:
		return Review{}, refused
	case lookErr != nil:
		return e.unseen(ctx, review, lookErr)
	case err != nil:
		if err := e.lostJournal(err); err != nil {
			return Review{}, err
		}
		e.decideAlone(req, &review)
		p := problem.Of(err, "The journal can't be used")
		review.Warnings = append(review.Warnings,
			fmt.Sprintf("%s. %s Apply will refuse to run anything until the journal can be "+
				"written.", p.What, p.Detail()))
	}
	if req.ExpectedDigest != "" && !req.TriggersUnknown && !approval.Pins(req.ExpectedDigest, review.Digest) {
		return Review{}, digestProblem(req.ExpectedDigest, review.Digest)
	}
	if review.Decision.RefusedAtPlan {
		return Review{}, approvalProblem(review)
	}
	return review, e.ordered(req, &review, l, p.inside)
}

// lostJournal refuses a plan inside the apply of a saved plan whose records can't be read.
func (e *Engine) lostJournal(cause error) error {
	saved, err := e.savedPlan()
	if err != nil || !saved.Previews() {
		return nil //nolint:nilerr // a plan that can't be read proves nothing
	}
	p := *problem.Of(cause, "The journal can't be used")
	p.Next = "Nothing has run. Apply needs the journal that the plan was recorded in. " + p.Next
	p.Err = cause
	return &p
}

// deadlineError is the cause of a context that ended at the deadline. A target recognizes it by Timeout, as it does
// context.DeadlineExceeded.
type deadlineError struct{}

func (deadlineError) Error() string { return "the execution passed its deadline" }

// Timeout reports that time ran out.
func (deadlineError) Timeout() bool { return true }

// Errors that fronts and tests distinguish.
var (
	ErrNotApproved   = errors.New("not approved")
	ErrTargetChanged = errors.New("the target changed since it was reviewed")
	ErrOutcome       = errors.New("the outcome of an earlier execution is unknown")
	ErrBusy          = errors.New("the target is busy")
	ErrDeadline      = error(deadlineError{})
	ErrLease         = errors.New("the lease on the target could not be renewed")
	ErrJournal       = errors.New("this is not the journal that the plan or the state was recorded in")
	ErrTarget        = errors.New("this is not the target that the execution changed")
)
