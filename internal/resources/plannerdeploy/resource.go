// Package plannerdeploy is the resource remediation_planner_deploy: a front of the playbook deploy_planner.
package plannerdeploy

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
	return tfkit.NewResource(tfkit.Front{
		Name: "planner_deploy", Playbook: planner.DescribeDeploy(),
		Preview:     shiftpreview.Attributes(),
		Description: "Brings a version up that the planner knows, with a first share of the traffic.",
		Inputs: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The version, by the name that the planner knows it by.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"initial_percent": schema.NumberAttribute{
				Optional: true, Computed: true, Default: tfkit.DefaultNumber(0),
				MarkdownDescription: "Its first share of the traffic, 0 to 100. Needs an approval where it is more " +
					"than 0. Default 0.",
				Validators: []validator.Number{tfkit.Decimal(0, target.Whole)},
			},
		},
	})
}
