package tfkit

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// noBlanksAround refuses blanks at either end: they would make another identity that looks the same.
type noBlanksAround struct{}

// Description implements validator.Describer.
func (noBlanksAround) Description(context.Context) string { return "no blanks at either end" }

// MarkdownDescription implements validator.Describer.
func (v noBlanksAround) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (noBlanksAround) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	s := req.ConfigValue.ValueString()
	if s != strings.TrimSpace(s) {
		resp.Diagnostics.AddAttributeError(req.Path, "Blanks around a value", fmt.Sprintf("The value %q begins or ends with a blank. Remove it.", s))
	}
}

// ObjectOnly accepts objects and maps where an attribute's type is left to the configuration.
func ObjectOnly() validator.Dynamic { return objectOnly{} }

type objectOnly struct{}

// Description implements validator.Describer.
func (objectOnly) Description(context.Context) string { return "an object, such as { days = 3 }" }

// MarkdownDescription implements validator.Describer.
func (objectOnly) MarkdownDescription(context.Context) string {
	return "an object, such as `{ days = 3 }`"
}

// ValidateDynamic implements validator.Dynamic.
func (v objectOnly) ValidateDynamic(ctx context.Context, req validator.DynamicRequest, resp *validator.DynamicResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || req.ConfigValue.IsUnderlyingValueUnknown() {
		return
	}
	switch req.ConfigValue.UnderlyingValue().(type) {
	case types.Object, types.Map:
	default:
		resp.Diagnostics.AddAttributeError(req.Path, "Not an object", fmt.Sprintf("Expected %s, got %s.", v.Description(ctx),
			req.ConfigValue.UnderlyingValue().Type(ctx)))
	}
}
