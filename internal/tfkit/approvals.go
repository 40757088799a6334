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

// attrApprovals are the approvals beside approved_by, each with what proves it.
const attrApprovals = "approvals"

// Bounds of approvals: state and plans hold them whole.
const (
	maxApprovals = 20
	maxSignature = 16 << 10
)

func approvalsAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Optional: true,
		MarkdownDescription: "Approvals of what the plan shows, one a person, where the provider's `approval` block " +
			"asks for signatures or for " +
			"several people. A change of it alone runs nothing.",
		Validators: []validator.List{listvalidator.SizeBetween(1, maxApprovals)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"approved_by": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Who approved. Default: the resource's `approved_by`. With a signature it must " +
					"be whom `allowed_signers` says the key belongs to.",
				Validators: []validator.String{Label()}},
			"signature": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Armored SSH signature of `preview.approval_payload`, as `ssh-keygen -Y sign -n " +
					"remediation` prints it.",
				Validators: []validator.String{stringvalidator.LengthBetween(1, maxSignature)}},
			"approved_at": schema.StringAttribute{Optional: true,
				MarkdownDescription: "When, RFC 3339. A signature may cover it: it then signs the payload, a blank " +
					"and `approved_at=` with this text.",
				Validators: []validator.String{Moment()}},
			"ticket": schema.StringAttribute{Optional: true,
				MarkdownDescription: "A reference of the approver's, kept in the journal.",
				Validators:          []validator.String{Label()}},
			"break_glass": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "`true`: it lets the execution run within a `freeze` window, and counts for " +
					"nothing else. Its signature covers " +
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

// checkApprovals refuses what can be no approval whatever the policy: one of nobody, one that is there twice, and a
// signature that is none.
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
				Path: append([]string{attrApprovals, strconv.Itoa(i)}, names...)}
		}
		if a.By == "" && given.By == "" {
			return at("Neither it nor the resource says who approved.", "Set its approved_by.")
		}
		if a.Signature != "" {
			if err := approval.CheckSignature(a.Signature); err != nil {
				return at("It can't be used: "+err.Error()+".",
					"Paste the whole output of ssh-keygen -Y sign -n remediation.", "signature")
			}
		}
		same := [2]string{a.By, a.Signature + strconv.FormatBool(a.BreakGlass)}
		if seen[same] {
			return at("It is there twice.", "Remove one. Several people approve with an approval each.")
		}
		seen[same] = true
	}
	return nil
}

// approvalsKnown tells whether the approvals are known, so that what they decide can be told.
func (d document) approvalsKnown() bool { return d.known(attrApprovedBy) && d.known(attrApprovals) }
