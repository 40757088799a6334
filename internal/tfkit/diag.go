package tfkit

import (
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// addError converts err to diagnostics: the summary says what went wrong, the detail says why and what to do next. has
// reports whether the schema has an attribute; a diagnostic refers to its attribute if it does. Terraform prints the
// texts as they are, so hidden characters in them are shown by their code points.
func addError(diags *diag.Diagnostics, err error, summary string, has func(name string) bool) {
	for _, err := range split(err) {
		p := problem.Of(err, summary)
		what, detail := markup.Visible(p.What), markup.Visible(p.Detail())
		if len(p.Path) == 0 {
			diags.AddError(what, detail)
			continue
		}
		if !has(p.Path[0]) {
			diags.AddError(what, detail+"\n\nProvider setting: "+problem.Where(p.Path))
			continue
		}
		diags.AddAttributeError(AttributePath(p.Path), what, detail)
	}
}

// addWarning adds a warning that can contain texts of others.
func addWarning(diags *diag.Diagnostics, summary, detail string) {
	diags.AddWarning(markup.Visible(summary), markup.Visible(detail))
}

// split returns the errors in a result of errors.Join, to report each as a separate diagnostic.
func split(err error) []error {
	//nolint:errorlint // only the outermost join is split
	joined, ok := err.(interface{ Unwrap() []error })
	if _, isProblem := err.(*problem.Problem); ok && !isProblem { //nolint:errorlint // as above
		return joined.Unwrap()
	}
	return []error{err}
}

// AttributePath converts the path of a Problem to Terraform's.
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
