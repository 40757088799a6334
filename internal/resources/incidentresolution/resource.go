// Package incidentresolution is the resource remediation_incident_resolution, which runs the playbook resolve_incident.
package incidentresolution

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/resolution"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "incident_resolution", Playbook: resolution.Describe(),
		Description: "Resolves an incident in the incident service (the provider's `incidents` block), with notes " +
			"about what was executed. The plan only reads: it shows the statuses that the incident passes through, " +
			"and the notes. Apply acknowledges, mitigates, and resolves the incident, as far as it is not there yet. " +
			"Each change is sent at most once, and the incident is read back after it. If the service does not keep " +
			"the notes, `result.message` says so, and `result.details` keeps them.\n\n" +
			"Let it depend on the steps that remediate the incident, and set `run_if` to the result of the last check. " +
			"If the service is down at plan, that is a warning; at apply, only this resource fails.",
		Inputs: map[string]schema.Attribute{
			"incident_id": schema.StringAttribute{
				Required: true, MarkdownDescription: "Incident to resolve, as the service writes its identifier. The " +
					"resources that remediate it have the same `incident_id`.",
				Validators: []validator.String{tfkit.Label()},
			},
			"notes": schema.StringAttribute{
				Optional: true, MarkdownDescription: "Resolution notes. Default: generated at apply from the " +
					"executions for the incident in the journal, such as `Executed: rerun_dbt (models: inbox_emails). " +
					"Result: Rebuilt 1 model. Duration: 12 minutes.` The result is that of the newest metric gate that " +
					"passed, or else of the newest execution.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		},
		Preview: map[string]schema.Attribute{"incident": tfkit.Text("Incident that is resolved.")},
	})
}
