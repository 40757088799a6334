package tfkit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// Duration accepts a duration such as 20m between least and most. A most of zero means no upper bound.
func Duration(least, most time.Duration) validator.String { return duration{least: least, most: most} }

type duration struct{ least, most time.Duration }

// Description implements validator.Describer.
func (v duration) Description(context.Context) string {
	if v.most == 0 {
		return "a duration of at least " + Short(v.least)
	}
	return fmt.Sprintf("a duration between %s and %s", Short(v.least), Short(v.most))
}

// MarkdownDescription implements validator.Describer.
func (v duration) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (v duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	d, err := time.ParseDuration(text)
	if err == nil && d >= v.least && (v.most == 0 || d <= v.most) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid duration",
		fmt.Sprintf("Attribute %s must be %s, got %q.\n\nWrite a number with its unit, such as 90s, 20m or 1h30m.",
			req.Path, v.Description(ctx), text))
}

// Short formats a duration without units that are zero: 24h rather than 24h0m0s.
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
