package tfkit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// dryRunSkipped is the dry run's text for a resource whose run_if is false.
const dryRunSkipped = "Skipped: run_if is false, so nothing runs.\n"

// ModifyPlan implements resource.ResourceWithModifyPlan: the dry run.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	ctx = r.runtime.logged(ctx)
	r.saw(ctx, req.Private)
	if req.Plan.Raw.IsNull() {
		r.planDestroy(ctx, req, resp)
		return
	}
	prior, err := openDocument(req.State.Raw)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the state", r.has)
		return
	}
	plan, err := openDocument(req.Plan.Raw)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the plan", r.has)
		return
	}
	p := planning{resource: r, resp: resp, prior: prior, plan: plan.clone(), create: req.State.Raw.IsNull(),
		mark: markOf(ctx, req.Private), recent: recentExecutions(ctx, req.Private)}
	if err := p.run(ctx); err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview "+r.front.Playbook.Metadata().ActionType, r.has)
		return
	}
	resp.Plan.Raw = p.plan.raw()
}

// planning is one call of ModifyPlan, except for a destroy.
type planning struct {
	resource    *Resource
	resp        *resource.ModifyPlanResponse
	prior, plan document
	create      bool
	// mark is the newest journal entry that the state has seen.
	mark journal.Mark
	// recent is how many executions the last refresh counted on a target with drift.
	recent int
}

func (p *planning) run(ctx context.Context) error {
	r := p.resource
	if !r.changed(p.plan, p.prior, p.create) && !r.reconciles(p.plan, p.prior, p.recent) {
		p.plan.copyFrom(p.prior, r.computed()...)
		p.warnOfDrift()
		return nil
	}
	req, known, err := r.request(p.plan, p.operation())
	if err != nil {
		return err
	}
	req.Creates = p.create
	if err := p.prior.fillIn(&req, p.mark); err != nil {
		return err
	}
	runIf := p.plan.runIf()
	ready := known && r.runtime != nil && r.runtime.Engine != nil
	switch {
	case runIf == no:
		return p.skip(ctx, req, ready)
	case !ready:
		p.warnUnknown()
		p.plan.setUnknown(r.computed()...)
		return nil
	default:
		return p.preview(ctx, req, runIf)
	}
}

func (p *planning) operation() string {
	if p.create {
		return "create"
	}
	return "update"
}

// skip plans no execution, because run_if is false. If a plan has shown a preview, because run_if was unknown, the
// preview is shown again: Terraform requires the same values inside an apply.
func (p *planning) skip(ctx context.Context, req engine.Request, ready bool) error {
	p.plan.setUnknown(attrPreview, attrDryRun)
	if ready {
		if review, shown := p.resource.runtime.Engine.PlanSkipped(ctx, req); shown {
			if _, err := p.describe(review); err != nil {
				return err
			}
		}
	}
	return p.resource.skip(p.plan, p.prior)
}

// skip records in d that run_if is false. Earlier executions stay in the history.
func (r *Resource) skip(d, prior document) error {
	d.copyFrom(prior, attrHistory)
	values := map[string]any{attrID: nil, attrStatus: statusSkipped, attrRollback: nil,
		attrResult: map[string]any{"message": "Skipped: run_if is false."}}
	if !d.known(attrPreview) {
		values[attrPreview] = map[string]any{}
	}
	if !d.known(attrDryRun) {
		values[attrDryRun] = dryRunSkipped
	}
	for name, v := range values {
		if err := d.set(name, v); err != nil {
			return err
		}
	}
	if err := d.setResults(nil, r.results()); err != nil {
		return err
	}
	d.clearDrift()
	if prior.null(attrHistory) {
		d.setHistory(nil, 0)
	}
	return nil
}

