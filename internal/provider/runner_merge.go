package provider

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// restrict returns the block with everything that the runner's policy decides. The configuration can only be stricter.
// ignored lists the configuration's settings that the policy replaces.
func (b block) restrict(r runner) (merged block, ignored []string, err error) {
	if r.journal != nil {
		if b.Journal != nil {
			ignored = append(ignored, "journal")
		}
		b.Journal = r.journal
	}
	if r.approval == nil {
		return b, ignored, nil
	}
	var own approvalBlock
	if b.Approval != nil {
		own = *b.Approval
	}
	replaced, err := own.restrict(*r.approval)
	b.Approval = &own
	return b, append(ignored, replaced...), err
}

// restrict makes a at least as strict as the policy. Approvers stay: an approver must match both lists; see
// block.policy. The rules and windows of the configuration keep their positions, which messages name.
func (a *approvalBlock) restrict(policy approvalBlock) (ignored []string, err error) {
	if whole(policy.Minimum) > whole(a.Minimum) {
		a.Minimum = policy.Minimum
	}
	if policy.Enforce.ValueString() == string(approval.EnforcePlan) {
		a.Enforce = policy.Enforce
	}
	if policy.Signatures.ValueString() == signaturesRequired {
		a.Signatures = policy.Signatures
	}
	if policy.SeparationOfDuties.ValueBool() {
		a.SeparationOfDuties = policy.SeparationOfDuties
	}
	if a.MaxAge, err = shorter(a.MaxAge, policy.MaxAge); err != nil {
		return nil, err
	}
	replace := func(name string, had, has bool, with func()) {
		if has {
			if had {
				ignored = append(ignored, "approval."+name)
			}
			with()
		}
	}
	replace("groups", a.Groups != nil, policy.Groups != nil, func() { a.Groups = policy.Groups })
	replace("aliases", a.Aliases != nil, policy.Aliases != nil, func() { a.Aliases = policy.Aliases })
	replace("allowed_signers", !a.AllowedSigners.IsNull(), !policy.AllowedSigners.IsNull(),
		func() { a.AllowedSigners = policy.AllowedSigners })
	replace("requester", !a.Requester.IsNull(), !policy.Requester.IsNull(),
		func() { a.Requester = policy.Requester })
	replace("forge", a.Forge != nil, policy.Forge != nil, func() { a.Forge = policy.Forge })
	if a.Rules, err = joined(a.Rules, policy.Rules, "rule",
		func(r ruleBlock) types.String { return r.Name }); err != nil {
		return nil, err
	}
	if a.Freeze, err = joined(a.Freeze, policy.Freeze, "freeze",
		func(f freezeBlock) types.String { return f.Name }); err != nil {
		return nil, err
	}
	a.Maintenance, err = joined(a.Maintenance, policy.Maintenance, "maintenance_window",
		func(m maintenanceBlock) types.String { return m.Name })
	return ignored, err
}

// claimed returns what the configuration, and not the policy, says about people, if the policy compares people.
func (a approvalBlock) claimed(policy approvalBlock) approval.Claimed {
	compares := policy.SeparationOfDuties.ValueBool() || policy.Forge != nil || whole(policy.Minimum) > 1 ||
		slices.ContainsFunc(policy.Rules, func(r ruleBlock) bool { return whole(r.Minimum) > 1 })
	if !compares {
		return approval.Claimed{}
	}
	return approval.Claimed{
		Aliases: policy.Aliases == nil, Groups: policy.Groups == nil, Signers: policy.AllowedSigners.IsNull(),
		Forge: policy.Forge == nil,
	}
}

// costPerModel returns the estimated cost of a dbt model, in US dollars. If a rule of the policy depends on the cost,
// the configuration can't make executions look cheaper than by default.
func (r runner) costPerModel(configured float64) float64 {
	if r.approval != nil && slices.ContainsFunc(r.approval.Rules, func(rule ruleBlock) bool {
		return !rule.MinCostUSD.IsNull()
	}) {
		return max(configured, playbook.DefaultEstimates().DBTCostPerModelUSD)
	}
	return configured
}

// shorter returns the shorter of two durations. A duration that is not set counts as longer.
func shorter(a, b types.String) (types.String, error) {
	if a.IsNull() || b.IsNull() {
		if a.IsNull() {
			return b, nil
		}
		return a, nil
	}
	one, err := approvalBlock{MaxAge: a}.maxAge()
	if err != nil {
		return a, err
	}
	other, err := approvalBlock{MaxAge: b}.maxAge()
	if err == nil && other < one {
		return b, nil
	}
	return a, err
}

// joined returns the configuration's elements, at their positions, and then those that only the policy has. It refuses
// one name for two different elements, since a message could mean either.
func joined[T any](own, policy []T, attribute string, name func(T) types.String) ([]T, error) {
	out := slices.Clone(own)
	for _, other := range policy {
		i := slices.IndexFunc(own, func(element T) bool { return name(element).Equal(name(other)) })
		switch {
		case i < 0:
			out = append(out, other)
		case !equalBlocks(other, own[i]):
			return nil, problemIn([]string{"approval", attribute, strconv.Itoa(i), "name"},
				"The runner's policy already uses this name", fmt.Sprintf("The runner's policy has a different "+
					"%s %q.", attribute, name(other).ValueString()), "Use another name.")
		}
	}
	return out, nil
}

// equalBlocks compares two blocks of one type by their values, as text. Each value is quoted, so that a list of two
// names differs from one name with a blank.
func equalBlocks(a, b any) bool { return fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b) }
