package cacheclear

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// checkFields refuses fields that none of the indices has, and aliases of fields: Elasticsearch would clear nothing for
// them, without an error.
func (a action) checkFields(ctx context.Context, p *playbook.Preview, found elastic.Resolution) error {
	if len(a.params.Fields) == 0 {
		return nil
	}
	indices, err := a.elastic.Describe(ctx, found.Indices)
	if errors.Is(err, elastic.ErrForbidden) {
		p.Figures = append(p.Figures, "Whether the fields exist can't be read: "+problem.Of(err, "").Why)
		return nil
	}
	if err != nil {
		return problem.At(err, "index_name")
	}
	var known []string
	aliases := map[string]string{}
	for _, index := range indices {
		names, refers := index.FieldNames()
		known = append(known, names...)
		maps.Copy(aliases, refers)
	}
	for _, name := range a.params.Fields {
		if elastic.IsInternal(name) || slices.Contains(known, name) {
			continue
		}
		out := &problem.Problem{
			What: fmt.Sprintf("No field data is cached under the name %q", name),
			Why:  "No index has a field with this name.", Next: "Check the spelling.",
			Path: []string{"fields"}, Err: elastic.ErrNotFound,
		}
		if to := aliases[name]; to != "" {
			out.Why, out.Next = fmt.Sprintf("It is an alias of the field %q.", to), fmt.Sprintf("Write %q.", to)
		} else if near := text.Nearest(name, known); len(near) > 0 {
			out.Why += fmt.Sprintf(" The nearest names are: %s.", strings.Join(near, ", "))
		}
		return out
	}
	return nil
}
