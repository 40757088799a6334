package tfkit

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// maxPercent bounds the allowed change of a metric, as a percentage.
const maxPercent = 1e6

// maxSamples bounds min_samples.
const maxSamples = 1e12

// gateGuardrails is the description of a gate's guardrail blocks.
const gateGuardrails = "Required. A metric with its bounds. It is read when the gate begins, every `interval` " +
	"during `wait`, and at the end. The gate passes if the last reading of every guardrail passes and no limit was " +
	"exceeded. A bound that is in breach at the beginning counts again once it has passed, or at the end. " +
	"Percentages compare with the moment before the incident's first execution (without `incident_id`, the first one of this apply), or with " +
	"`stable_query`; they need Prometheus. `on_breach` and `wait` are refused here. A change of a guardrail reads " +
	"the metrics again."

func guardrailBlock() schema.ListNestedBlock {
	bound := func(description string, validators ...validator.Number) schema.NumberAttribute {
		return schema.NumberAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description,
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	}
	block := schema.ListNestedBlock{
		MarkdownDescription: "A metric that watches the execution. It is read before anything changes, every " +
			"`interval` during a step of a gradual change, at the end of each step, and at the end. A version gets " +
			"more traffic only while every guardrail can be read and passes. Elsewhere, a bound that is in breach " +
			"before the execution does not stop it. The bound counts again once it has passed, or at the end of a " +
			"`wait`. A guardrail that can't be read stops an execution, unless the execution only reduces traffic. " +
			"No data, `NaN`, and too few samples never count as passed. A change of a guardrail alone runs nothing.",
		NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name": schema.StringAttribute{Required: true,
					MarkdownDescription: "Name of the guardrail in `result.details` and in messages."},
				"query": text("Prometheus query that returns one number. It needs the provider's `prometheus` block."),
				"min":   bound("Lowest value allowed.", Finite()),
				"max":   bound("Highest value allowed.", Finite()),
				"max_drop_percent": bound("Largest drop allowed, in percent of the value before the execution, or of "+
					"the `stable_query`.", Decimal(0, maxPercent)),
				"max_increase_percent": bound("Largest increase allowed, in percent of the value before the "+
					"execution, or of the `stable_query`.", Decimal(0, maxPercent)),
				"wait": text("Time between the end of the execution and the last reading, such as `5m`. Default: " +
					"none."),
				"on_breach": schema.StringAttribute{Optional: true,
					MarkdownDescription: "`rollback` restores the state before the execution in one step. It never " +
						"gives a version more traffic; in that case it acts as `fail`. `hold` stops without a " +
						"rollback (status `cancelled`). `fail` stops without a rollback (status `failed`). `warn` " +
						"continues and reports the breach in `result.details`. Default: `rollback` if the playbook " +
						"can be undone, otherwise `fail`.",
					Validators: []validator.String{stringvalidator.OneOf(string(guard.Rollback), string(guard.Hold),
						string(guard.Fail), string(guard.Warn))}},
			},
			Blocks: map[string]schema.Block{
				"http": schema.SingleNestedBlock{
					MarkdownDescription: "An address to read with GET.",
					Validators:          []validator.Object{Needs("url")},
					Attributes: map[string]schema.Attribute{
						"url": text("Required. Address, `http` or `https`. A status other than 200 is inconclusive."),
						"json_pointer": text("JSON pointer (RFC 6901) to a number in the response, such as " +
							"`/stats/error_rate`. Default: the latency in milliseconds."),
					}},
				"elasticsearch": schema.SingleNestedBlock{
					MarkdownDescription: "A search on the cluster of the provider's `elasticsearch` block.",
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
	maps.Copy(block.NestedObject.Attributes, guardrailReadings(bound, text))
	return block
}

// guardrailReadings returns the attributes for when a guardrail is read, what it is compared with, and how many failed
// readings are tolerated.
func guardrailReadings(bound func(string, ...validator.Number) schema.NumberAttribute,
	text func(string) schema.StringAttribute) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"stable_query": text("Prometheus query for the stable version's value. The percentages then compare " +
			"with that value at the same moment."),
		"accept_warnings": schema.ListAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Texts of at least 10 characters. A warning of Prometheus about the answer makes a " +
				"reading inconclusive, unless the warning contains one of them.",
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues(),
				listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(guard.LeastWarning))}},
		"samples_query": text("Prometheus query for the number of requests behind the value."),
		"min_samples": bound("With fewer samples a reading is inconclusive. Needs `samples_query`.",
			Decimal(1, maxSamples)),
		"interval": text("Time between two readings during a step, such as `30s`; at least `1s` and at " +
			"most as long as a step. Default: `10s`."),
		"initial_delay": text("Time from the start of the execution to the first reading. Default: none."),
		"failure_limit": bound("Number of readings in breach that are tolerated. Default: 0.",
			Whole(0, guard.MaxLimit)),
		"consecutive_error_limit": bound("Number of readings in a row that may fail. Default: 4.",
			Whole(0, guard.MaxLimit)),
		"inconclusive_limit": bound("Number of inconclusive readings that are tolerated. Default: 0.",
			Whole(0, guard.MaxLimit)),
	}
}

// writtenGuardrails returns the guardrails in d as written, without defaults.
func (d document) writtenGuardrails() ([]guard.Rail, error) {
	var rails []guard.Rail
	err := d.get(blockGuardrail, &rails)
	return rails, err
}

// guardrails returns the guardrails in d with defaults, or nil while they are unknown. It refuses invalid ones. canUndo
// selects the default of on_breach.
func (d document) guardrails(canUndo bool) ([]guard.Rail, error) {
	if !d.known(blockGuardrail) {
		return nil, nil
	}
	rails, err := d.writtenGuardrails()
	if err != nil {
		return nil, err
	}
	for i := range rails {
		if rails[i].OnBreach != "" {
			continue
		}
		rails[i].OnBreach = guard.Fail
		if canUndo {
			rails[i].OnBreach = guard.Rollback
		}
	}
	return rails, guard.Check(rails)
}

// checkGuardrails refuses invalid guardrails, and a rollback by a playbook that can't be undone.
func (r *Resource) checkGuardrails(config document) error {
	metadata := r.front.Playbook.Metadata()
	if metadata.Gate {
		return nil // they are inputs, which the playbook checks
	}
	rails, err := config.guardrails(metadata.CanUndo)
	if err != nil {
		return err
	}
	for i, rail := range rails {
		if rail.OnBreach == guard.Rollback && !metadata.CanUndo {
			return &problem.Problem{
				What: metadata.ActionType + " can't be undone",
				Why: fmt.Sprintf("Guardrail %q has on_breach = \"rollback\". %s", rail.Name,
					noUndo(metadata)),
				Next: "Set its on_breach to hold, fail or warn.", Path: []string{blockGuardrail, strconv.Itoa(i),
					"on_breach"},
			}
		}
	}
	return nil
}
