package tfkit

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// blockApproval is the name of the block for one approval with its signature, in addition to approved_by.
const blockApproval = "approval"

// Bounds for approvals, which state and plans contain in full.
const (
	maxApprovals = 20
	maxSignature = 16 << 10
)

func approvalBlock() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "An approval of what the plan shows, one per person. Needed if the provider's " +
			"`approval` block requires signatures or several approvers. A change of it alone runs nothing.",
		Validators: []validator.List{listvalidator.SizeAtMost(maxApprovals)},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"approved_by": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Who approved. Default: the resource's `approved_by`. With a signature, it must " +
					"be the principal to whom `allowed_signers` assigns the key.",
				Validators: []validator.String{Label()}},
			"signature": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Armored SSH signature of `preview.approval_payload`, as `ssh-keygen -Y sign -n " +
					"remediation` prints it.",
				Validators: []validator.String{stringvalidator.LengthBetween(1, maxSignature)}},
			"approved_at": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Time of the approval, RFC 3339. A signature may cover it: the signed text is " +
					"then the payload, a space and `approved_at=` with this value.",
				Validators: []validator.String{Moment()}},
			"ticket": schema.StringAttribute{Optional: true,
				MarkdownDescription: "A reference, such as a change request. The journal keeps it.",
				Validators:          []validator.String{Label()}},
			"break_glass": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "`true` lets the execution run within a `freeze` window. Such an approval does " +
					"not count otherwise. Its signature covers the payload, a space and `break-glass`."},
		}},
	}
}

// given returns the approvals in d that are known.
func (d document) given() (approval.Given, error) {
	given := approval.Given{By: d.text(attrApprovedBy)}
	if !d.known(blockApproval) {
		return given, nil
	}
	return given, d.get(blockApproval, &given.Approvals)
}

// checkApprovals refuses approvals that are invalid under any policy: without a name, duplicate, or with a malformed
// signature.
func checkApprovals(config document) error {
	if !config.approvalsKnown() {
		return nil
	}
	given, err := config.given()
	if err != nil {
		return err
	}
	seen := map[[2]string]bool{}
	for i, a := range given.Approvals {
		at := func(why, next string, names ...string) error {
			return &problem.Problem{What: fmt.Sprintf("Invalid approval %d", i+1), Why: why, Next: next,
				Path: append([]string{blockApproval, strconv.Itoa(i)}, names...)}
		}
		if a.By == "" && given.By == "" {
			return at("Neither the block nor the resource has approved_by.", "Set approved_by in the block.")
		}
		if a.Signature != "" {
			if err := approval.CheckSignature(a.Signature); err != nil {
				return at("The signature is invalid: "+err.Error()+".",
					"Paste the whole output of ssh-keygen -Y sign -n remediation.", "signature")
			}
		}
		same := [2]string{a.By, a.Signature + strconv.FormatBool(a.BreakGlass)}
		if seen[same] {
			return at("Duplicate approval.", "Remove one. Each person approves with one block.")
		}
		seen[same] = true
	}
	return nil
}

// approvalsKnown reports whether all approvals are known.
func (d document) approvalsKnown() bool { return d.known(attrApprovedBy) && d.known(blockApproval) }
