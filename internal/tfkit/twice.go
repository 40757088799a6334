package tfkit

import (
	"context"
	"errors"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// schemaRefuses reports whether err is about a number that the schema refuses, too. Terraform shows the schema's error,
// and one mistake needs one error.
func (r *Resource) schemaRefuses(ctx context.Context, config document, err error) bool {
	var p *problem.Problem
	if !errors.As(err, &p) || len(p.Path) != 1 {
		return false
	}
	attribute, ok := r.front.Inputs[p.Path[0]].(interface{ NumberValidators() []validator.Number })
	if !ok {
		return false
	}
	var n *big.Float
	if config.values[p.Path[0]].As(&n) != nil || n == nil {
		return false
	}
	for _, v := range attribute.NumberValidators() {
		var resp validator.NumberResponse
		v.ValidateNumber(ctx, validator.NumberRequest{Path: path.Root(p.Path[0]), ConfigValue: types.NumberValue(n)},
			&resp)
		if resp.Diagnostics.HasError() {
			return true
		}
	}
	return false
}
