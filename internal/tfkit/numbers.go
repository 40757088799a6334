package tfkit

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// All numeric inputs use the schema's number type. For a value that does not fit, the framework's integer and float
// types would report a bug in the provider.

// Whole accepts whole numbers within bounds.
func Whole(least, most int64) validator.Number {
	return number{
		fits: func(n *big.Float) bool {
			return n.IsInt() && n.Cmp(big.NewFloat(float64(least))) >= 0 && n.Cmp(big.NewFloat(float64(most))) <= 0
		},
		allowed: fmt.Sprintf("a whole number between %d and %d", least, most),
	}
}

// Decimal accepts numbers within bounds.
func Decimal(least, most float64) validator.Number {
	return number{
		fits:    func(n *big.Float) bool { return n.Cmp(big.NewFloat(least)) >= 0 && n.Cmp(big.NewFloat(most)) <= 0 },
		allowed: fmt.Sprintf("a number between %s and %s", plain(least), plain(most)),
	}
}

func plain(n float64) string {
	const bits = 64
	return strconv.FormatFloat(n, 'f', -1, bits)
}

// Finite accepts numbers that fit a float64.
func Finite() validator.Number {
	return number{
		fits:    func(n *big.Float) bool { return new(big.Float).Abs(n).Cmp(big.NewFloat(math.MaxFloat64)) <= 0 },
		allowed: "a number that fits 64 bits",
	}
}

type number struct {
	fits    func(*big.Float) bool
	allowed string
}

// Description implements validator.Describer.
func (v number) Description(context.Context) string { return v.allowed }

// MarkdownDescription implements validator.Describer.
func (v number) MarkdownDescription(context.Context) string { return v.allowed }

// ValidateNumber implements validator.Number.
func (v number) ValidateNumber(_ context.Context, req validator.NumberRequest, resp *validator.NumberResponse) {
	if n := req.ConfigValue; !n.IsNull() && !n.IsUnknown() && !v.fits(n.ValueBigFloat()) {
		const digits = 10
		resp.Diagnostics.AddAttributeError(req.Path, "Number out of range",
			fmt.Sprintf("Attribute %s must be %s, got: %s.", req.Path, v.allowed,
				n.ValueBigFloat().Text('g', digits)))
	}
}
