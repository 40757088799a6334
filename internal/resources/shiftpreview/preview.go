// Package shiftpreview has the preview attributes that all resources for moving traffic share.
package shiftpreview

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// Attributes returns the attributes for the facts of the playbooks in package planner.
func Attributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"current_percent":       tfkit.DecimalNumber("Share of the version before the change."),
		"target_percent":        tfkit.DecimalNumber("Share of the version after the change."),
		"stable_version":        tfkit.Text("Version that gets the rest of the traffic."),
		"stable_percent_before": tfkit.DecimalNumber("Share of the stable version before the change."),
		"stable_percent_after":  tfkit.DecimalNumber("Share of the stable version after the change."),
		"schedule": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "Steps of the change. Empty if the version already has its share.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"after_seconds": tfkit.Number("Time of the step, in seconds from the start."),
				"percent":       tfkit.DecimalNumber("Share of the version after the step."),
			}},
		},
		"deploy": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is deployed first."},
		"decommission": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is decommissioned at the end."},
	}
}
