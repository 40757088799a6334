// Package canarysplit is the resource remediation_canary_split, which runs the playbook adjust_canary_split.
package canarysplit

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/resources/shiftpreview"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := planner.DescribeSplit()
	return tfkit.NewResource(tfkit.Front{
		Name: "canary_split", Playbook: playbook, Preview: shiftpreview.Attributes(), Watched: true,
		Description: "Changes a canary's share of the traffic. The plan shows both shares before and after, and " +
			"every step. `guardrail` blocks watch the steps and can undo the change. Later refreshes read the share " +
			"again.",
		Inputs: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The canary, as the planner names it.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"target_percent": schema.NumberAttribute{
				Required: true, MarkdownDescription: "The canary's share of the traffic, 0 to 100.",
				Validators: []validator.Number{tfkit.Decimal(0, target.Whole)},
			},
			"gradual": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Changes the share in steps instead of at once. " + playbook.Default("gradual"),
			},
			"gradual_duration": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Duration of a gradual change, including the watch of the last step. " +
					playbook.Default("gradual_duration"),
			},
			"steps": schema.NumberAttribute{
				Optional: true,
				MarkdownDescription: "Number of steps of a gradual change. Steps that would change nothing are left " +
					"out. " + playbook.Default("steps"),
				Validators: []validator.Number{tfkit.Whole(1, planner.MaxSteps)},
			},
		},
	})
}
