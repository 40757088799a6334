// Package preview is the data source remediation_preview: the dry run of any playbook, with the volatile figures too.
package preview

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the data source's constructor.
func New() func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "preview", Schema: description(), Read: read})
}

func description() schema.Schema {
	list := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	return schema.Schema{
		MarkdownDescription: "A dry run of any playbook. It is read at plan and kept in the plan file, with the " +
			"volatile figures that a " +
			"resource's plan can't hold.",
		Attributes: map[string]schema.Attribute{
			"action_type": schema.StringAttribute{Required: true,
				MarkdownDescription: "Playbook, such as `rerun_dbt`.", Validators: []validator.String{tfkit.Label()}},
			"params": schema.StringAttribute{Required: true,
				MarkdownDescription: "Its inputs as JSON: `jsonencode({ models = [\"inbox_emails\"] })`."},
			"triggers": schema.MapAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Triggers, which are part of the digest."},
			"dry_run":  text("The preview as text for people."),
			"target":   text("What would be changed."),
			"commands": list("What would be executed, in order."),
			"changes":  list("What would change, one sentence each."),
			"estimated_duration_seconds": schema.Int64Attribute{Computed: true,
				MarkdownDescription: "Estimate in seconds."},
			"estimated_cost_usd": schema.Float64Attribute{Computed: true,
				MarkdownDescription: "Estimate in US dollars."},
			"risk":     text("`low`, `medium` or `high`."),
			"affected": list("Systems and things that would feel it."),
			"approval_required": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether apply would ask for an approval."},
			"approval_reasons": list("Why an approval would be needed."),
			"facts":            text("The playbook's own facts, as JSON: what must still hold at apply."),
			"notes":            list("Volatile observations, such as sizes and counts."),
			"digest":           text("Digest of the preview."),
		},
	}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func read(ctx context.Context, runtime *tfkit.Runtime, config tfkit.Values) (map[string]any, error) {
	req := engine.Request{ActionType: config.Text("action_type"), Params: json.RawMessage(config.Text("params"))}
	if err := config.Get("triggers", &req.Triggers); err != nil {
		return nil, err
	}
	if _, ok := runtime.Engine.Catalogue()[req.ActionType]; !ok {
		return nil, &problem.Problem{
			What: "Unknown playbook", Why: req.ActionType + " is not in the catalogue.",
			Next: "The data source remediation_playbooks lists those that exist.", Path: []string{"action_type"},
		}
	}
	if _, err := runtime.Engine.Bind(req); err != nil {
		return nil, within("params", err)
	}
	review, err := runtime.Engine.Look(ctx, req)
	if err != nil {
		return nil, err
	}
	facts, err := json.Marshal(review.Facts)
	return map[string]any{
		"dry_run": review.Text(), "target": review.Target, "commands": review.Commands, "changes": review.Changes,
		"estimated_duration_seconds": int64(review.Duration / time.Second), "estimated_cost_usd": review.CostUSD,
		"risk":     review.Risk,
		"affected": review.Affected, "approval_required": len(review.ApprovalReasons) > 0,
		"approval_reasons": review.ApprovalReasons,
		"facts":            string(facts), "notes": review.Preview.Warnings, "digest": review.Digest,
	}, err
}

// within says that a playbook's input, which err names, is part of an attribute that holds all of them.
func within(attribute string, err error) error {
	p := *problem.Of(err, "Invalid parameters")
	if len(p.Path) > 0 {
		p.Why = fmt.Sprintf("%s (%s): %s", attribute, problem.Where(p.Path), p.Why)
	}
	p.Path = []string{attribute}
	return &p
}
