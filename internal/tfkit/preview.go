package tfkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// Preview returns the values of the preview attribute for a review, by JSON names, without the playbook's own facts.
func (r *Runtime) Preview(review engine.Review) (map[string]any, error) {
	needed := len(review.ApprovalReasons) > 0
	all := map[string]any{
		"target": review.Target, "command": optional(strings.Join(review.Commands, "\n")),
		"digest": optional(review.Digest), "risk": review.Risk, "affected": review.Affected,
		"estimated_duration_seconds": int64(review.Duration / time.Second), "estimated_cost_usd": review.CostUSD,
		"rollback_available": review.RollbackAvailable, "approval_required": needed,
		"identity": optional(review.IdentityHash), "content": optional(review.ContentHash),
		"approval_reasons": nil, "approval_payload": nil, "approval_granted": nil, "record": nil,
	}
	if needed {
		all["approval_reasons"], all["approval_payload"] = review.ApprovalReasons, optional(review.Decision.Payload)
	}
	if !r.ForgeDecides {
		all["approval_granted"] = review.Decision.Shown
	}
	if review.Record != 0 {
		all["record"] = review.Record
	}
	var err error
	all["undo"], err = undoText(review.Rollback)
	return all, err
}

// undoText returns the undo action with its parameters as JSON, or nil.
func undoText(undo *playbook.Rollback) (any, error) {
	if undo == nil {
		return nil, nil //nolint:nilnil // the attribute is null then
	}
	text, err := json.Marshal(undo)
	return compact(text), err
}

// setPreviewUnknown makes attributes of preview unknown.
func (d document) setPreviewUnknown(names ...string) error {
	typ, _ := d.typ.AttributeTypes[attrPreview].(tftypes.Object)
	values := map[string]tftypes.Value{}
	if err := d.values[attrPreview].As(&values); err != nil {
		return fmt.Errorf("attribute preview: %w", err)
	}
	for _, name := range names {
		values[name] = tftypes.NewValue(typ.AttributeTypes[name], tftypes.UnknownValue)
	}
	d.values[attrPreview] = tftypes.NewValue(typ, values)
	return nil
}

// describe puts a review into the preview attribute. approval_granted is unknown while the approvals are unknown.
func (d document) describe(runtime *Runtime, review engine.Review) error {
	typ, _ := d.typ.AttributeTypes[attrPreview].(tftypes.Object)
	facts, err := json.Marshal(review.Facts)
	if err != nil {
		return err
	}
	all := map[string]any{}
	if err := json.Unmarshal(facts, &all); err != nil {
		return fmt.Errorf("the facts of %s are not an object: %w", review.ActionType, err)
	}
	common, err := runtime.Preview(review)
	if err != nil {
		return err
	}
	maps.Copy(all, common)
	values := map[string]tftypes.Value{}
	for name, t := range typ.AttributeTypes {
		if values[name], err = codec.Terraform(t, all[name]); err != nil {
			return fmt.Errorf("attribute preview.%s: %w", name, err)
		}
	}
	if !d.approvalsKnown() && !runtime.ForgeDecides {
		values["approval_granted"] = tftypes.NewValue(tftypes.Bool, tftypes.UnknownValue)
	}
	d.values[attrPreview] = tftypes.NewValue(typ, values)
	return nil
}
