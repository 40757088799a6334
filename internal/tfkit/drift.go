package tfkit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

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
				"left it. `report` warns and changes nothing; `reconcile` plans an execution that restores it. " +
				"Default: `report`. A change of it alone runs nothing.",
			Validators: []validator.String{stringvalidator.OneOf(onDriftReport, onDriftReconcile)},
		},
		attrDrift: Text("How the target differs from what the newest execution left, as seen by the last refresh. " +
			"Null where it does not differ."),
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

// reconciles reports whether drift alone requires an execution.
func (r *Resource) reconciles(plan, prior document) bool {
	return r.front.Watched && plan.text(attrOnDrift) == onDriftReconcile && prior.text(attrDrift) != ""
}

// warnOfDrift warns about drift that is not reconciled.
func (p *planning) warnOfDrift() {
	if drift := p.prior.text(attrDrift); drift != "" {
		p.resp.Diagnostics.AddAttributeWarning(path.Root(attrOnDrift),
			fmt.Sprintf("%s: the target has moved since", p.resource.front.Playbook.Metadata().ActionType),
			drift+".\n\nNothing is done about it, since on_drift is \"report\". Change triggers to run the playbook "+
				"again, or set on_drift to \"reconcile\".")
	}
}

// Read implements resource.Resource. An execution never disappears from the state, whatever happens to its target. If
// drift can be detected at low cost, Read does so, and a failure is only a warning.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
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
	drift, err := r.runtime.Engine.Observe(ctx, engine.Request{ActionType: r.front.Playbook.Metadata().ActionType,
		Params: params})
	if err == nil {
		err = d.set(attrDrift, optional(drift))
	}
	if err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s %s: can't check for drift",
			r.front.Playbook.Metadata().ActionType, d.text(attrID)), err.Error())
		return
	}
	resp.State.Raw = d.raw()
}
