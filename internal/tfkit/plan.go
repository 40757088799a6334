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
)

// dryRunSkipped is the text of a resource whose run_if is false.
const dryRunSkipped = "Skipped: run_if is false, so nothing runs.\n"

// ModifyPlan implements resource.ResourceWithModifyPlan: the dry run.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	ctx = r.runtime.logged(ctx)
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
		mark: markOf(ctx, req.Private)}
	if err := p.run(ctx); err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview "+r.front.Playbook.Metadata().ActionType, r.has)
		return
	}
	resp.Plan.Raw = p.plan.raw()
}

// planning is one call of ModifyPlan that is no destroy.
type planning struct {
	resource    *Resource
	resp        *resource.ModifyPlanResponse
	prior, plan document
	create      bool
	// mark is what the state has seen of the journal.
	mark journal.Mark
}

func (p *planning) run(ctx context.Context) error {
	r := p.resource
	if !r.changed(p.plan, p.prior, p.create) {
		p.plan.keep(p.prior, r.computed()...)
		p.warnOfDrift()
		return nil
	}
	req, known, err := r.request(p.plan, p.operation())
	if err != nil {
		return err
	}
	if err := p.prior.kept(&req, p.mark); err != nil {
		return err
	}
	wish := p.plan.runIf()
	ready := known && r.runtime != nil && r.runtime.Engine != nil
	switch {
	case wish == no:
		return p.skip(ctx, req, ready)
	case !ready:
		p.plan.forget(r.computed()...)
		return nil
	default:
		return p.preview(ctx, req, wish)
	}
}

func (p *planning) operation() string {
	if p.create {
		return "create"
	}
	return "update"
}

// skip plans that run_if holds the execution back. Where run_if was unknown at plan, that plan has shown the preview,
// and Terraform demands to see it again.
func (p *planning) skip(ctx context.Context, req engine.Request, ready bool) error {
	p.plan.forget(attrPreview, attrDryRun)
	if ready && p.resource.runtime.Engine.WasShown(ctx, req) {
		if review, err := p.resource.runtime.Engine.Plan(ctx, req); err == nil && !review.Unseen {
			if _, err := p.describe(review); err != nil {
				return err
			}
		}
	}
	return skip(p.plan, p.prior)
}

// skip records in d that run_if is false. Earlier executions stay in the history.
func skip(d, prior document) error {
	d.keep(prior, attrHistory)
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
	d.clearDrift()
	if prior.null(attrHistory) {
		d.setHistory(nil, 0)
	}
	return nil
}

// preview fills in what is known of the execution to come.
func (p *planning) preview(ctx context.Context, req engine.Request, wish wanted) error {
	review, err := p.resource.runtime.Engine.Plan(ctx, req)
	if err != nil {
		return err
	}
	p.warn(review)
	if review.Unseen {
		p.plan.forget(p.resource.computed()...)
		return nil
	}
	past, err := p.describe(review)
	if err != nil {
		return err
	}
	p.plan.forget(attrID, attrStatus, attrResult, attrRollback)
	if !p.resource.front.Playbook.Metadata().CanUndo && wish != maybe {
		if err := p.plan.set(attrRollback, nil); err != nil {
			return err
		}
	}
	p.plan.clearDrift()
	if len(past.elements) == 0 || wish == maybe || review.Finished ||
		slices.ContainsFunc(review.History, journal.Record.Open) {
		// How many records apply adds is unknown: none, or also that of an execution that another process left. Where
		// there was no execution, a planned element only repeats what the preview shows.
		p.plan.forget(attrHistory)
		return nil
	}
	next, err := p.plan.coming(req)
	if err != nil {
		return err
	}
	p.plan.setHistory(append(past.elements, next), p.resource.runtime.HistoryLimit)
	return nil
}

// describe puts the review into the plan, as values and as text, and returns what it stands after.
func (p *planning) describe(review engine.Review) (past, error) {
	was, err := p.past(review)
	if err != nil {
		return past{}, err
	}
	if err := p.plan.describe(p.resource.runtime, review); err != nil {
		return past{}, err
	}
	if !p.plan.approvalsKnown() || !p.plan.known(blockTimeouts) || !p.plan.known(blockGuardrail) {
		p.plan.forget(attrDryRun) // its text shows all three
		return was, nil
	}
	return was, p.plan.set(attrDryRun, review.Text())
}