// preview fills in the known values of the planned execution.
func (p *planning) preview(ctx context.Context, req engine.Request, runIf wanted) error {
	review, err := p.resource.runtime.Engine.Plan(ctx, req)
	if err != nil {
		return err
	}
	p.warn(review)
	if review.Unseen {
		p.plan.setUnknown(p.resource.computed()...)
		return nil
	}
	before, err := p.describe(review)
	if err != nil {
		return err
	}
	if req.TriggersUnknown {
		if err := p.plan.setPreviewUnknown("digest", "approval_payload"); err != nil {
			return err
		}
	}
	p.plan.setUnknown(attrID, attrStatus, attrResult, attrRollback)
	p.plan.setUnknown(p.resource.results()...)
	if !p.resource.front.Playbook.Metadata().CanUndo && runIf != maybe {
		if err := p.plan.set(attrRollback, nil); err != nil {
			return err
		}
	}
	p.plan.clearDrift()
	if len(before.elements) == 0 || runIf == maybe || req.TriggersUnknown || req.IncidentUnknown || review.Finished ||
		slices.ContainsFunc(review.History, journal.Record.Open) {
		// The number of history elements that apply adds is unknown: none, or also one for an execution that another
		// process left. Without an earlier execution, a planned element would only repeat the preview.
		p.plan.setUnknown(attrHistory)
		return nil
	}
	next, err := p.plan.plannedEntry(req)
	if err != nil {
		return err
	}
	p.plan.setHistory(append(before.elements, next), p.resource.runtime.HistoryLimit)
	return nil
}

// describe puts the review into the plan, as values and as text, and returns the earlier executions.
func (p *planning) describe(review engine.Review) (earlier, error) {
	was, err := p.earlier(review)
	if err != nil {
		return earlier{}, err
	}
	if err := p.plan.describe(p.resource.runtime, review); err != nil {
		return earlier{}, err
	}
	if !p.plan.approvalsKnown() {
		p.plan.setUnknown(attrDryRun) // the text says who has approved
		return was, nil
	}
	return was, p.plan.set(attrDryRun, p.layout(review))
}

// layout returns the text of the dry run in the layout that the text in the state doesn't have; see text.Unlike. A
// create doesn't see the text of the resource that it replaces, which was usually that of the previous execution: the
// layouts alternate by the execution's number then.
func (p *planning) layout(review engine.Review) string {
	const both = 2
	if p.create && review.Number%both == 0 && review.Number > 0 {
		return text.Indented(review.Text())
	}
	return text.Unlike(review.Text(), p.prior.text(attrDryRun))
}

// earlier lists executions that have ended: their history elements, oldest first, and the journal's number of the
// newest one in the state, or zero. ids are the identifiers of those in the state.
type earlier struct {
	elements []tftypes.Value
	newest   int64
	ids      []string
}

// earlier returns the ended executions in the state, and from the journal those that the state lacks because a process
// was terminated. A create has no state: its history is that of the same request in the journal. This restores the
// history of a failed create, which Terraform replaces. An execution that is still open is left out, because it becomes
// the outcome of the apply.
func (p *planning) earlier(review engine.Review) (earlier, error) {
	if !p.create {
		return p.prior.earlierWith(review.History)
	}
	elements, err := p.plan.entries(after(review.History, 0))
	return earlier{elements: elements}, err
}

// warn adds warnings for what attributes can't express: volatile figures, and what apply will refuse. Terraform shows
// only the first of several warnings with the same summary. Each summary therefore names its subject, and each subject
// has one warning.
func (p *planning) warn(review engine.Review) {
	subject := fmt.Sprintf("%s on %s", review.ActionType, review.Target)
	switch all := review.Warnings; len(all) {
	case 0:
	case 1:
		addWarning(&p.resp.Diagnostics, subject, all[0])
	default:
		addWarning(&p.resp.Diagnostics, subject, "- "+strings.Join(all, "\n- "))
	}
	if review.Unseen {
		return // its warning reports the open execution
	}
	for _, rec := range review.History {
		if rec.Open() {
			p.resp.Diagnostics.AddWarning(fmt.Sprintf("Execution %d of %s is still open", rec.ID, subject), fmt.Sprintf(
				"It was started at %s by %s. If that process no longer exists, apply adopts the execution and runs "+
					"nothing a second time.",
				Stamp(rec.CreatedAt), rec.Holder))
		}
	}
	if d := review.Decision; !d.Granted && p.plan.approvalsKnown() {
		p.resp.Diagnostics.AddAttributeWarning(path.Root(attrApprovedBy), "Approval needed: "+review.Summary,
			fmt.Sprintf(
				"Apply will refuse: %s.%s\n\n%s", d.Missing, reasons(review.ApprovalReasons), d.Next))
	}
}

