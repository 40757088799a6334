package tfkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Create implements resource.Resource: the first execution.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	none := tftypes.NewValue(req.Plan.Raw.Type(), nil)
	r.apply(ctx, applying{operation: "create", planned: req.Plan.Raw, prior: none, private: resp.Private,
		state: &resp.State,
		diags: &resp.Diagnostics})
}

// Update implements resource.Resource: an execution in place, or a change that runs nothing.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	r.apply(ctx, applying{operation: "update", planned: req.Plan.Raw, prior: req.State.Raw,
		mark: markOf(ctx, req.Private), recent: recentExecutions(ctx, req.Private), private: resp.Private,
		state: &resp.State, diags: &resp.Diagnostics})
}

// applying is one call of Create or Update.
type applying struct {
	operation      string
	planned, prior tftypes.Value
	// mark is the newest journal entry that the state has seen.
	mark journal.Mark
	// recent is how many executions the last refresh counted on a target with drift.
	recent  int
	private privateState
	state   *tfsdk.State
	diags   *diag.Diagnostics
}

func (r *Resource) apply(ctx context.Context, a applying) {
	r.runtime.applying()
	if err := r.tryApply(r.runtime.logged(ctx), a); err != nil {
		addError(a.diags, err, "Unable to execute "+r.front.Playbook.Metadata().ActionType, r.has)
	}
}

func (r *Resource) tryApply(ctx context.Context, a applying) error {
	plan, err := openDocument(a.planned)
	if err != nil {
		return err
	}
	prior, err := openDocument(a.prior)
	if err != nil {
		return err
	}
	if !r.changed(plan, prior, a.prior.IsNull()) && !r.reconciles(plan, prior, a.recent) {
		plan.copyFrom(prior, r.computed()...)
		a.state.Raw = plan.raw()
		return nil
	}
	if plan.runIf() == no {
		err := r.skip(plan, prior)
		a.state.Raw = plan.raw()
		r.journalSkip(ctx, plan, a)
		return err
	}
	if r.runtime == nil || r.runtime.Engine == nil {
		return fmt.Errorf("the provider's configuration is not known, so nothing was run")
	}
	req, known, err := r.request(plan, a.operation)
	if err == nil && (!known || req.TriggersUnknown || req.IncidentUnknown) {
		err = fmt.Errorf("an input is still unknown at apply, so nothing was run")
	}
	if err != nil {
		return err
	}
	req.Creates = a.prior.IsNull()
	if err := prior.fillIn(&req, a.mark); err != nil {
		return err
	}
	reviewed, err := r.reviewed(plan)
	if err != nil {
		return err
	}
	var saveErr error
	save := func(x engine.Execution) { saveErr = r.save(a, plan, prior, x) }
	execution, err := r.runtime.Engine.Apply(ctx, req, reviewed, save)
	if execution.Record.ID != 0 {
		save(execution)
		saveErr = errors.Join(saveErr, saveMark(ctx, a, execution.Record.Mark()))
		if execution.Late != "" {
			a.diags.AddWarning(fmt.Sprintf("Execution %d of %s took longer than estimated", execution.Record.ID,
				r.front.Playbook.Metadata().ActionType), execution.Late)
		}
	}
	if err == nil {
		err = saveErr
	}
	return err
}

// save puts the current state of an execution into the Terraform state. A failed create is saved too: Terraform taints
// it, and the next apply runs it again. A failed update saves the prior inputs: they still differ from the
// configuration, and the next apply runs it again.
func (r *Resource) save(a applying, plan, prior document, x engine.Execution) error {
	d := plan.clone()
	if !a.prior.IsNull() && x.Record.Status != journal.StatusSuccess {
		d = prior.clone()
	} else if err := r.completePreview(d, x); err != nil {
		return err
	}
	if err := r.setRecord(d, x.Record); err != nil {
		return err
	}
	elements, err := r.earlierAtApply(a, plan, prior, x)
	if err != nil {
		return err
	}
	now, err := d.entries([]journal.Record{x.Record})
	if err != nil {
		return err
	}
	d.setHistory(append(elements, now...), r.runtime.HistoryLimit)
	a.state.Raw = d.raw()
	return nil
}

