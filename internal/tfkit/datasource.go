package tfkit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// DataFront is what one data source adds to the code that all of them share.
type DataFront struct {
	// Name is the data source's name without the provider's prefix.
	Name string
	// Schema describes the data source.
	Schema schema.Schema
	// Read takes the configured values and returns the computed ones, by attribute name.
	Read func(ctx context.Context, runtime *Runtime, config Values) (map[string]any, error)
	// Warnings names a computed list of strings that are also shown as one warning. Empty: there is none.
	Warnings string
}

// Values are the configured values of a data source.
type Values struct{ d document }

// Get decodes an attribute into a Go value, by its JSON. A null leaves into unchanged.
func (v Values) Get(name string, into any) error { return v.d.get(name, into) }

// Text returns a string attribute, or "".
func (v Values) Text(name string) string { return v.d.text(name) }

// Request returns the request of a data source that takes action_type, params as JSON, and the inputs of PreviewInputs.
func (v Values) Request(of playbook.Description) (engine.Request, error) {
	req := engine.Request{ActionType: v.d.text("action_type")}
	params, err := v.withGuardrails(of)
	if err != nil {
		return req, err
	}
	if req.Params, err = of.Normalize(params); err != nil {
		return req, within("params", err)
	}
	if err := checkApprovals(v.d); err != nil {
		return req, err
	}
	return req, v.d.common(&req, of.Metadata(), "create")
}

// withGuardrails returns params, with the guardrail blocks if they are inputs of the playbook.
func (v Values) withGuardrails(of playbook.Description) (json.RawMessage, error) {
	params := json.RawMessage(v.d.text("params"))
	if !of.Metadata().Gate {
		return params, nil
	}
	var all map[string]any
	if err := playbook.Decode(params, &all); err != nil {
		return nil, within("params", err)
	}
	rails, err := v.d.writtenGuardrails()
	if err != nil {
		return nil, err
	}
	all[playbook.InputGuardrails] = rails
	return json.Marshal(all)
}

// within changes the path of err from a playbook's input to the attribute that contains all inputs.
func within(attribute string, err error) error {
	p := *problem.Of(err, "Invalid parameters")
	if len(p.Path) > 0 {
		p.Why = fmt.Sprintf("%s (%s): %s", attribute, problem.Where(p.Path), p.Why)
	}
	p.Path = []string{attribute}
	return &p
}

type dataSource struct {
	front   DataFront
	runtime *Runtime
}

var _ datasource.DataSourceWithConfigure = &dataSource{}

// NewDataSource returns the constructor that the provider registers.
func NewDataSource(front DataFront) func() datasource.DataSource {
	return func() datasource.DataSource { return &dataSource{front: front} }
}

// Metadata implements datasource.DataSource.
func (s *dataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + s.front.Name
}

// Schema implements datasource.DataSource.
func (s *dataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = s.front.Schema
}

// Configure implements datasource.DataSourceWithConfigure.
func (s *dataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	if req.ProviderData == nil {
		return
	}
	runtime, ok := req.ProviderData.(*Runtime)
	if !ok {
		resp.Diagnostics.AddError("Unexpected provider data",
			fmt.Sprintf("Got %T. This is a bug in the provider.", req.ProviderData))
		return
	}
	s.runtime = runtime
}

// Read implements datasource.DataSource.
func (s *dataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	if err := s.read(ctx, req, resp); err != nil {
		addError(&resp.Diagnostics, err, "Unable to read "+s.front.Name, func(name string) bool {
			_, isAttribute := s.front.Schema.Attributes[name]
			_, isBlock := s.front.Schema.Blocks[name]
			return isAttribute || isBlock
		})
	}
}

func (s *dataSource) read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) error {
	if s.runtime == nil || s.runtime.Engine == nil {
		return fmt.Errorf("the provider's configuration is not known")
	}
	d, err := openDocument(req.Config.Raw)
	if err != nil {
		return err
	}
	values, err := s.front.Read(s.runtime.logged(ctx), s.runtime, Values{d: d})
	if err != nil {
		return err
	}
	for name, v := range values {
		if err := d.set(name, v); err != nil {
			return err
		}
	}
	if warnings, ok := values[s.front.Warnings].([]string); ok && len(warnings) > 0 {
		addWarning(&resp.Diagnostics, fmt.Sprintf("The data source %s is incomplete", s.front.Name),
			strings.Join(warnings, "\n\n"))
	}
	resp.State.Raw = d.raw()
	return nil
}
