package tfkit

import (
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// addError turns err into one diagnostic: what went wrong as its summary, why and what to do next as its text, at the
// attribute at fault where the schema, whose attributes has tells, knows it.
func addError(diags *diag.Diagnostics, err error, summary string, has func(name string) bool) {
	for _, err := range split(err) {
		p := problem.Of(err, summary)
		detail := p.Detail()
		if len(p.Path) == 0 {
			diags.AddError(p.What, detail)
			continue
		}
		if !has(p.Path[0]) {
			diags.AddError(p.What, detail+"\n\nProvider setting: "+problem.Where(p.Path))
			continue
		}
		diags.AddAttributeError(AttributePath(p.Path), p.What, detail)
	}
}

// split takes joined errors apart, so that each becomes a diagnostic of its own.
func split(err error) []error {
	//nolint:errorlint // only the outermost join is taken apart
	joined, ok := err.(interface{ Unwrap() []error })
	if _, isProblem := err.(*problem.Problem); ok && !isProblem { //nolint:errorlint // as above
		return joined.Unwrap()
	}
	return []error{err}
}

// AttributePath is the path of a Problem as Terraform has it.
func AttributePath(steps []string) path.Path {
	p := path.Root(steps[0])
	for _, step := range steps[1:] {
		i, err := strconv.Atoi(step)
		key, isKey := problem.IsKey(step)
		switch {
		case err == nil:
			p = p.AtListIndex(i)
		case isKey:
			p = p.AtMapKey(key)
		default:
			p = p.AtName(step)
		}
	}
	return p
}