// completePreview fills in the preview and its text if plan could not.
func (r *Resource) completePreview(d document, x engine.Execution) error {
	review := x.Review
	if x.Adopted {
		review = engine.Recall(x.Record)
	}
	if !d.known(attrPreview) {
		if err := d.describe(r.runtime, review); err != nil {
			return err
		}
	}
	if d.known(attrDryRun) {
		return nil
	}
	return d.set(attrDryRun, review.Text())
}

// earlierAtApply returns the history before this execution: from the plan if it is known there, otherwise from the
// prior state, or for a create from the journal.
func (r *Resource) earlierAtApply(a applying, plan, prior document, x engine.Execution) ([]tftypes.Value, error) {
	if plan.values[attrHistory].IsKnown() {
		elements, err := plan.elements()
		if err != nil || len(elements) == 0 {
			return nil, err
		}
		return elements[:len(elements)-1], nil
	}
	if !a.prior.IsNull() {
		was, err := prior.earlierWith(x.Earlier)
		return was.elements, err
	}
	return plan.entries(x.Earlier)
}

// Delete implements resource.Resource: it removes the resource from the state, after an undo if one was planned.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	ctx = r.runtime.logged(ctx)
	r.runtime.applying()
	prior, err := openDocument(req.State.Raw)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the state", r.has)
		return
	}
	r.saw(ctx, req.Private)
	defer r.acknowledge(ctx, prior, resp)
	announced, diags := req.Private.GetKey(ctx, undoAnnounced)
	resp.Diagnostics.Append(diags...)
	if announced == nil || prior.text(attrOnDestroy) != onDestroyRollback || prior.null(attrRollback) {
		return
	}
	if r.runtime == nil || r.runtime.Engine == nil {
		resp.Diagnostics.AddError("Unable to undo "+r.front.Playbook.Metadata().ActionType,
			"The provider's configuration is not known.")
		return
	}
	var shown *engine.Reviewed
	undo, err := r.undo(prior, markOf(ctx, req.Private))
	if err == nil {
		err = json.Unmarshal(announced, &shown)
	}
	if err == nil {
		_, err = r.runtime.Engine.Apply(ctx, undo, shown, func(engine.Execution) {})
	}
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to undo "+r.front.Playbook.Metadata().ActionType, r.has)
	}
}

// acknowledge journals that the resource was destroyed, which lets the same request with the same triggers run again.
// It runs nothing, so the resource is removed even if the journal can't be written.
func (r *Resource) acknowledge(ctx context.Context, prior document, resp *resource.DeleteResponse) {
	id, err := journal.ParseRef(prior.text(attrID))
	if err != nil || prior.text(attrStatus) != string(journal.StatusSuccess) || resp.Diagnostics.HasError() ||
		r.runtime == nil || r.runtime.Engine == nil {
		return
	}
	if err := r.runtime.Engine.Acknowledge(ctx, id); err != nil {
		p := problem.Of(err, "The journal can't be written")
		addWarning(&resp.Diagnostics, fmt.Sprintf("The journal does not record that execution %s was destroyed", id),
			p.What+". "+p.Detail()+"\n\nA new resource with the same inputs and triggers adopts that execution and "+
				"runs nothing: change triggers to run it.")
	}
}

// undo returns the request that undoes the newest execution in prior. mark is the newest journal entry that the state
// has seen.
func (r *Resource) undo(prior document, mark journal.Mark) (engine.Request, error) {
	var action struct {
		Type   string `json:"action_type"`
		Params string `json:"params"`
	}
	if err := prior.get(attrRollback, &action); err != nil {
		return engine.Request{}, err
	}
	execution, err := journal.ParseRef(prior.text(attrID))
	if err != nil {
		return engine.Request{}, fmt.Errorf("the id in the state is not an execution: %w", err)
	}
	timeout, err := prior.timeout("delete")
	if err != nil {
		return engine.Request{}, err
	}
	req := engine.UndoRequest(execution, journal.Undo{Type: action.Type, Params: json.RawMessage(action.Params)})
	req.Incident, req.Timeout = prior.text(attrIncident), timeout
	was, err := prior.origin()
	if err != nil {
		return engine.Request{}, err
	}
	req.Origin.Target, req.Origin.Identity = was.Target, was.Identity
	prior.seen(&req, mark)
	req.PinnedUndo = prior.text(attrExpectedDigest)
	req.Given, err = prior.given()
	return req, err
}
