package provider

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// call is a read and a plan of the same resource.
type call struct {
	typ   tftypes.Object
	read  *tfprotov6.ReadResourceRequest
	plan  *tfprotov6.PlanResourceChangeRequest
	label string
}

// String implements fmt.Stringer.
func (c call) String() string { return c.label }

// generator makes states and configurations of one type.
type generator struct {
	random *rand.Rand
	name   string
	typ    tftypes.Object
	made   int
}

// next makes a state that Terraform could hold, and calls for it: mostly unchanged, else with a difference.
func (g *generator) next(t *testing.T) call {
	t.Helper()
	g.made++
	state, config := map[string]tftypes.Value{}, map[string]tftypes.Value{}
	for _, name := range names(g.typ) {
		state[name] = g.member(name)
		config[name] = state[name]
		if g.chance(3) {
			config[name] = g.absent(name)
		}
	}
	state["status"] = tftypes.NewValue(tftypes.String, g.status())
	prior := encoded(t, g.typ, tftypes.NewValue(g.typ, state))
	proposed := prior
	if g.chance(10) {
		changed := names(g.typ)[g.random.IntN(len(g.typ.AttributeTypes))]
		state[changed] = g.member(changed)
		proposed = encoded(t, g.typ, tftypes.NewValue(g.typ, state))
	}
	var private []byte
	switch {
	case g.chance(20):
		private = []byte(`{"note":"eyJhIjoxfQ=="}`)
	case g.chance(2):
		private = fmt.Appendf(nil, `{%q:"eyJhIjoxfQ=="}`, tfkit.PrivateMark)
	}
	return call{
		typ: g.typ, label: fmt.Sprintf("%s, state %d", g.name, g.made),
		read: &tfprotov6.ReadResourceRequest{TypeName: g.name, CurrentState: prior, Private: private},
		plan: &tfprotov6.PlanResourceChangeRequest{TypeName: g.name, PriorState: prior, ProposedNewState: proposed,
			Config: encoded(t, g.typ, tftypes.NewValue(g.typ, config)), PriorPrivate: private},
	}
}

func (g *generator) chance(oneIn int) bool { return g.random.IntN(oneIn) == 0 }

func (g *generator) status() string {
	all := []string{"skipped", "failed", "cancelled", "unknown", "running", "pending", ""}
	if g.chance(len(all)) {
		return all[g.random.IntN(len(all))]
	}
	return "success"
}

// member makes the value of an attribute or of nested blocks. Terraform encodes absent blocks as an empty list.
func (g *generator) member(name string) tftypes.Value {
	v := g.value(g.typ.AttributeTypes[name])
	if v.IsNull() {
		return g.absent(name)
	}
	return v
}

func (g *generator) absent(name string) tftypes.Value {
	typ := g.typ.AttributeTypes[name]
	if list, ok := typ.(tftypes.List); ok && list.ElementType.Is(tftypes.Object{}) {
		return tftypes.NewValue(typ, []tftypes.Value{})
	}
	return tftypes.NewValue(typ, nil)
}

// value makes a known value, or null.
func (g *generator) value(typ tftypes.Type) tftypes.Value {
	if g.chance(6) {
		return tftypes.NewValue(typ, nil)
	}
	switch typ := typ.(type) {
	case tftypes.Object:
		members := map[string]tftypes.Value{}
		for _, name := range names(typ) {
			members[name] = g.value(typ.AttributeTypes[name])
		}
		return tftypes.NewValue(typ, members)
	case tftypes.List:
		return tftypes.NewValue(typ, g.elements(typ.ElementType))
	case tftypes.Set:
		return tftypes.NewValue(typ, g.elements(typ.ElementType)[:g.random.IntN(2)])
	case tftypes.Map:
		members := map[string]tftypes.Value{}
		for range g.random.IntN(3) {
			members[g.text()] = g.value(typ.ElementType)
		}
		return tftypes.NewValue(typ, members)
	}
	switch {
	case typ.Is(tftypes.String):
		return tftypes.NewValue(typ, g.text())
	case typ.Is(tftypes.Number):
		return tftypes.NewValue(typ, g.random.Int64N(1<<40)) // whole: an attribute may be an integer
	case typ.Is(tftypes.Bool):
		return tftypes.NewValue(typ, g.chance(2))
	default:
		return tftypes.NewValue(tftypes.String, g.text())
	}
}

func (g *generator) elements(typ tftypes.Type) []tftypes.Value {
	all := make([]tftypes.Value, 1+g.random.IntN(2))
	for i := range all {
		all[i] = g.value(typ)
		for all[i].IsNull() && typ.Is(tftypes.Object{}) { // a block is there or not, and never null
			all[i] = g.value(typ)
		}
	}
	return all
}

func (g *generator) text() string {
	all := []string{"", "keep", "rollback", "report", "success", "é\n\"<", "2026-03-01T03:00:00Z", "kb-7", "20m",
		"null"}
	if g.chance(2) {
		return all[g.random.IntN(len(all))]
	}
	return fmt.Sprint(g.random.Uint64())
}
