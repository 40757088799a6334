package tfkit

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// Needs returns a validator for a single block that requires some of its arguments, if it is present. The schema can't
// express that: the framework demands required arguments even if their block is absent.
func Needs(names ...string) validator.Object { return needs{names} }

type needs struct{ names []string }

// Description implements validator.Describer.
func (v needs) Description(context.Context) string {
	return "requires " + strings.Join(v.names, ", ")
}

// MarkdownDescription implements validator.Describer.
func (v needs) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject implements validator.Object.
func (v needs) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	for _, name := range v.names {
		if req.ConfigValue.Attributes()[name].IsNull() {
			resp.Diagnostics.AddAttributeError(req.Path.AtName(name), "Missing required argument",
				fmt.Sprintf("The argument %q is required in the block %s.", name, req.Path))
		}
	}
}

// ExactlyOne returns a validator for a single block that requires exactly one of several blocks within it, if it is
// present.
func ExactlyOne(names ...string) validator.Object { return exactlyOne{names} }

type exactlyOne struct{ names []string }

// Description implements validator.Describer.
func (v exactlyOne) Description(context.Context) string {
	return "exactly one of " + strings.Join(v.names, ", ")
}

// MarkdownDescription implements validator.Describer.
func (v exactlyOne) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject implements validator.Object.
func (v exactlyOne) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	var found []string
	for _, name := range v.names {
		in := req.ConfigValue.Attributes()[name]
		if in.IsUnknown() {
			return // checked once it is known
		}
		if !in.IsNull() {
			found = append(found, name)
		}
	}
	why := "The block has " + strings.Join(found, " and ") + "."
	switch len(found) {
	case 0:
		why = "The block is empty."
	case 1:
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, fmt.Sprintf("Expected one block in %s", req.Path),
		fmt.Sprintf("%s\n\nConfigure %s.", why, v.Description(ctx)))
}
