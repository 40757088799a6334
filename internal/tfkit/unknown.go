package tfkit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// decisive are the common inputs that must be known for a preview, because the digest covers them. Triggers are covered
// too, and may be unknown; see engine.Request.
var decisive = []string{attrOnDestroy, blockTimeouts, blockGuardrail}

// unknownInputs returns the paths of the inputs that must be known for a preview and are not: for each input, the path
// of its first unknown value.
func (r *Resource) unknownInputs(d document) [][]string {
	names := append(slices.Collect(maps.Keys(r.front.Inputs)), decisive...)
	slices.Sort(names)
	var paths [][]string
	for _, name := range slices.Compact(names) {
		if !d.known(name) {
			paths = append(paths, append([]string{name}, firstUnknown(d.values[name])...))
		}
	}
	return paths
}

// errFound ends the walk in firstUnknown.
var errFound = errors.New("found")

// firstUnknown returns the path of the first unknown value within v, as far as it has names. A member of a set has
// none.
func firstUnknown(v tftypes.Value) []string {
	var steps []string
	_ = tftypes.Walk(v, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		if v.IsKnown() {
			return true, nil
		}
		for _, step := range at.Steps() {
			switch step := step.(type) {
			case tftypes.AttributeName:
				steps = append(steps, string(step))
			case tftypes.ElementKeyInt:
				steps = append(steps, strconv.FormatInt(int64(step), 10))
			case tftypes.ElementKeyString:
				steps = append(steps, problem.Key(string(step)))
			default:
				return false, errFound
			}
		}
		return false, errFound
	})
	return steps
}

// previewedAtApply says what happens to an execution that can't be previewed at plan.
const previewedAtApply = "The execution is previewed during apply, before it runs. If it needs an approval, that " +
	"apply refuses it. Then plan again, and approve what the second plan shows."

// warnUnknown warns that the execution can't be previewed, and names the inputs that are missing.
func (p *planning) warnUnknown() {
	subject := p.resource.front.Playbook.Metadata().ActionType + " can't be previewed yet: "
	paths := p.resource.unknownInputs(p.plan)
	if len(paths) == 0 {
		p.resp.Diagnostics.AddWarning(subject+"the provider block is not known",
			"A value in the provider block becomes known during apply. "+previewedAtApply)
		return
	}
	names := make([]string, len(paths))
	for i, at := range paths {
		names[i] = problem.Where(at)
	}
	is := "is"
	if len(names) > 1 {
		is = "are"
	}
	what := strings.Join(names, ", ")
	p.resp.Diagnostics.AddAttributeWarning(AttributePath(paths[0]), fmt.Sprintf("%s%s %s not known", subject, what, is),
		fmt.Sprintf("The configuration gets %s from a value that becomes known during apply. %s", what,
			previewedAtApply))
}
