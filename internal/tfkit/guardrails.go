package tfkit

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// maxPercent bounds how far a metric may move.
const maxPercent = 1e6

func guardrails() schema.ListNestedAttribute {
	bound := func(description string, validators ...validator.Number) schema.NumberAttribute {
		return schema.NumberAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	}
	return schema.ListNestedAttribute{
		Optional: true,
		MarkdownDescription: "Metrics that watch the execution: read before it (plan warns where one fails already), " +
			"between the steps of a " +
			"gradual change, and after it. No data, `NaN` or an error is inconclusive: it stops where it is, and " +
			"never passes. " +
			"A change of them alone runs nothing.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true,
				MarkdownDescription: "Name of the guardrail, for `result.details` and messages."},
			"query": text("Prometheus query that gives one number; needs the provider's `prometheus`."),
			"http": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "Address that is read with GET.",
				Attributes: map[string]schema.Attribute{
					"url": schema.StringAttribute{Required: true,
						MarkdownDescription: "Address, `http` or `https`. An answer other than 200 is inconclusive."},
					"json_pointer": text("JSON pointer (RFC 6901) to a number in the answer, such as " +
						"`/stats/error_rate`. Not set: the latency in milliseconds."),
				}},
			"elasticsearch": schema.SingleNestedAttribute{Optional: true,
				MarkdownDescription: "Search on the provider's `elasticsearch`.",
				Attributes: map[string]schema.Attribute{
					"index": schema.StringAttribute{Required: true, MarkdownDescription: "Index, alias or pattern."},
					"body":  text("The search's body as JSON. Not set: all documents."),
					"measure": schema.StringAttribute{Required: true,
						MarkdownDescription: "`took_ms` (how long the search took) or `hits` (how many documents " +
							"match)."},
				}},
			"min": bound("The value must not be below.", Finite()),
			"max": bound("The value must not be above.", Finite()),
			"max_drop_percent": bound("The value must not drop by more, in percent of the baseline.",
				Decimal(0, maxPercent)),
			"max_increase_percent": bound("The value must not rise by more, in percent of the baseline.",
				Decimal(0, maxPercent)),
			"wait": text("How long after the end of the execution the last reading is taken, such as " +
				"`5m`. Default: at once."),
			"on_breach": schema.StringAttribute{Optional: true,
				MarkdownDescription: "`rollback` goes back to the state of before in one step; `hold` stops where it " +
					"is (status `cancelled`); `fail` stops " +
					"where it is (status `failed`); `warn` goes on and says so in `result.details`. Default: " +
					"`rollback` where the playbook can be undone, else `fail`.",
				Validators: []validator.String{stringvalidator.OneOf(string(guard.Rollback), string(guard.Hold),
					string(guard.Fail), string(guard.Warn))}},
		}},
	}
}

// guardrails returns those in d, none while they are unknown.
func (r *Resource) guardrails(d document) ([]guard.Rail, error) {
	if !d.known(attrGuardrails) {
		return nil, nil
	}
	var rails []guard.Rail
	if err := d.get(attrGuardrails, &rails); err != nil {
		return nil, err
	}
	for i := range rails {
		if rails[i].OnBreach != "" {
			continue
		}
		rails[i].OnBreach = guard.Fail
		if r.front.Playbook.Metadata().CanUndo {
			rails[i].OnBreach = guard.Rollback
		}
	}
	return rails, guard.Check(rails)
}

// checkGuardrails refuses those that can't be used, and a way back where there is none.
func (r *Resource) checkGuardrails(config document) error {
	rails, err := r.guardrails(config)
	if err != nil {
		return err
	}
	for i, rail := range rails {
		if rail.OnBreach == guard.Rollback && !r.front.Playbook.Metadata().CanUndo {
			return &problem.Problem{
				What: r.front.Playbook.Metadata().ActionType + " can't be undone",
				Why: fmt.Sprintf("Guardrail %q asks to go back. For this playbook: %s.", rail.Name,
					r.front.Playbook.Metadata().Undo),
				Next: "Set its on_breach to hold, fail or warn.", Path: []string{attrGuardrails, strconv.Itoa(i),
					"on_breach"},
			}
		}
	}
	return nil
}
