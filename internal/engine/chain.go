package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gowebpki/jcs"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// link describes how earlier steps affect the preview of an execution.
type link struct {
	chain
	// earlier are the digests of all earlier steps that are still to run, including those that only earlier steps name.
	earlier []string
	// deferred says why the execution can't be previewed before the earlier steps have run. Empty: it can.
	deferred string
	warnings []string
}

// link finds out how the request's earlier steps affect its preview: they may change the target before it runs.
func (e *Engine) link(ctx context.Context, req Request, target string) (link, error) {
	l := link{chain: chain{After: req.After, Open: req.TriggersUnknown, OpenIncident: req.IncidentUnknown,
		Conditional: req.RunIf != RunAlways, Maybe: req.RunIf == RunMaybe}}
	if req.AfterUnknown {
		l.deferred = "it comes after a step whose preview is not known yet"
		return l, nil
	}
	for i, digest := range req.After {
		s, known, err := e.step(ctx, digest)
		switch {
		case err != nil:
			return l, err
		case !known && req.Known == 0:
			return l, unknownStepProblem(i, digest)
		case !known:
			l.warnings = append(l.warnings, fmt.Sprintf("after names a step that neither this run nor the journal "+
				"knows: %s. It is ignored.", digest))
		case s.state == stepPlanned && !slices.Contains(l.earlier, digest):
			l.earlier = append(l.earlier, digest)
			if err := e.before(ctx, s, &l.earlier); err != nil {
				return l, err
			}
		}
	}
	pending, err := e.pendingOn(ctx, target, l.earlier)
	if err != nil {
		return l, err
	}
	return l, e.follow(ctx, &l, pending)
}

// pendingOn returns the steps among the earlier ones that will change the target. A step that only an earlier step
// names counts too: a rollback after a gate is previewed on what the step before the gate leaves.
func (e *Engine) pendingOn(ctx context.Context, target string, earlier []string) (map[string]step, error) {
	pending := map[string]step{}
	for _, digest := range earlier {
		s, _, err := e.step(ctx, digest)
		if err != nil {
			return nil, err
		}
		if s.on(target) && !s.readOnly {
			pending[digest] = s
		}
	}
	return pending, nil
}

// follow decides what the preview starts from: the outcome of the last pending step on its target.
func (e *Engine) follow(ctx context.Context, l *link, pending map[string]step) error {
	for digest, s := range pending {
		var all []string
		if err := e.before(ctx, s, &all); err != nil {
			return err
		}
		last := true
		for other := range pending {
			last = last && (other == digest || slices.Contains(all, other))
		}
		switch {
		case !last:
		case s.chain.Maybe && !l.Maybe:
			l.deferred = fmt.Sprintf("it comes after %s, which may be skipped", s.playbook)
		case s.keeps:
			l.From, l.Start = s.chain.From, s.chain.Start
		case s.projection == nil:
			l.deferred = fmt.Sprintf("the state that %s leaves can't be predicted before it has run", s.playbook)
		default:
			l.From, l.Start = s.playbook, s.projection
		}
		if last {
			return nil
		}
	}
	if len(pending) > 1 {
		l.deferred = "it comes after several steps on its target, and none of them comes after all others"
	}
	return nil
}

// before adds to all the digests of the planned steps before s, directly or through other steps.
func (e *Engine) before(ctx context.Context, s step, all *[]string) error {
	for _, digest := range s.chain.After {
		if slices.Contains(*all, digest) {
			continue
		}
		earlier, known, err := e.step(ctx, digest)
		if err != nil {
			return err
		}
		if !known || earlier.state != stepPlanned {
			continue
		}
		*all = append(*all, digest)
		if err := e.before(ctx, earlier, all); err != nil {
			return err
		}
	}
	return nil
}

