package tfkit

import (
	"maps"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Names of the attributes that every playbook resource has, in addition to the playbook's own inputs.
const (
	attrID             = "id"
	attrIncident       = "incident_id"
	attrTriggers       = "triggers"
	attrRunIf          = "run_if"
	attrAfter          = "after"
	attrApprovedBy     = "approved_by"
	attrOnDestroy      = "on_destroy"
	attrExpectedDigest = "expected_digest"
	blockTimeouts      = "timeouts"
	blockGuardrail     = "guardrail"
	attrDryRun         = "dry_run"
	attrPreview        = "preview"
	attrStatus         = "status"
	attrResult         = "result"
	attrRollback       = "rollback_action"
	attrHistory        = "history"
)

// commonNames are the inputs that every playbook resource has.
var commonNames = []string{
	attrIncident, attrTriggers, attrRunIf, attrAfter, attrApprovedBy, blockApproval, attrOnDestroy, attrExpectedDigest,
	blockTimeouts, blockGuardrail,
}

// computed are the attributes that an execution sets.
var computed = []string{
	attrID, attrDryRun, attrPreview, attrStatus, attrResult, attrRollback, attrHistory,
}

// digestPattern matches preview.digest, or the beginning of it.
var digestPattern = regexp.MustCompile(`^(sha256:)?[0-9a-f]{20,64}$`)

// fullDigestPattern matches preview.digest.
var fullDigestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Values of on_destroy.
const (
	onDestroyKeep     = "keep"
	onDestroyRollback = "rollback"
)

func commonInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		attrIncident: schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Incident that the execution belongs to. A change of it alone runs nothing.",
			Validators:          []validator.String{Label()},
		},
		attrTriggers: schema.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Any values. A change of one of them runs the playbook again, in place.",
		},
		attrRunIf: schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "`false` runs nothing and sets the status `skipped`. The value may be unknown at " +
				"plan, such as an attribute of another resource. Default: `true`.",
		},
		attrAfter: schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "`preview.digest` of earlier steps of the configuration, such as " +
				"`[remediation_canary_split.contain.preview.digest]`. This step is previewed on the state that they " +
				"will leave, and its preview and approval stay valid if they leave that state. Nulls are ignored. " +
				"A change of it alone runs nothing.",
			Validators: []validator.List{listvalidator.ValueStringsAre(stringvalidator.RegexMatches(
				fullDigestPattern, "must be preview.digest of another resource"))},
		},
		attrApprovedBy: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Who approved what the plan shows. It must match the provider's " +
				"`approval.approvers` where those are set. A change of it alone runs nothing.",
			Validators: []validator.String{Label()},
		},
		attrOnDestroy: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "What a destroy does. `keep` removes it from the state; the journal " +
				"keeps its history. `rollback` runs `rollback_action`, as the plan of the destroy shows; a destroy " +
				"that is part of a replacement runs nothing. Default: `keep`. A change of it alone runs nothing.",
			Validators: []validator.String{stringvalidator.OneOf(onDestroyKeep, onDestroyRollback)},
		},
		attrExpectedDigest: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Digest of the reviewed preview, or at least its first 20 hexadecimal digits; " +
				"`sha256:` may be left out. Plan and apply refuse to run anything with another digest. A change of " +
				"it alone runs nothing.",
			Validators: []validator.String{stringvalidator.RegexMatches(digestPattern,
				"must be preview.digest or its first 20 or more hexadecimal digits, in lower case")},
		},
	}
}

