package tfkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// reconcileLimit is the number of executions of a playbook on a target within reconcilePeriod after which on_drift =
// "reconcile" plans no further one: somebody has to find out first what else changes the target.
const (
	reconcileLimit  = 3
	reconcilePeriod = time.Hour
)

// privateRecent is the key in private state of the number of executions within reconcilePeriod, which a refresh counts.
// The plan and the plan inside its apply must use the number from the same refresh.
const privateRecent = "recent_executions"

// Names of the attributes of resources that detect drift, and the values of on_drift.
const (
	attrOnDrift      = "on_drift"
	attrDrift        = "drift"
	onDriftReport    = "report"
	onDriftReconcile = "reconcile"
)

func (r *Resource) driftAttributes() map[string]schema.Attribute {
	if !r.front.Watched {
		return nil
	}
	return map[string]schema.Attribute{
		attrOnDrift: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "What happens when a refresh finds that the target is no longer as the execution " +
				"left it. `report` warns and changes nothing; `reconcile` plans an execution that restores it, " +
				fmt.Sprintf("unless the playbook was executed on the target %d times within the last hour: then it "+
					"only reports. ", reconcileLimit) + "Default: `report`. A change of it alone runs nothing.",
			Validators: []validator.String{stringvalidator.OneOf(onDriftReport, onDriftReconcile)},
		},
		attrDrift: Text("How the target differs from what the newest execution left, as seen by the last refresh. " +
			"Null if it does not differ."),
	}
}

// computed returns the attributes of this resource that an execution sets.
func (r *Resource) computed() []string {
	all := append(slices.Clone(computed), r.results()...)
	if r.front.Watched {
		all = append(all, attrDrift)
	}
	return all
}

// results returns the names of the playbook's own results, sorted.
func (r *Resource) results() []string { return slices.Sorted(maps.Keys(r.front.Results)) }

// clearDrift records that the target is as the execution left it, if the resource detects drift.
func (d document) clearDrift() {
	if t, ok := d.typ.AttributeTypes[attrDrift]; ok {
		d.values[attrDrift] = tftypes.NewValue(t, nil)
	}
}

// reconciles reports whether drift alone requires an execution. recent is the number of recent executions on the
// target.
func (r *Resource) reconciles(plan, prior document, recent int) bool {
	return r.front.Watched && plan.text(attrOnDrift) == onDriftReconcile && prior.text(attrDrift) != "" &&
		recent < reconcileLimit
}

// recentExecutions returns the number of executions that the last refresh counted, or zero.
func recentExecutions(ctx context.Context, private privateState) int {
	n := 0
	text, diags := private.GetKey(ctx, privateRecent)
	if diags.HasError() || text == nil || json.Unmarshal(text, &n) != nil {
		return 0
	}
	return n
}

// origin returns the target that the execution in the state changed.
func (d document) origin() (engine.Origin, error) {
	var was struct {
		Target   string `json:"target"`
		Identity string `json:"identity"`
	}
	err := d.get(attrPreview, &was)
	return engine.Origin{Target: was.Target, Identity: was.Identity}, err
}

// warnOfDrift warns about drift that is not reconciled.
func (p *planning) warnOfDrift() {
	if drift := p.prior.text(attrDrift); drift != "" {
		if p.plan.text(attrOnDrift) == onDriftReconcile {
			p.resp.Diagnostics.AddAttributeWarning(path.Root(attrOnDrift),
				fmt.Sprintf("%s: drift is no longer reconciled", p.resource.front.Playbook.Metadata().ActionType),
				fmt.Sprintf("%s.\n\nThe playbook was executed on this target %d times within the last hour, so "+
					"on_drift only reports. Find out what else changes the target. To run the playbook anyway, "+
					"change triggers.", drift, p.recent))
			return
		}
		p.resp.Diagnostics.AddAttributeWarning(path.Root(attrOnDrift),
			fmt.Sprintf("%s: the target has changed since", p.resource.front.Playbook.Metadata().ActionType),
			drift+".\n\nNo action is taken, because on_drift is \"report\". Change triggers to run the playbook "+
				"again, or set on_drift to \"reconcile\".")
	}
}

// countRecent stores the number of recent executions on the target, for the plans after this refresh.
func (r *Resource) countRecent(ctx context.Context, params json.RawMessage, resp *resource.ReadResponse) error {
	n, err := r.runtime.Engine.Recent(ctx, engine.Request{ActionType: r.front.Playbook.Metadata().ActionType,
		Params: params}, reconcilePeriod)
	if err != nil {
		return err
	}
	text, err := json.Marshal(n)
	if err == nil {
		resp.Diagnostics.Append(resp.Private.SetKey(ctx, privateRecent, text)...)
	}
	return err
}

// Read implements resource.Resource. An execution never disappears from the state, regardless of what happens to its
// target. If drift can be detected at low cost, Read does so, and a failure is only a warning.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	r.saw(ctx, req.Private)
	if !r.front.Watched || r.runtime == nil || r.runtime.Engine == nil {
		return
	}
	ctx = r.runtime.logged(ctx)
	d, err := openDocument(req.State.Raw)
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to read the state", r.has)
		return
	}
	if d.text(attrStatus) != string(journal.StatusSuccess) {
		return
	}
	params, known, err := r.params(d)
	if err != nil || !known {
		return
	}
	observed := engine.Request{ActionType: r.front.Playbook.Metadata().ActionType, Params: params}
	if err = d.fillIn(&observed, markOf(ctx, req.Private)); err == nil {
		observed.Origin, err = d.origin()
	}
	drift := ""
	if err == nil {
		drift, err = r.runtime.Engine.Observe(ctx, observed)
	}
	elsewhere := errors.Is(err, engine.ErrTarget)
	if err == nil || elsewhere { // elsewhere: the drift in the state is another target's
		err = errors.Join(err, d.set(attrDrift, optional(drift)))
	}
	if elsewhere {
		resp.State.Raw = d.raw()
	}
	if err == nil && drift != "" && d.text(attrOnDrift) == onDriftReconcile {
		err = r.countRecent(ctx, params, resp)
	}
	if err != nil {
		addWarning(&resp.Diagnostics, fmt.Sprintf("%s %s: can't check for drift",
			r.front.Playbook.Metadata().ActionType, d.text(attrID)), err.Error())
		return
	}
	resp.State.Raw = d.raw()
}
