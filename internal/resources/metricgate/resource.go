// Package metricgate is the resource remediation_metric_gate, which runs the playbook check_metrics.
package metricgate

import (
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/gate"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := gate.Describe()
	return tfkit.NewResource(tfkit.Front{
		Name: "metric_gate", Playbook: playbook,
		Description: "Waits, reads metrics, and reports whether they are within their bounds. It changes nothing. " +
			"Use `passed` in `run_if` of a later playbook: `run_if = !remediation_metric_gate.after.passed` means \"if " +
			"that did not help, do the next thing\".",
		Inputs: map[string]schema.Attribute{
			"wait": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Time before the last reading, such as `10m`. The metrics are watched " +
					"meanwhile, and a breach beyond its limit ends the wait. Default: none.",
				Validators: []validator.String{tfkit.Duration(0, gate.MaxWait)},
			},
			"fail": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Fails the apply unless the verdict is `passed`. Otherwise the verdict is only " +
					"reported. " + playbook.Default("fail"),
			},
		},
		Results: map[string]schema.Attribute{
			"passed": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether every guardrail passed. False if the verdict is `inconclusive`. Null if " +
					"the gate was skipped: compare with `== false` where that can happen."},
			"verdict": tfkit.Text("`passed`, `failed`, or `inconclusive` (a metric could not be read or has no " +
				"value)."),
			"readings": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The last reading of each guardrail's metric.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":     tfkit.Text("Name of the guardrail."),
					"state":    tfkit.Text("`passed`, `breached`, `inconclusive`, or `error`."),
					"value":    tfkit.DecimalNumber("The value, or null if there was none."),
					"baseline": tfkit.DecimalNumber("The value that percentages compare with, or null."),
					"bounds":   tfkit.Text("The bounds, such as `max 0.05`."),
					"reason":   tfkit.Text("Why it did not pass, or null."),
				}},
			},
		},
	})
}
