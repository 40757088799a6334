// Package canarysplit is the resource remediation_canary_split: a front of the playbook adjust_canary_split.
package canarysplit

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/resources/shiftpreview"
	target "github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "canary_split", Playbook: planner.DescribeSplit(),
		Preview: shiftpreview.Attributes(), Watched: true,
		Description: "Moves a canary's share of the traffic. The plan shows both shares before and after and every " +
			"step; `guardrails` watch " +
			"the steps and can take the share back. Later refreshes look at the share again.",
		Inputs: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The canary, by the name that the planner knows it by.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"target_percent": schema.NumberAttribute{
				Required: true, MarkdownDescription: "Its share of the traffic, 0 to 100.",
				Validators: []validator.Number{tfkit.Decimal(0, target.Whole)},
			},
			"gradual": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "In steps rather than at once. Default `true`.",
			},
			"gradual_duration": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(planner.DefaultSplitDuration),
				MarkdownDescription: "How long a gradual change takes, its last step's watch included. Default `" +
					planner.DefaultSplitDuration + "`.",
			},
			"steps": schema.NumberAttribute{
				Optional: true, Computed: true, Default: tfkit.DefaultNumber(planner.DefaultSteps),
				MarkdownDescription: "In how many steps. Default 5. Steps that would change nothing are left out.",
				Validators:          []validator.Number{tfkit.Whole(1, planner.MaxSteps)},
			},
		},
	})
}
