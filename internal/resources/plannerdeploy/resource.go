// Package plannerdeploy is the resource remediation_planner_deploy, which runs the playbook deploy_planner.
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
	playbook := planner.DescribeDeploy()
	return tfkit.NewResource(tfkit.Front{
		Name: "planner_deploy", Playbook: playbook, Preview: shiftpreview.Attributes(),
		Description: "Deploys a version that the planner knows, with or without initial traffic.",
		Inputs: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				Required: true, MarkdownDescription: "The version, as the planner names it.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"initial_percent": schema.NumberAttribute{
				Optional: true,
				MarkdownDescription: "Initial share of the traffic, 0 to 100. More than 0 needs an approval. " +
					playbook.Default("initial_percent"),
				Validators: []validator.Number{tfkit.Decimal(0, target.Whole)},
			},
		},
	})
}
