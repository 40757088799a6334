// Package inprocess calls the provider through its protocol, within this process and in Terraform's order. It returns
// what Terraform would print as data, with the exact path of the attribute at fault.
package inprocess

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// Values is a configuration by attribute, as its JSON would be. Missing attributes are null.
type Values = map[string]any

// Unknown represents a value that is known after apply only.
type Unknown struct{}

// Stage is how far the processing of a configuration got before an error.
type Stage string

// Stages, in order.
const (
	Validate  Stage = "validate"  // terraform validate
	Configure Stage = "configure" // the provider block is read
	Plan      Stage = "plan"      // the target is read
)

// Answer is the provider's answer to a configuration.
type Answer struct {
	// Stage is the stage that ended with an error, or the last one.
	Stage       Stage
	Diagnostics []*tfprotov6.Diagnostic
	// Planned is what the plan of a resource shows, by attribute. Nil for everything else. Unknown values are missing.
	Planned Values
}

// Errors returns the errors among the diagnostics.
func (a Answer) Errors() []*tfprotov6.Diagnostic {
	return slices.DeleteFunc(slices.Clone(a.Diagnostics),
		func(d *tfprotov6.Diagnostic) bool { return d.Severity != tfprotov6.DiagnosticSeverityError })
}

// Server is one provider.
type Server struct {
	t      testing.TB
	server tfprotov6.ProviderServer
	Schema *tfprotov6.GetProviderSchemaResponse
}

// New starts the provider.
func New(t testing.TB, p provider.Provider) *Server {
	t.Helper()
	s := &Server{t: t, server: providerserver.NewProtocol6(p)()}
	var err error
	if s.Schema, err = s.server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// Provider validates and configures the provider block.
func (s *Server) Provider(block Values) Answer {
	s.t.Helper()
	config := s.encode(s.Schema.Provider, block)
	checked, err := s.server.ValidateProviderConfig(s.t.Context(),
		&tfprotov6.ValidateProviderConfigRequest{Config: config})
	s.must(err)
	if a := (Answer{Stage: Validate, Diagnostics: checked.Diagnostics}); len(a.Errors()) > 0 {
		return a
	}
	configured, err := s.server.ConfigureProvider(s.t.Context(),
		&tfprotov6.ConfigureProviderRequest{Config: config, TerraformVersion: "1.11.0"})
	s.must(err)
	return Answer{Stage: Configure, Diagnostics: configured.Diagnostics}
}

// Resource validates and plans the creation of a resource. The provider must be configured.
func (s *Server) Resource(name string, values Values) Answer {
	s.t.Helper()
	schema := s.Schema.ResourceSchemas[name]
	if schema == nil {
		s.t.Fatalf("there is no resource %s", name)
	}
	config := s.encode(schema, values)
	checked, err := s.server.ValidateResourceConfig(s.t.Context(),
		&tfprotov6.ValidateResourceConfigRequest{TypeName: name, Config: config})
	s.must(err)
	if a := (Answer{Stage: Validate, Diagnostics: checked.Diagnostics}); len(a.Errors()) > 0 {
		return a
	}
	planned, err := s.server.PlanResourceChange(s.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, Config: config, ProposedNewState: s.encode(schema, proposed(schema,
			values)), PriorState: s.null(schema),
	})
	s.must(err)
	return Answer{Stage: Plan, Diagnostics: planned.Diagnostics, Planned: s.decode(schema, planned.PlannedState)}
}

// decode returns the known values of an object.
func (s *Server) decode(schema *tfprotov6.Schema, v *tfprotov6.DynamicValue) Values {
	s.t.Helper()
	if v == nil {
		return nil
	}
	object, err := v.Unmarshal(schema.ValueType())
	s.must(err)
	var attributes map[string]tftypes.Value
	s.must(object.As(&attributes))
	known := Values{}
	for name, attribute := range attributes {
		if attribute.IsFullyKnown() {
			known[name], err = codec.Go(attribute)
			s.must(err)
		}
	}
	return known
}

// Import imports an execution into the state of a resource.
func (s *Server) Import(name, id string) Answer {
	s.t.Helper()
	imported, err := s.server.ImportResourceState(s.t.Context(),
		&tfprotov6.ImportResourceStateRequest{TypeName: name, ID: id})
	s.must(err)
	return Answer{Stage: Plan, Diagnostics: imported.Diagnostics}
}

// Data validates and reads a data source. The provider must be configured.
func (s *Server) Data(name string, values Values) Answer {
	s.t.Helper()
	schema := s.Schema.DataSourceSchemas[name]
	if schema == nil {
		s.t.Fatalf("there is no data source %s", name)
	}
	config := s.encode(schema, values)
	checked, err := s.server.ValidateDataResourceConfig(s.t.Context(),
		&tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: config})
	s.must(err)
	if a := (Answer{Stage: Validate, Diagnostics: checked.Diagnostics}); len(a.Errors()) > 0 {
		return a
	}
	read, err := s.server.ReadDataSource(s.t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: name,
		Config: config})
	s.must(err)
	return Answer{Stage: Plan, Diagnostics: read.Diagnostics}
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) null(schema *tfprotov6.Schema) *tfprotov6.DynamicValue {
	s.t.Helper()
	v, err := tfprotov6.NewDynamicValue(schema.ValueType(), tftypes.NewValue(schema.ValueType(), nil))
	s.must(err)
	return &v
}

