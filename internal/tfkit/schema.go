package tfkit

import (
	"maps"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Names of the attributes that every playbook resource has. The own inputs of a playbook stand beside them.
const (
	attrID             = "id"
	attrIncident       = "incident_id"
	attrTriggers       = "triggers"
	attrRunIf          = "run_if"
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
	attrExecutions     = "executions"
)

// commonNames are the inputs that every playbook resource has.
var commonNames = []string{
	attrIncident, attrTriggers, attrRunIf, attrApprovedBy, blockApproval, attrOnDestroy, attrExpectedDigest,
	blockTimeouts, blockGuardrail,
}

// computed are the attributes that an execution gives values to.
var computed = []string{
	attrID, attrDryRun, attrPreview, attrStatus, attrResult, attrRollback, attrHistory, attrExecutions,
}

// digestPattern is that of a digest, or of the beginning of one that pins it.
var digestPattern = regexp.MustCompile(`^(sha256:)?[0-9a-f]{20,64}$`)

// Values of on_destroy.
const (
	onDestroyKeep     = "keep"
	onDestroyRollback = "rollback"
)

func commonInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		attrIncident: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Incident that this belongs to. It groups the history; a change of it alone runs " +
				"nothing.",
			Validators: []validator.String{Label()},
		},
		attrTriggers: schema.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Any values: a change of one of them runs the playbook again, in place.",
		},
		attrRunIf: schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "`false` runs nothing and gives the status `skipped`. It may be unknown at plan, " +
				"for example a result of another resource. Not set: run.",
		},
		attrApprovedBy: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Who approved what the plan shows. Must match the provider's `approval.approvers` " +
				"where those are set. " +
				"A change of it alone runs nothing.",
			Validators: []validator.String{Label()},
		},
		attrOnDestroy: schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(onDestroyKeep),
			MarkdownDescription: "What destroying the resource does: `keep` (default) only forgets it, the journal " +
				"keeps its history; " +
				"`rollback` carries out `rollback_action`, as the plan of the destroy announces. A destroy that is " +
				"part of a replacement takes nothing back.",
			Validators: []validator.String{stringvalidator.OneOf(onDestroyKeep, onDestroyRollback)},
		},
		attrExpectedDigest: schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Pins the reviewed preview: plan and apply refuse to run anything whose " +
				"`preview.digest` differs. " +
				"A change of it alone runs nothing.",
			Validators: []validator.String{stringvalidator.RegexMatches(digestPattern,
				"must be a digest as preview.digest shows it, or its first 20 hexadecimal digits or more, in lower "+
					"case")},
		},
	}
}

func computedAttributes(front Front) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		attrID: schema.StringAttribute{Computed: true,
			MarkdownDescription: "Identifier of the newest execution in the journal. `terraform import` takes it. " +
				"Empty where nothing has run."},
		attrDryRun: schema.StringAttribute{Computed: true,
			MarkdownDescription: "The preview as text for people. Its first line names the execution and what came " +
				"of the last one."},
		attrPreview: schema.SingleNestedAttribute{Computed: true, Attributes: previewAttributes(front.Preview),
			MarkdownDescription: "What the execution would do, as seen on the live target at plan. Apply looks again " +
				"and refuses where it changed."},
		attrStatus: schema.StringAttribute{Computed: true,
			MarkdownDescription: "`success`, `failed`, `cancelled`, `skipped` (`run_if` was false), `unknown` (its " +
				"process died and the outcome " +
				"could not be found out), `pending` or `running`."},
		attrResult: schema.SingleNestedAttribute{Computed: true, Attributes: resultAttributes(),
			MarkdownDescription: "What came of the newest execution. Null where nothing has run."},
		attrRollback: schema.SingleNestedAttribute{Computed: true,
			MarkdownDescription: "The action that takes the newest execution back, or null.",
			Attributes: map[string]schema.Attribute{
				"action_type": Text("Playbook that does it."),
				"params":      Text("Its inputs, as JSON."),
			}},
		attrHistory: schema.ListNestedAttribute{Computed: true,
			MarkdownDescription: "Executions, oldest first; the newest `history_limit` of the provider. The journal " +
				"keeps all, dry runs too.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"id":          schema.Int64Attribute{Computed: true, MarkdownDescription: "Identifier in the journal."},
				"action_type": Text("Playbook."),
				"params":      Text("Inputs, as JSON."),
				"dry_run": schema.BoolAttribute{Computed: true,
					MarkdownDescription: "Always false here; dry runs are in the journal."},
				"status":      Text("How it ended; see `status`."),
				"approved_by": Text("Who approved it."),
				"created_at":  Text("When it began, RFC 3339."),
				"digest":      Text("Digest of the preview on which it ran."),
				"result": schema.SingleNestedAttribute{Computed: true, Attributes: resultAttributes(),
					MarkdownDescription: "What came of it."},
			}}},
		attrExecutions: schema.Int64Attribute{Computed: true,
			MarkdownDescription: "How many executions of this request there have been, those beyond the history's " +
				"limit included."},
	}
}

// Text is a computed string of a preview or a result.
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

// previewAttributes are the parts that the previews of all playbooks have, and own, which are the playbook's facts by
// name.
func previewAttributes(own map[string]schema.Attribute) map[string]schema.Attribute {
	all := map[string]schema.Attribute{
		"command":  Text("What will be executed, where it is a single command. As a person would type it."),
		"commands": Texts("What will be executed, in order, where it is several commands."),
		"changes":  Texts("What changes, one sentence each."),
		"estimated_duration_seconds": schema.Int64Attribute{Computed: true,
			MarkdownDescription: "Estimate in seconds; the figures come from the catalogue or the provider's " +
				"`estimates`."},
		"estimated_cost_usd": schema.Float64Attribute{Computed: true,
			MarkdownDescription: "Estimate in US dollars; the figures come from the catalogue or the provider's " +
				"`estimates`."},
		"risk":     Text("`low`, `medium` or `high`."),
		"affected": Texts("Systems and things that feel the change."),
		"approval_required": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether apply asks for an approval."},
		"approval_reasons": Texts("Why an approval is needed."),
		"rollback_available": schema.BoolAttribute{Computed: true,
			MarkdownDescription: "Whether the execution can be undone."},
		"target": Text("What is changed, as the journal names it. One execution at a time runs on it."),
		"digest": Text("SHA-256 of the canonical JSON of playbook, target, inputs, triggers, commands, guardrails, " +
			"timeout, on_destroy, undo, `identity` and `content`: what was reviewed is what runs."),
		"record": schema.Int64Attribute{Computed: true,
			MarkdownDescription: "Number of the dry run in the journal. Null where the journal can't be written."},
		"identity": Text("SHA-256 of what makes the target the same thing, however it is named."),
		"content":  Text("SHA-256 of what runs: facts and content."),
		"approval_payload": Text("The exact text, one line without a line end, that an approver signs with " +
			"`ssh-keygen -Y sign -n remediation`. " +
			"It names the digest."),
	}
	maps.Copy(all, own)
	return all
}

func resultAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"message":     Text("What happened, in a sentence."),
		"started_at":  Text("When it began, RFC 3339."),
		"finished_at": Text("When it ended, RFC 3339."),
		"actual_duration_seconds": schema.Float64Attribute{Computed: true,
			MarkdownDescription: "How long it took, in seconds."},
		"logs_url": Text("Where its logs are."),
		"details": schema.MapAttribute{Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Figures and facts by name."},
	}
}