func computedAttributes(front Front) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		attrID: Text("Identifier of the newest execution in the journal, as for `terraform import`. Null if " +
			"the execution was skipped."),
		attrDryRun: Text("The dry run as text: what would happen, why, and what it needs."),
		attrPreview: schema.SingleNestedAttribute{Computed: true, Attributes: previewAttributes(front.Preview),
			MarkdownDescription: "The dry run as values, for expressions and policies. Apply reads the target " +
				"again and refuses to run if it has changed."},
		attrStatus: Text("`success`, `failed`, `cancelled`, `skipped` (`run_if` is false), `unknown` (the process " +
			"died and the outcome can't be determined), `pending`, or `running`."),
		attrResult: schema.SingleNestedAttribute{Computed: true, Attributes: resultAttributes(),
			MarkdownDescription: "Result of the newest execution. Its attributes are null if the execution was " +
				"skipped; `message` says why."},
		attrRollback: schema.SingleNestedAttribute{Computed: true,
			MarkdownDescription: "The action that undoes the newest execution, or null.",
			Attributes: map[string]schema.Attribute{
				"action_type": Text("Playbook that undoes it."),
				"params":      Text("Inputs of that playbook, as JSON."),
			}},
		attrHistory: schema.ListNestedAttribute{Computed: true,
			MarkdownDescription: "Executions, oldest first: the newest `history_limit` of the provider block. The " +
				"journal keeps all of them, with dry runs and details.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"id":                      Text("Identifier in the journal."),
				"action_type":             Text("Playbook."),
				"params":                  Text("Inputs, as JSON."),
				"status":                  Text("How it ended; see `status`."),
				"approved_by":             Text("Who approved it."),
				"created_at":              Text("When it began, RFC 3339."),
				"actual_duration_seconds": DecimalNumber("How long it took, in seconds, to the nearest eighth."),
				"logs_url":                Text("Where its log is."),
				"digest":                  Text("Digest of the preview that was executed."),
				"message":                 Text("What happened, in one sentence."),
			}}},
	}
}

// Text is a computed string.
func Text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

// Texts is a computed list of strings.
func Texts(description string) schema.ListAttribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

// Number is a computed whole number.
func Number(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

// DecimalNumber is a computed decimal number.
func DecimalNumber(description string) schema.Float64Attribute {
	return schema.Float64Attribute{Computed: true, MarkdownDescription: description}
}

// previewAttributes returns the attributes that all previews have, plus own: the attributes of the playbook's facts.
func previewAttributes(own map[string]schema.Attribute) map[string]schema.Attribute {
	boolean := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
	}
	all := map[string]schema.Attribute{
		"target":                     Text("Name of the target in the journal."),
		"command":                    Text("What is executed, one command per line."),
		"digest":                     Text("SHA-256 of what was reviewed. Apply runs nothing with another digest."),
		"risk":                       Text("`low`, `medium`, or `high`."),
		"affected":                   Texts("Systems and things that are affected."),
		"estimated_duration_seconds": Number("Estimated duration, in seconds."),
		"estimated_cost_usd":         DecimalNumber("Estimated cost in US dollars."),
		"rollback_available":         boolean("Whether the execution can be undone."),
		"approval_required":          boolean("Whether apply requires an approval."),
		"approval_reasons":           Texts("Why an approval is needed. Null if none is needed."),
		"approval_granted": boolean("Whether the names and signatures in the configuration are sufficient. Null if " +
			"the reviews at a forge decide."),
		"approval_payload": Text("The text that an approver signs with `ssh-keygen -Y sign -n remediation`: one line " +
			"without a line break at the end. Null if no approval is needed."),
		"record":   Number("Number of this dry run in the journal."),
		"identity": Text("SHA-256, in hexadecimal, of what identifies the target. Part of the digest."),
		"content":  Text("SHA-256, in hexadecimal, of what runs. Part of the digest."),
		"undo":     Text("Action that undoes the execution, with its parameters, as JSON, or null."),
	}
	maps.Copy(all, own)
	return all
}

func resultAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"message":                 Text("What happened, in one sentence."),
		"started_at":              Text("When it began, RFC 3339."),
		"finished_at":             Text("When it ended, RFC 3339."),
		"actual_duration_seconds": DecimalNumber("How long it took, in seconds, to the nearest eighth."),
		"logs_url":                Text("Where its log is."),
		"details": schema.MapAttribute{Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Measured values and facts, by name."},
	}
}
