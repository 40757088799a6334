package tfkit

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

// attrApprovals are the approvals beside approved_by, each with what proves it.
const attrApprovals = "approvals"

// Bounds of approvals: state and plans hold them whole.
const (
	maxApprovals = 20
	maxName      = 255
	maxSignature = 16 << 10
)

func approvalsAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Optional: true,
		MarkdownDescription: "Approvals of what the plan shows, one a person, where the provider's `approval` block asks for signatures or for " +
			"several people. A change of it alone runs nothing.",
		Validators: []validator.List{listvalidator.SizeBetween(1, maxApprovals)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"approved_by": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Who approved. Default: the resource's `approved_by`. With a signature it must be whom `allowed_signers` says the key belongs to.",
				Validators:          []validator.String{stringvalidator.LengthBetween(1, maxName), noBlanksAround{}}},
			"signature": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Armored SSH signature of `preview.approval_payload`, as `ssh-keygen -Y sign -n remediation` prints it.",
				Validators:          []validator.String{stringvalidator.LengthBetween(1, maxSignature)}},
			"approved_at": schema.StringAttribute{Optional: true,
				MarkdownDescription: "When, RFC 3339. A signature may cover it: it then signs the payload, a blank and `approved_at=` with this text."},
			"ticket": schema.StringAttribute{Optional: true, MarkdownDescription: "A reference of the approver's, kept in the journal.",
				Validators: []validator.String{stringvalidator.LengthBetween(1, maxName)}},
			"break_glass": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "`true`: it lets the execution run within a `freeze` window, and counts for nothing else. Its signature covers " +
					"the payload, a blank and `break-glass`."},
		}},
	}
}

// given returns the approvals in d as far as they are known.
func (d document) given() (approval.Given, error) {
	given := approval.Given{By: d.text(attrApprovedBy)}
	if !d.known(attrApprovals) {
		return given, nil
	}
	return given, d.get(attrApprovals, &given.Approvals)
}

// approvalsKnown tells whether the approvals are known, so that what they decide can be told.
func (d document) approvalsKnown() bool { return d.known(attrApprovedBy) && d.known(attrApprovals) }
