package tfkit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// ImportState implements resource.ResourceWithImportState. The identifier is that of an execution in the journal.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest,
	resp *resource.ImportStateResponse) {
	raw, err := r.imported(r.runtime.logged(ctx), req.ID, resp.State.Raw.Type())
	if err != nil {
		addError(&resp.Diagnostics, err, "Unable to import "+req.ID, r.has)
		return
	}
	resp.State.Raw = raw
}

func (r *Resource) imported(ctx context.Context, id string, typ tftypes.Type) (tftypes.Value, error) {
	rec, all, err := r.recorded(ctx, id)
	if err != nil {
		return tftypes.Value{}, err
	}
	d, err := openDocument(tftypes.NewValue(typ, nil))
	if err != nil {
		return tftypes.Value{}, err
	}
	var params map[string]any
	if err := json.Unmarshal(rec.Intent.Params, &params); err != nil {
		return tftypes.Value{}, fmt.Errorf("inputs of execution %d: %w", rec.ID, err)
	}
	values := map[string]any{
		attrIncident: optional(rec.Subject.Incident), attrTriggers: rec.Intent.Triggers,
		attrApprovedBy: optional(rec.Intent.ApprovedBy),
		attrAfter:      nil, blockApproval: []any{}, blockGuardrail: []any{},
	}
	for name := range r.front.Inputs {
		values[name] = params[name]
	}
	if r.front.Playbook.Metadata().Gate {
		values[blockGuardrail] = params[playbook.InputGuardrails]
	}
	for name, v := range values {
		if err := d.set(name, v); err != nil {
			return tftypes.Value{}, err
		}
	}
	review := engine.Recall(rec)
	if err := d.describe(r.runtime, review); err != nil {
		return tftypes.Value{}, err
	}
	if err := d.set(attrDryRun, review.Text()); err != nil {
		return tftypes.Value{}, err
	}
	if err := r.setRecord(d, rec); err != nil {
		return tftypes.Value{}, err
	}
	elements, err := d.entries(all)
	d.setHistory(elements, r.runtime.HistoryLimit)
	return d.raw(), err
}

// recorded returns the execution, and the history of its request up to it, oldest first.
func (r *Resource) recorded(ctx context.Context, id string) (journal.Record, []journal.Record, error) {
	ref, err := journal.ParseRef(id)
	if err != nil {
		return journal.Record{}, nil, importProblem(id,
			"An import takes the identifier of an execution, such as 4f9c2a17-12.", err)
	}
	if r.runtime == nil || r.runtime.Engine == nil {
		return journal.Record{}, nil, importProblem(id, "The provider's configuration is not known yet.", nil)
	}
	store, err := r.runtime.Engine.Journal(ctx)
	if err != nil {
		return journal.Record{}, nil, err
	}
	rec, err := store.Get(ctx, ref.Number)
	want := r.front.Playbook.Metadata().ActionType
	switch {
	case err != nil:
		return journal.Record{}, nil, importProblem(id, err.Error(), err)
	case ref.Journal != "" && ref.Journal != rec.Journal:
		return journal.Record{}, nil, importProblem(id,
			fmt.Sprintf("It belongs to the journal %s, and this journal is %s.", ref.Journal, rec.Journal), nil)
	case rec.DryRun || rec.Open():
		return journal.Record{}, nil, importProblem(id,
			fmt.Sprintf("It is a dry run or has not ended (%s).", rec.Status), nil)
	case rec.Subject.Playbook != want:
		return journal.Record{}, nil, importProblem(id,
			fmt.Sprintf("It ran %s, and this resource is for %s.", rec.Subject.Playbook, want), nil)
	}
	all, err := store.Find(ctx, journal.Filter{Request: rec.Subject.Request})
	upTo := make([]journal.Record, 0, len(all))
	for _, other := range all {
		if other.ID <= rec.ID {
			upTo = append(upTo, other)
		}
	}
	return rec, upTo, err
}

func importProblem(id, why string, cause error) error {
	return &problem.Problem{
		What: fmt.Sprintf("There is no execution %q to import here", id), Why: why,
		Next: "The history of a resource, or the data source remediation_action_history, lists executions with their " +
			"identifiers.", Err: cause,
	}
}