// past is what is known of executions that have ended: their history elements, oldest first, and the number of the
// newest one in the journal, or zero.
type past struct {
	elements []tftypes.Value
	newest   int64
}

// past comes from the state, and from the journal what a process that died has left there since. A create has no state:
// its history is that of the same request in the journal, which is how the history of a failed create, which Terraform
// replaces, comes back. An execution that is still open is left out, for it becomes the outcome of the apply.
func (p *planning) past(review engine.Review) (past, error) {
	if !p.create {
		return p.prior.pastWith(review.History)
	}
	elements, err := p.plan.entries(after(review.History, 0))
	return past{elements: elements}, err
}

// warn tells the reader of the plan what an attribute can't: what is volatile, and what apply will refuse. Terraform
// shows only the first of several warnings with the same summary, so each summary names its subject and what is said of
// one is one warning.
func (p *planning) warn(review engine.Review) {
	subject := fmt.Sprintf("%s on %s", review.ActionType, review.Target)
	switch all := review.Warnings; len(all) {
	case 0:
	case 1:
		p.resp.Diagnostics.AddWarning(subject, all[0])
	default:
		p.resp.Diagnostics.AddWarning(subject, "- "+strings.Join(all, "\n- "))
	}
	if review.Unseen {
		return // its warning tells of the open execution
	}
	for _, rec := range review.History {
		if rec.Open() {
			p.resp.Diagnostics.AddWarning(fmt.Sprintf("Execution %d of %s is still open", rec.ID, subject), fmt.Sprintf(
				"It was begun %s by %s. If that process is gone, apply adopts what it began and runs nothing a "+
					"second time.",
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

// undoAnnounced is the key of the private state by which a planned destroy tells its apply that the plan has announced
// the undo. A destroy that only makes way for a replacement, as after a failed create, is never planned as one and
// undoes nothing.
const undoAnnounced = "undo_announced"

// planDestroy says what destroying does beyond forgetting.
func (r *Resource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	prior, err := openDocument(req.State.Raw)
	if err != nil || prior.text(attrOnDestroy) != onDestroyRollback {
		return
	}
	if prior.null(attrRollback) {
		if id := prior.text(attrID); id != "" {
			resp.Diagnostics.AddWarning(fmt.Sprintf("Destroy undoes nothing of %s",
				r.front.Playbook.Metadata().ActionType),
				fmt.Sprintf(
					"on_destroy is rollback, and execution %s, the newest one (%s), has nothing that can be taken "+
						"back. "+
						"What earlier executions have changed stays; the "+
						"history names them.", id, prior.text(attrStatus)))
		}
		return
	}
	text, shown, err := r.undoText(ctx, prior)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview the undo", r.has)
		return
	}
	resp.Diagnostics.AddWarning("Destroy undoes execution "+prior.text(attrID), text)
	announced, err := json.Marshal(shown)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to preview the undo", r.has)
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, undoAnnounced, announced)...)
}

// undoText is what the plan of a destroy says about the undo, and what it has shown; nil where it could show nothing.
func (r *Resource) undoText(ctx context.Context, prior document) (string, *engine.Reviewed, error) {
	if r.runtime == nil || r.runtime.Engine == nil {
		return "The undo is previewed at apply, before any of it runs, when the provider's configuration is " +
			"known.", nil, nil
	}
	undo, err := r.undo(prior)
	if err != nil {
		return "", nil, err
	}
	review, err := r.runtime.Engine.Plan(ctx, undo)
	if err != nil {
		return "", nil, err
	}
	if review.Unseen {
		return strings.Join(review.Warnings, "\n\n"), nil, nil
	}
	text := review.Text()
	if d := review.Decision; !d.Granted {
		text += fmt.Sprintf("\nApply will refuse: %s. %s\nAn approval of the undo is set beforehand, by an apply "+
			"that runs "+
			"nothing.", d.Missing, d.Next)
	}
	return text, &engine.Reviewed{Record: review.Record, Digest: review.Digest, Target: review.Target,
		Commands: review.Commands}, nil
}
