// Package shiftpreview is what the previews of the resources that move traffic have in common.
package shiftpreview

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// Attributes are the attributes of planner.Facts.
func Attributes() map[string]schema.Attribute {
	percent := func(description string) schema.Float64Attribute {
		return schema.Float64Attribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"current_percent":       percent("Share of the version that is moved, before."),
		"target_percent":        percent("Its share after."),
		"stable_version":        tfkit.Text("Version that takes the rest."),
		"stable_percent_before": percent("Share of the stable version before."),
		"stable_percent_after":  percent("Its share after."),
		"schedule": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "Steps of the move; none where the share is there already.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"after_seconds": tfkit.Number("When the step is taken, from the start."),
				"percent":       percent("Share of the version from then on."),
			}},
		},
		"deploy": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is brought up first."},
		"decommission": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the version is taken down at the end."},
	}
}
