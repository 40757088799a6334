// Package shiftpreview is what the previews of the resources that move traffic have in common.
package shiftpreview

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// Attributes are the facts of the playbooks in package planner.
func Attributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"current_percent":       tfkit.DecimalNumber("Share of the version before the change."),
		"target_percent":        tfkit.DecimalNumber("Share of the version after it."),
		"stable_version":        tfkit.Text("Version that takes the rest."),
		"stable_percent_before": tfkit.DecimalNumber("Share of the stable version before the change."),
		"stable_percent_after":  tfkit.DecimalNumber("Share of the stable version after it."),
		"schedule": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "Steps of the change; none where the version has its share already.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"after_seconds": tfkit.Number("When the step is made, in seconds from the start."),
				"percent":       tfkit.DecimalNumber("Share of the version from then on."),
			}},
		},
		"deploy": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is deployed first."},
		"decommission": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is decommissioned at the end."},
	}
}