// encode converts values to the schema's type. A name that the schema doesn't have is a mistake of the test, because
// Terraform itself would refuse it.
func (s *Server) encode(schema *tfprotov6.Schema, values Values) *tfprotov6.DynamicValue {
	s.t.Helper()
	object, ok := schema.ValueType().(tftypes.Object)
	if !ok {
		s.t.Fatalf("a schema of type %s", schema.ValueType())
	}
	values = withEmptyBlocks(schema.Block, values)
	if wrong := strangers("", object, values); len(wrong) > 0 {
		s.t.Fatalf("the schema has no %s", strings.Join(wrong, ", "))
	}
	unknown := map[string]bool{}
	encoded, err := codec.Terraform(object, known("", values, unknown))
	s.must(err)
	encoded, err = tftypes.Transform(encoded, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if unknown[Path(at)] {
			return tftypes.NewValue(v.Type(), tftypes.UnknownValue), nil
		}
		return v, nil
	})
	s.must(err)
	v, err := tfprotov6.NewDynamicValue(object, encoded)
	s.must(err)
	return &v
}

// known returns v with nulls for the unknown values in it, and adds their paths, as Path formats them, to unknown.
func known(at string, v any, unknown map[string]bool) any {
	switch v := v.(type) {
	case Unknown:
		unknown[at] = true
		return nil
	case Values:
		all := Values{}
		for name, in := range v {
			all[name] = known(strings.TrimPrefix(at+"."+name, "."), in, unknown)
		}
		return all
	case []any:
		all := make([]any, len(v))
		for i, in := range v {
			all[i] = known(fmt.Sprintf("%s[%d]", at, i), in, unknown)
		}
		return all
	default:
		return v
	}
}

// withEmptyBlocks adds empty lists for the repeated blocks that values lacks, as Terraform does.
func withEmptyBlocks(block *tfprotov6.SchemaBlock, values Values) Values {
	all := maps.Clone(values)
	if all == nil {
		all = Values{}
	}
	for _, b := range block.BlockTypes {
		switch v := all[b.TypeName].(type) {
		case nil:
			if b.Nesting == tfprotov6.SchemaNestedBlockNestingModeList {
				all[b.TypeName] = []any{}
			}
		case Values:
			all[b.TypeName] = withEmptyBlocks(b.Block, v)
		case []any:
			var elements []any
			for _, e := range v {
				if in, ok := e.(Values); ok {
					e = withEmptyBlocks(b.Block, in)
				}
				elements = append(elements, e)
			}
			all[b.TypeName] = elements
		}
	}
	return all
}

// strangers returns the names in v that t doesn't have.
func strangers(at string, t tftypes.Type, v any) []string {
	var wrong []string
	switch v := v.(type) {
	case map[string]any:
		for name, in := range v {
			switch t := t.(type) {
			case tftypes.Object:
				if t.AttributeTypes[name] == nil {
					wrong = append(wrong, at+"."+name)
				}
				wrong = append(wrong, strangers(at+"."+name, t.AttributeTypes[name], in)...)
			case tftypes.Map:
				wrong = append(wrong, strangers(at+"."+name, t.ElementType, in)...)
			}
		}
	case []any:
		for i, in := range v {
			if list, ok := t.(tftypes.List); ok {
				wrong = append(wrong, strangers(fmt.Sprintf("%s.%d", at, i), list.ElementType, in)...)
			}
		}
	}
	return wrong
}

// proposed is what Terraform proposes for a new resource: computed attributes that are not configured are unknown.
func proposed(schema *tfprotov6.Schema, values Values) Values {
	all := Values{}
	for _, a := range schema.Block.Attributes {
		all[a.Name] = values[a.Name]
		if a.Computed && values[a.Name] == nil {
			all[a.Name] = Unknown{}
		}
	}
	for _, b := range schema.Block.BlockTypes {
		all[b.TypeName] = values[b.TypeName]
	}
	return all
}

// Path formats an attribute's path for messages: approval.freeze[0].name, servers["v1"].
func Path(p *tftypes.AttributePath) string {
	var b strings.Builder
	if p == nil {
		return ""
	}
	for _, step := range p.Steps() {
		switch step := step.(type) {
		case tftypes.AttributeName:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(string(step))
		case tftypes.ElementKeyInt:
			fmt.Fprintf(&b, "[%d]", int64(step))
		case tftypes.ElementKeyString:
			fmt.Fprintf(&b, "[%q]", string(step))
		case tftypes.ElementKeyValue:
			var s string
			if v := tftypes.Value(step); v.As(&s) == nil {
				fmt.Fprintf(&b, "[%s]", s)
			} else {
				fmt.Fprintf(&b, "[%s]", v)
			}
		}
	}
	return b.String()
}
