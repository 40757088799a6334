package tfkit

import (
	"maps"

	data "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// PreviewInputs returns the common inputs of playbook resources that affect a preview, for a data source.
func PreviewInputs() (map[string]data.Attribute, map[string]data.Block) {
	attributes := map[string]data.Attribute{}
	common := commonInputs()
	for _, name := range []string{attrIncident, attrTriggers, attrAfter, attrApprovedBy, attrOnDestroy} {
		attributes[name] = mirror(common[name])
	}
	return attributes, mirrorBlocks(map[string]schema.Block{
		blockApproval: approvalBlock(), blockGuardrail: guardrailBlock(), blockTimeouts: timeoutsBlock(),
	})
}

// PreviewAttributes returns the attributes that every playbook's preview has, for a data source.
func PreviewAttributes() map[string]data.Attribute {
	attributes := map[string]data.Attribute{}
	for name, a := range previewAttributes(nil) {
		attributes[name] = mirror(a)
	}
	return attributes
}

// mirror converts an attribute of a resource to one of a data source.
func mirror(a schema.Attribute) data.Attribute {
	switch a := a.(type) {
	case schema.StringAttribute:
		return data.StringAttribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed,
			MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case schema.BoolAttribute:
		return data.BoolAttribute{Optional: a.Optional, Computed: a.Computed,
			MarkdownDescription: a.MarkdownDescription}
	case schema.NumberAttribute:
		return data.NumberAttribute{Optional: a.Optional, MarkdownDescription: a.MarkdownDescription,
			Validators: a.Validators}
	case schema.Int64Attribute:
		return data.Int64Attribute{Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.Float64Attribute:
		return data.Float64Attribute{Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.MapAttribute:
		return data.MapAttribute{Optional: a.Optional, ElementType: a.ElementType,
			MarkdownDescription: a.MarkdownDescription}
	case schema.ListAttribute:
		return data.ListAttribute{Optional: a.Optional, Computed: a.Computed, ElementType: a.ElementType,
			MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	default:
		return nil // the framework's check at start refuses such a schema
	}
}

func mirrorBlocks(blocks map[string]schema.Block) map[string]data.Block {
	all := map[string]data.Block{}
	attributes := func(in map[string]schema.Attribute) map[string]data.Attribute {
		out := map[string]data.Attribute{}
		for name, a := range maps.All(in) {
			out[name] = mirror(a)
		}
		return out
	}
	for name, b := range blocks {
		switch b := b.(type) {
		case schema.ListNestedBlock:
			all[name] = data.ListNestedBlock{MarkdownDescription: b.MarkdownDescription, Validators: b.Validators,
				NestedObject: data.NestedBlockObject{Attributes: attributes(b.NestedObject.Attributes),
					Blocks: mirrorBlocks(b.NestedObject.Blocks)}}
		case schema.SingleNestedBlock:
			all[name] = data.SingleNestedBlock{MarkdownDescription: b.MarkdownDescription, Validators: b.Validators,
				Attributes: attributes(b.Attributes), Blocks: mirrorBlocks(b.Blocks)}
		}
	}
	return all
}
