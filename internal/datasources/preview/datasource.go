// Package preview is the data source remediation_preview: the dry run of any playbook, including volatile figures.
package preview

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the data source's constructor.
func New() func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "preview", Schema: description(), Read: read})
}

func description() schema.Schema {
	attributes, blocks := tfkit.PreviewInputs()
	maps.Copy(attributes, tfkit.PreviewAttributes())
	maps.Copy(attributes, map[string]schema.Attribute{
		"action_type": schema.StringAttribute{Required: true,
			MarkdownDescription: "Playbook, such as `rerun_dbt`.", Validators: []validator.String{tfkit.Label()}},
		"params": schema.StringAttribute{Required: true,
			MarkdownDescription: "Inputs of the playbook as JSON: `jsonencode({ models = [\"inbox_emails\"] })`."},
		"dry_run": text("The dry run as text."),
		"changes": list("What would change, one sentence per change."),
		"facts":   text("The playbook's own facts, as JSON. They must still hold at apply."),
		"notes":   list("Warnings, and current figures such as sizes and counts."),
	})
	return schema.Schema{
		MarkdownDescription: "A dry run of any playbook. It takes the inputs and blocks of the playbook's resource " +
			"and returns the same digest, facts, risk, and approval reasons. Terraform reads it at apply if an " +
			"input is unknown, or if it refers directly to a resource that changes. To see a later step of a chain " +
			"at plan, put the digest of the earlier one in a local value, and refer to that in `after`.",
		Attributes: attributes, Blocks: blocks,
	}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func list(description string) schema.ListAttribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

func read(ctx context.Context, runtime *tfkit.Runtime, config tfkit.Values) (map[string]any, error) {
	playbook, ok := runtime.Engine.Catalogue()[config.Text("action_type")]
	if !ok {
		return nil, &problem.Problem{
			What: "Unknown playbook", Why: config.Text("action_type") + " is not in the catalogue.",
			Next: "The data source remediation_playbooks lists the playbooks.", Path: []string{"action_type"},
		}
	}
	req, err := config.Request(playbook)
	if err != nil {
		return nil, err
	}
	review, err := runtime.Engine.Look(ctx, req)
	if err != nil {
		return nil, err
	}
	all, err := runtime.Preview(review)
	if err != nil {
		return nil, err
	}
	facts, err := json.Marshal(review.Facts)
	maps.Copy(all, map[string]any{
		"dry_run": review.Text(), "changes": review.Changes, "facts": string(facts),
		"notes": append(slices.Clone(review.Figures), review.Preview.Warnings...),
	})
	return all, err
}
