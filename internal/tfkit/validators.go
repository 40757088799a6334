package tfkit

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/check"
)

// Line accepts a single line of visible text. See check.OneLine.
func Line() validator.String { return line{why: check.OneLine} }

// Label is Line for names. See check.Label.
func Label() validator.String { return line{why: check.Label} }

// SecretLine is Line for a secret. Its messages don't repeat the value.
func SecretLine() validator.String { return line{why: check.OneLine, secret: true} }

type line struct {
	why    func(string) string
	secret bool
}

// Description implements validator.Describer.
func (line) Description(context.Context) string {
	return "not empty, without spaces at either end, line breaks, and invisible characters"
}

// MarkdownDescription implements validator.Describer.
func (v line) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (v line) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	s := req.ConfigValue.ValueString()
	why := v.why(s)
	switch {
	case why == "":
	case v.secret:
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value",
			fmt.Sprintf("Attribute %s: the value, which is not shown, %s.", req.Path,
				why)+"\n\nA secret that is read from a file may end with a line break: use trimspace().")
	default:
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value",
			fmt.Sprintf("Attribute %s: the value %q %s.\n\nWrite it in one line, without spaces around it.", req.Path,
				s, why))
	}
}

// Moment accepts a time in the format of RFC 3339.
func Moment() validator.String { return moment{} }

type moment struct{}

// Description implements validator.Describer.
func (moment) Description(context.Context) string { return "a time such as 2026-01-31T03:00:00Z" }

// MarkdownDescription implements validator.Describer.
func (v moment) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (v moment) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := time.Parse(time.RFC3339, req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid time",
			fmt.Sprintf("Attribute %s: %s.\n\nWrite %s.", req.Path, err, v.Description(ctx)))
	}
}

// ObjectOnly accepts objects and maps for an attribute of dynamic type.
func ObjectOnly() validator.Dynamic { return objectOnly{} }

type objectOnly struct{}

// Description implements validator.Describer.
func (objectOnly) Description(context.Context) string { return "an object, such as { days = 3 }" }

// MarkdownDescription implements validator.Describer.
func (objectOnly) MarkdownDescription(context.Context) string {
	return "an object, such as `{ days = 3 }`"
}

// ValidateDynamic implements validator.Dynamic.
func (v objectOnly) ValidateDynamic(ctx context.Context, req validator.DynamicRequest,
	resp *validator.DynamicResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || req.ConfigValue.IsUnderlyingValueUnknown() {
		return
	}
	got := "a list"
	switch req.ConfigValue.UnderlyingValue().(type) {
	case types.Object, types.Map:
		return
	case types.String:
		got = "a string"
	case types.Number:
		got = "a number"
	case types.Bool:
		got = "true or false"
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Not an object",
		fmt.Sprintf("Expected %s, got %s.", v.Description(ctx), got))
}
