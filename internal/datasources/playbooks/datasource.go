// Package playbooks is the data source remediation_playbooks: the catalogue.
package playbooks

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the data source's constructor.
func New() func() datasource.DataSource {
	return tfkit.NewDataSource(tfkit.DataFront{Name: "playbooks", Schema: description(), Read: read})
}

func description() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "The catalogue: what each playbook does, when to use it, when it needs an approval, " +
			"estimates, and how it is undone.",
		Attributes: map[string]schema.Attribute{
			"playbooks": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "By action type.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"action_type": text("Name of the playbook in the history."),
					"summary":     text("What it does."),
					"use": schema.ListAttribute{Computed: true, ElementType: types.StringType,
						MarkdownDescription: "When to choose it."},
					"approval":           text("When it needs an approval."),
					"estimated_duration": text("Estimate of its duration."),
					"estimated_cost":     text("Estimate of its cost."),
					"rollback":           text("How it is undone."),
					"rollback_available": schema.BoolAttribute{Computed: true,
						MarkdownDescription: "Whether `on_destroy = \"rollback\"` is accepted."},
				}},
			},
		},
	}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func read(_ context.Context, runtime *tfkit.Runtime, _ tfkit.Values) (map[string]any, error) {
	var all []map[string]any
	for _, e := range runtime.Engine.Catalogue().Entries() {
		all = append(all, map[string]any{
			"action_type": e.ActionType, "summary": e.Summary, "use": e.Use, "approval": e.Approval,
			"estimated_duration": e.Duration,
			"estimated_cost":     e.Cost, "rollback": e.Undo, "rollback_available": e.CanUndo,
		})
	}
	return map[string]any{"playbooks": all}, nil
}
