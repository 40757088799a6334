package inprocess

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// State is a resource as Terraform keeps it. Nil: it doesn't exist yet.
type State struct {
	Values  Values
	value   *tfprotov6.DynamicValue
	private []byte
}

// Change is a planned change of a resource, for Apply.
type Change struct {
	Answer
	name          string
	config, prior *tfprotov6.DynamicValue
	planned       *tfprotov6.DynamicValue
	private       []byte
}

// Change validates and plans a resource. The provider must be configured.
func (s *Server) Change(name string, values Values, prior *State) Change {
	s.t.Helper()
	schema := s.Schema.ResourceSchemas[name]
	if schema == nil {
		s.t.Fatalf("there is no resource %s", name)
	}
	c := Change{name: name, config: s.encode(schema, values), prior: s.null(schema)}
	proposal := proposed(schema, values)
	var private []byte
	if prior != nil {
		c.prior, private = prior.value, prior.private
		for name, v := range proposal {
			if _, computed := v.(Unknown); computed {
				proposal[name] = prior.Values[name]
			}
		}
	}
	planned, err := s.server.PlanResourceChange(s.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, Config: c.config, ProposedNewState: s.encode(schema, proposal), PriorState: c.prior,
		PriorPrivate: private,
	})
	s.must(err)
	c.planned, c.private = planned.PlannedState, planned.PlannedPrivate
	c.Answer = Answer{Stage: Plan, Diagnostics: planned.Diagnostics, Planned: s.decode(schema, planned.PlannedState)}
	return c
}

// Apply applies a change, and returns the new state and the diagnostics.
func (s *Server) Apply(c Change) (*State, []*tfprotov6.Diagnostic) {
	s.t.Helper()
	applied, err := s.server.ApplyResourceChange(s.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: c.name, Config: c.config, PriorState: c.prior, PlannedState: c.planned, PlannedPrivate: c.private,
	})
	s.must(err)
	values := s.decode(s.Schema.ResourceSchemas[c.name], applied.NewState)
	return &State{Values: maps.Clone(values), value: applied.NewState, private: applied.Private}, applied.Diagnostics
}
