// Package plannerrollback is the resource remediation_planner_rollback, which runs the playbook rollback_planner.
package plannerrollback

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/resources/shiftpreview"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := planner.DescribeRollback()
	return tfkit.NewResource(tfkit.Front{
		Name: "planner_rollback", Playbook: playbook, Preview: shiftpreview.Attributes(),
		Description: "Rolls a canary back: moves all of its traffic to another version, gradually or at once, and " +
			"decommissions it.",
		Inputs: map[string]schema.Attribute{
			"from_version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The canary to roll back.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"to_version": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The version that takes its traffic. Default: the planner's stable version.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"immediate": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Moves the traffic at once instead of in steps. Needs an approval. " +
					playbook.Default("immediate"),
			},
			"gradual_duration": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Duration of a gradual rollback. " + playbook.Default("gradual_duration"),
			},
			"steps": schema.NumberAttribute{
				Optional:            true,
				MarkdownDescription: "Number of steps of a gradual rollback. " + playbook.Default("steps"),
				Validators:          []validator.Number{tfkit.Whole(1, planner.MaxSteps)},
			},
		},
	})
}
