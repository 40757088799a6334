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

func guardrailBlock() schema.Block {
	bound := func(description string, validators ...validator.Number) schema.NumberAttribute {
		return schema.NumberAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "A metric that watches the execution. It is read before the execution (the plan warns " +
			"where it is out of bounds), between the steps of a gradual change, and at the end. No data, `NaN` or an " +
			"error is inconclusive: the execution stops where it is. A change of a guardrail alone runs nothing.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{Required: true,
					MarkdownDescription: "Name of the guardrail in `result.details` and in messages."},
				"query": text("Prometheus query that returns one number. It needs the provider's `prometheus` block."),
				"min":   bound("Lowest value allowed.", Finite()),
				"max":   bound("Highest value allowed.", Finite()),
				"max_drop_percent": bound("Largest drop allowed, in percent of the baseline.",
					Decimal(0, maxPercent)),
				"max_increase_percent": bound("Largest increase allowed, in percent of the baseline.",
					Decimal(0, maxPercent)),
				"wait": text("Time between the end of the execution and the last reading, such as `5m`. Default: none."),
				"on_breach": schema.StringAttribute{Optional: true,
					MarkdownDescription: "`rollback` restores the state of before in one step; `hold` stops where it " +
						"is (status `cancelled`); `fail` stops where it is (status `failed`); `warn` continues and " +
						"reports the breach in `result.details`. Default: `rollback` where the playbook can be " +
						"undone, else `fail`.",
					Validators: []validator.String{stringvalidator.OneOf(string(guard.Rollback), string(guard.Hold),
						string(guard.Fail), string(guard.Warn))}},
			},
			Blocks: map[string]schema.Block{
				"http": schema.SingleNestedBlock{
					MarkdownDescription: "Address that is read with GET.",
					Validators:          []validator.Object{Needs("url")},
					Attributes: map[string]schema.Attribute{
						"url": text("Required. Address, `http` or `https`. A status other than 200 is inconclusive."),
						"json_pointer": text("JSON pointer (RFC 6901) to a number in the response, such as " +
							"`/stats/error_rate`. Default: the latency in milliseconds."),
					}},
				"elasticsearch": schema.SingleNestedBlock{
					MarkdownDescription: "Search on the cluster of the provider's `elasticsearch` block.",
					Validators:          []validator.Object{Needs("index", "measure")},
					Attributes: map[string]schema.Attribute{
						"index": text("Required. Index, alias or pattern."),
						"body":  text("Body of the search as JSON. Default: all documents."),
						"measure": text("Required. `took_ms` (how long the search took) or `hits` (how many " +
							"documents match)."),
					}},
			},
		},
	}
}

// guardrails returns those in d, none while they are unknown.
func (r *Resource) guardrails(d document) ([]guard.Rail, error) {
	if !d.known(blockGuardrail) {
		return nil, nil
	}
	var rails []guard.Rail
	if err := d.get(blockGuardrail, &rails); err != nil {
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
				Why: fmt.Sprintf("Guardrail %q has on_breach = \"rollback\". %s", rail.Name,
					noUndo(r.front.Playbook.Metadata())),
				Next: "Set its on_breach to hold, fail or warn.", Path: []string{blockGuardrail, strconv.Itoa(i),
					"on_breach"},
			}
		}
	}
	return nil
}