func reasons(list []string) string {
	out := ""
	for _, reason := range list {
		out += "\n  - it needs an approval because " + reason
	}
	return out
}

// undoAnnounced is the key in private state that tells the apply of a destroy that the plan announced the undo, and
// which preview it showed. A destroy that is part of a replacement, as after a failed create, is not planned, or is
// planned where nobody sees it, and undoes nothing.
const undoAnnounced = "undo_announced"

// planDestroy warns about what a destroy does besides removing the resource from the state.
func (r *Resource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	prior, err := openDocument(req.State.Raw)
	if err != nil || prior.text(attrOnDestroy) != onDestroyRollback {
		return
	}
	if prior.null(attrRollback) {
		if why := prior.whyNoUndo(); why != "" {
			resp.Diagnostics.AddWarning("Destroy will not undo "+r.front.Playbook.Metadata().ActionType,
				"on_destroy is rollback, and "+why+" Changes by earlier executions stay. The history lists them.")
		}
		return
	}
	told, shown, err := r.undoText(ctx, prior, markOf(ctx, req.Private))
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview the undo", r.has)
		return
	}
	if told == "" {
		return
	}
	resp.Diagnostics.AddWarning("Destroy undoes execution "+prior.text(attrID), told)
	announced, err := json.Marshal(shown)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview the undo", r.has)
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, undoAnnounced, announced)...)
}

// whyNoUndo says why a destroy has nothing to undo, or returns "" if nothing was ever executed.
func (d document) whyNoUndo() string {
	if id := d.text(attrID); id != "" {
		return fmt.Sprintf("execution %s, the newest one (%s), has nothing to undo.", id, d.text(attrStatus))
	}
	if all, err := d.elements(); err != nil || len(all) == 0 {
		return ""
	}
	return "the newest apply skipped the playbook, because run_if was false."
}

// undoText returns what a destroy plan says about the undo, or "" if this destroy is part of a replacement. Reviewed is
// the undo's preview, or nil if there is none.
func (r *Resource) undoText(ctx context.Context, prior document,
	mark journal.Mark) (string, *engine.Reviewed, error) {
	if r.runtime == nil || r.runtime.Engine == nil {
		return "The undo is previewed at apply, before any of it runs, when the provider's configuration is " +
			"known.", nil, nil
	}
	undo, err := r.undo(prior, mark)
	if err != nil {
		return "", nil, err
	}
	review, err := r.runtime.Engine.Plan(ctx, undo)
	if !r.runtime.Engine.Announced(ctx, review, r.runtime.applies.Load()) {
		return "", nil, nil // also if the undo is impossible: nothing runs
	}
	if err != nil {
		return "", nil, err
	}
	if review.Unseen {
		return strings.Join(review.Warnings, "\n\n"), nil, nil
	}
	told := review.Text()
	for _, warning := range review.Warnings {
		told += "\n" + warning + "\n"
	}
	if d := review.Decision; !d.Granted {
		told += fmt.Sprintf("\nApply will refuse: %s. %s\nSet an approval of the undo first, with an apply that runs "+
			"nothing.", d.Missing, d.Next)
	}
	return told, &engine.Reviewed{Record: review.Record, Digest: review.Digest, Target: review.Target,
		Commands: review.Commands}, nil
}
