package tfkit

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// refusals finds out what the schema refuses. Terraform shows the schema's errors next to those of ValidateConfig, and
// one mistake needs one error.
type refusals struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one call of ValidateConfig
	config tfsdk.Config
}

// refusedBySchema returns the names of the attributes and blocks that the schema refuses.
func (r *Resource) refusedBySchema(ctx context.Context, config tfsdk.Config) []string {
	s, ok := config.Schema.(schema.Schema)
	var all map[string]tftypes.Value
	if !ok || config.Raw.As(&all) != nil {
		return nil
	}
	check := refusals{ctx: ctx, config: config}
	var names []string
	for name, a := range s.Attributes {
		if check.attribute(path.Root(name), a, all[name]) {
			names = append(names, name)
		}
	}
	for name, b := range s.Blocks {
		if check.block(path.Root(name), b, all[name]) {
			names = append(names, name)
		}
	}
	return names
}

// isRefused reports whether err is about something that the schema refuses.
func isRefused(names []string, err error) bool {
	var p *problem.Problem
	if !errors.As(err, &p) || len(p.Path) == 0 {
		return len(names) > 0
	}
	return slices.Contains(names, p.Path[0])
}

func (c refusals) block(at path.Path, b schema.Block, v tftypes.Value) bool {
	switch b := b.(type) {
	case schema.SingleNestedBlock:
		return c.nested(at, v, b.Attributes, b.Blocks) || c.value(at, b, b.Type(), v)
	case schema.ListNestedBlock:
		var elements []tftypes.Value
		if v.IsKnown() && !v.IsNull() && v.As(&elements) != nil {
			return false
		}
		for i, e := range elements {
			if c.nested(at.AtListIndex(i), e, b.NestedObject.Attributes, b.NestedObject.Blocks) {
				return true
			}
		}
		return c.value(at, b, b.Type(), v)
	default:
		return false
	}
}

// nested is block for the members of one object.
func (c refusals) nested(at path.Path, v tftypes.Value, attributes map[string]schema.Attribute,
	blocks map[string]schema.Block) bool {
	var members map[string]tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.As(&members) != nil {
		return false
	}
	for name, a := range attributes {
		if c.attribute(at.AtName(name), a, members[name]) {
			return true
		}
	}
	for name, b := range blocks {
		if c.block(at.AtName(name), b, members[name]) {
			return true
		}
	}
	return false
}

func (c refusals) attribute(at path.Path, a schema.Attribute, v tftypes.Value) bool {
	return a.IsRequired() && v.IsNull() || c.value(at, a, a.GetType(), v)
}

// value runs the validators of an attribute or a block.
func (c refusals) value(at path.Path, of any, kind attr.Type, v tftypes.Value) bool {
	value, err := kind.ValueFromTerraform(c.ctx, v)
	if err != nil {
		return false
	}
	var found diag.Diagnostics
	switch of := of.(type) {
	case interface{ StringValidators() []validator.String }:
		s, _ := value.(basetypes.StringValue)
		for _, v := range of.StringValidators() {
			var resp validator.StringResponse
			v.ValidateString(c.ctx, validator.StringRequest{Path: at, Config: c.config, ConfigValue: s}, &resp)
			found.Append(resp.Diagnostics...)
		}
	case interface{ NumberValidators() []validator.Number }:
		n, _ := value.(basetypes.NumberValue)
		for _, v := range of.NumberValidators() {
			var resp validator.NumberResponse
			v.ValidateNumber(c.ctx, validator.NumberRequest{Path: at, Config: c.config, ConfigValue: n}, &resp)
			found.Append(resp.Diagnostics...)
		}
	case interface{ DynamicValidators() []validator.Dynamic }:
		d, _ := value.(basetypes.DynamicValue)
		for _, v := range of.DynamicValidators() {
			var resp validator.DynamicResponse
			v.ValidateDynamic(c.ctx, validator.DynamicRequest{Path: at, Config: c.config, ConfigValue: d}, &resp)
			found.Append(resp.Diagnostics...)
		}
	case interface{ ListValidators() []validator.List }:
		l, _ := value.(basetypes.ListValue)
		for _, v := range of.ListValidators() {
			var resp validator.ListResponse
			v.ValidateList(c.ctx, validator.ListRequest{Path: at, Config: c.config, ConfigValue: l}, &resp)
			found.Append(resp.Diagnostics...)
		}
	case interface{ SetValidators() []validator.Set }:
		s, _ := value.(basetypes.SetValue)
		for _, v := range of.SetValidators() {
			var resp validator.SetResponse
			v.ValidateSet(c.ctx, validator.SetRequest{Path: at, Config: c.config, ConfigValue: s}, &resp)
			found.Append(resp.Diagnostics...)
		}
	case interface{ ObjectValidators() []validator.Object }:
		o, _ := value.(basetypes.ObjectValue)
		for _, v := range of.ObjectValidators() {
			var resp validator.ObjectResponse
			v.ValidateObject(c.ctx, validator.ObjectRequest{Path: at, Config: c.config, ConfigValue: o}, &resp)
			found.Append(resp.Diagnostics...)
		}
	}
	return found.HasError()
}
