// Package plannerrollback is the resource remediation_planner_rollback: a front of the playbook rollback_planner.
package plannerrollback

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/resources/shiftpreview"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "planner_rollback", Playbook: planner.DescribeRollback(),
		Preview: shiftpreview.Attributes(),
		Description: "Rolls a canary back: all of its traffic goes to another version, gradually or at once, and it " +
			"is decommissioned.",
		Inputs: map[string]schema.Attribute{
			"from_version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The canary that is rolled " +
					"back.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"to_version": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The version that takes its traffic. Default: the planner's stable version.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"immediate": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "At once rather than in steps. Needs an approval. Default `false`.",
			},
			"gradual_duration": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(planner.DefaultRollbackDuration),
				MarkdownDescription: "How long a gradual rollback takes. Default `" + planner.DefaultRollbackDuration +
					"`.",
			},
			"steps": schema.NumberAttribute{
				Optional: true, Computed: true, Default: tfkit.DefaultNumber(planner.DefaultSteps),
				MarkdownDescription: "In how many steps. Default 5.", Validators: []validator.Number{tfkit.Whole(1,
					planner.MaxSteps)},
			},
		},
	})
}