// step finds an execution by its digest: among those planned in this process, or by its newest record in the journal.
func (e *Engine) step(ctx context.Context, digest string) (step, bool, error) {
	if s, ok := e.cfg.Planned.find(digest); ok {
		return s, true, nil
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return step{}, false, err
	}
	newest, err := store.Find(ctx, journal.Filter{Digest: digest, All: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return step{}, false, err
	}
	rec := newest[0]
	s := step{playbook: rec.Subject.Playbook, target: rec.Subject.Target, readOnly: rec.Intent.ReadOnly}
	switch {
	case rec.Status == journal.StatusSkipped:
		s.state = stepSkipped
		return s, true, nil
	case !rec.DryRun:
		s.state = stepRan
		return s, true, nil
	}
	was, err := decoded(rec)
	if err != nil {
		return step{}, false, err
	}
	s.chain, s.keeps = was.Chain, was.Keeps
	s.projection, err = projected(was.Projection)
	return s, true, err
}

// projected encodes what a step leaves as canonical JSON, because a new preview and a record of it must give the same
// text. It returns nil for nil.
func projected(projection any) (json.RawMessage, error) {
	if projection == nil {
		return nil, nil
	}
	text, err := json.Marshal(projection)
	if err == nil {
		text, err = jcs.Transform(text)
	}
	if err != nil {
		return nil, fmt.Errorf("encode the projection of the preview: %w", err)
	}
	return text, nil
}

// rememberStep makes the review known to later steps.
func (e *Engine) rememberStep(r *Review) error {
	if r.Digest == "" {
		return nil
	}
	s := step{request: r.Request, playbook: r.ActionType, target: r.Target, locks: r.Locks, readOnly: r.ReadOnly,
		chain: r.chain,
		keeps: r.Keeps}
	var err error
	if s.projection, err = projected(r.Projection); err != nil {
		return err
	}
	e.cfg.Planned.add(r.Digest, s)
	return nil
}

// previewOf previews on what the earlier steps leave, or on the live target.
func previewOf(ctx context.Context, action playbook.Action, l link) (playbook.Preview, error) {
	if l.Start == nil {
		return action.Preview(ctx)
	}
	follower, ok := action.(playbook.Follower)
	if !ok {
		return playbook.Preview{}, playbook.ErrNotProjected
	}
	return follower.PreviewAfter(ctx, l.Start)
}

// deferredReview is the review of an execution that can't be previewed before earlier steps have run.
func deferredReview(req Request, target string, l link) Review {
	return Review{ActionType: req.ActionType, Target: target, Unseen: true, chain: l.chain,
		Warnings: append(slices.Clone(l.warnings), fmt.Sprintf("It can't be previewed now: %s. The execution is "+
			"previewed during apply, before it runs. If it needs an approval, that apply refuses it. Then plan "+
			"again, and approve what the second plan shows.", l.deferred))}
}

// unorderedWarning warns of two executions on one target of which neither names the other in after.
func unorderedWarning(target string) string {
	return fmt.Sprintf("More than one execution is planned on %s, and neither names the other in after. Each is "+
		"previewed on the target as it is now. If the first one changes what the second was reviewed on, apply "+
		"refuses the second. To plan them as one chain, set after = [<the earlier step>.preview.digest] on the later "+
		"one.", target)
}

// undoneWarning warns of an execution and an undo on one target, for example because a resource got another for_each
// key.
func undoneWarning(target string) string {
	return fmt.Sprintf("A destroy in this plan undoes an execution on %s, and another execution is planned there. "+
		"Whichever runs second finds a target that differs from the reviewed one, and apply refuses it. If the "+
		"resource only got another name or key, add a moved block: then nothing is undone, and nothing runs. "+
		"Otherwise apply the destroy first.", target)
}

// unknownStepProblem returns the error for a digest in after that belongs to no step.
func unknownStepProblem(i int, digest string) error {
	return &problem.Problem{
		What: "after names an unknown step", Why: fmt.Sprintf("Neither this run nor the journal knows the digest %s.",
			digest),
		Next: "Refer to preview.digest of the earlier resource instead of writing the digest down.",
		Path: []string{"after", strconv.Itoa(i)}, Err: errUnknownStep,
	}
}

var errUnknownStep = errors.New("no execution has this digest")

// skippedBefore returns the error for a step whose preview depends on earlier steps that did not run. It is nil if all
// of them ran. Steps that change nothing don't count.
func (e *Engine) skippedBefore(ctx context.Context, req Request) error {
	var names []string
	all := slices.Clone(req.After)
	for i := 0; i < len(all); i++ {
		s, known, err := e.step(ctx, all[i])
		if err != nil {
			return err
		}
		if known && s.state != stepRan && !s.readOnly {
			names = append(names, fmt.Sprintf("%s on %s", s.playbook, s.target))
		}
		for _, before := range s.chain.After {
			if !slices.Contains(all, before) {
				all = append(all, before)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("An earlier step of %s has not run", req.ActionType),
		Why: fmt.Sprintf("It was previewed on what these steps would leave, and they were skipped: %s.",
			strings.Join(names, ", ")),
		Next: "Nothing has run. Plan again: the new plan previews it on the target as it is now.",
		Err:  ErrTargetChanged,
	}
}

// undoLink returns the link for an undo of the execution. If later executions have changed the target, they are undone
// first, so the preview starts from what the execution itself left.
func (e *Engine) undoLink(ctx context.Context, execution journal.Ref) (link, error) {
	store, err := e.Journal(ctx)
	if err != nil {
		return link{}, nil //nolint:nilerr // the plan warns of a journal that can't be read
	}
	own, err := store.Get(ctx, execution.Number)
	if err != nil || own.Journal != execution.Journal {
		return link{}, nil //nolint:nilerr // it belongs to another journal, which Origin checks
	}
	newest, ok, err := e.newestOn(ctx, own.Identity())
	if err != nil || !ok || newest.ID == own.ID || newest.Status != journal.StatusSuccess {
		return link{}, err
	}
	was, err := decoded(own)
	if err != nil || was.Projection == nil {
		return link{}, err
	}
	l := link{chain: chain{From: own.Subject.Playbook}}
	l.Start, err = projected(was.Projection)
	return l, err
}

// planLink is link for a plan. If the journal can't be read, it defers the preview, unless all earlier steps were
// planned in this process.
func (e *Engine) planLink(ctx context.Context, req Request, target string) (link, error) {
	if req.Origin.Execution.Number != 0 {
		return e.undoLink(ctx, req.Origin.Execution)
	}
	l, err := e.link(ctx, req, target)
	if err == nil || errors.Is(err, errUnknownStep) {
		return l, err
	}
	return link{chain: l.chain, deferred: "its earlier steps can't be found in the journal"}, nil
}

// ordered makes the review known to later steps, and warns of another execution on its target if neither names the
// other in after.
func (e *Engine) ordered(req Request, review *Review, l link, inside bool) error {
	if req.Origin.Execution.Number != 0 { // a destroy orders its undos
		if !inside && e.cfg.Planned.undoes(review.Target) {
			review.Warnings = append(slices.Clip(review.Warnings), undoneWarning(review.Target))
		}
		return nil
	}
	// Two plans at the same moment must not miss each other, so each one is known before it looks for the other.
	if err := e.rememberStep(review); err != nil || inside || review.ReadOnly {
		return err
	}
	if e.cfg.Planned.undone(review.Target) {
		review.Warnings = append(slices.Clip(review.Warnings), undoneWarning(review.Target))
	}
	if e.cfg.Planned.unordered(review, l.earlier) {
		review.Warnings = append(slices.Clip(review.Warnings), unorderedWarning(review.Target))
	}
	return nil
}

// deferredProblem returns the error for a preview that needs earlier steps to have run, if it can't be made during
// apply, as in a data source.
func deferredProblem(req Request, l link) error {
	return &problem.Problem{
		What: fmt.Sprintf("%s can't be previewed yet", req.ActionType), Why: l.deferred + ".",
		Next: "Read the preview again after the earlier steps have run.", Path: []string{"after"},
		Err: playbook.ErrNotProjected,
	}
}
