package unchanged_test

import (
	"context"
	"maps"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/unchanged"
)

// behind is a server with the types of kinds. It answers nil, which the front never does.
type behind struct {
	unchanged.Server
}

func (behind) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (
	*tfprotov6.GetProviderSchemaResponse, error) {
	schemas := map[string]*tfprotov6.Schema{}
	for name, attributes := range kinds() {
		schemas[name] = &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: attributes}}
	}
	return &tfprotov6.GetProviderSchemaResponse{ResourceSchemas: schemas}, nil
}

func (behind) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (
	*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{
		IdentitySchemas: map[string]*tfprotov6.ResourceIdentitySchema{"identified": {}}}, nil
}

func (behind) ReadResource(context.Context, *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return nil, nil
}

func (behind) PlanResourceChange(context.Context, *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error) {
	return nil, nil
}

func kinds() map[string][]*tfprotov6.SchemaAttribute {
	status := &tfprotov6.SchemaAttribute{Name: "status", Type: tftypes.String, Computed: true}
	input := &tfprotov6.SchemaAttribute{Name: "input", Type: tftypes.String, Optional: true}
	defaulted := &tfprotov6.SchemaAttribute{Name: "input", Type: tftypes.String, Optional: true, Computed: true}
	return map[string][]*tfprotov6.SchemaAttribute{
		"plain": {status, input}, "identified": {status, input}, "defaulted": {status, defaulted},
		"no_status":  {input},
		"watched":    {status, input, {Name: "on_drift", Type: tftypes.String, Optional: true}},
		"write_only": {status, {Name: "input", Type: tftypes.String, Optional: true, WriteOnly: true}},
		"nested": {status, input, {Name: "inner", Optional: true, NestedType: &tfprotov6.SchemaObject{
			Attributes: []*tfprotov6.SchemaAttribute{defaulted}}}},
	}
}

func TestFrontAnswersOnlyForUnchangedResources(t *testing.T) {
	t.Parallel()
	unknown := any(tftypes.UnknownValue)
	for name, tt := range map[string]struct {
		kind           string
		state          map[string]any // over the usual one
		config         map[string]any
		proposed       map[string]any
		private        []byte
		identity       *tfprotov6.ResourceIdentityData
		deferrable     bool
		null, json     bool
		reads, planned bool
	}{
		"unchanged":                          {kind: "plain", reads: true, planned: true},
		"another input":                      {kind: "plain", proposed: map[string]any{"input": "b"}, reads: true},
		"an unknown input":                   {kind: "plain", proposed: map[string]any{"input": unknown}, reads: true},
		"an unknown status":                  {kind: "plain", state: map[string]any{"status": unknown}},
		"no status":                          {kind: "plain", state: map[string]any{"status": nil}},
		"skipped":                            {kind: "plain", state: map[string]any{"status": "skipped"}},
		"failed":                             {kind: "plain", state: map[string]any{"status": "failed"}},
		"running":                            {kind: "plain", state: map[string]any{"status": "running"}},
		"unknown outcome":                    {kind: "plain", state: map[string]any{"status": "unknown"}},
		"private state":                      {kind: "plain", private: []byte(`{"a":"MQ=="}`)},
		"private state that is not read":     {kind: "plain", private: []byte(`{"mark":"MQ=="}`), reads: true, planned: true},
		"private state that is read in part": {kind: "plain", private: []byte(`{"a":"MQ==","mark":"MQ=="}`)},
		"private state in another encoding":  {kind: "plain", private: []byte(`{"mark": "MQ=="}`)},
		"private state that is no object":    {kind: "plain", private: []byte(`null`)},
		"an identity":                        {kind: "plain", identity: &tfprotov6.ResourceIdentityData{}},
		"a client that accepts deferral":     {kind: "plain", deferrable: true},
		"null":                               {kind: "plain", null: true},
		"encoded as JSON":                    {kind: "plain", json: true},
		"a kind with an identity":            {kind: "identified"},
		"a kind without a status":            {kind: "no_status"},
		"a kind that watches for drift":      {kind: "watched"},
		"a kind with a write-only value":     {kind: "write_only"},
		"a kind with a nested default":       {kind: "nested"},
		"an unknown kind":                    {kind: "elsewhere"},
		"a default, configured":              {kind: "defaulted", reads: true, planned: true},
		"a default, not configured":          {kind: "defaulted", config: map[string]any{"input": nil}, reads: true},
		"a default, configured as unknown":   {kind: "defaulted", config: map[string]any{"input": unknown}, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := 0
			front := unchanged.Front(behind{}, map[string]func([]byte){"mark": func(value []byte) {
				if told++; string(value) != "1" {
					t.Errorf("told %q", value)
				}
			}}, func([]byte) {})
			state := value(t, tt.null, tt.state)
			proposed := value(t, tt.null, tt.state, tt.proposed)
			if tt.json {
				state.MsgPack, state.JSON = nil, []byte(`{"status":"success","input":"a"}`)
				proposed = state
			}
			read, _ := front.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
				TypeName: tt.kind, CurrentState: state, Private: tt.private, CurrentIdentity: tt.identity,
				ClientCapabilities: &tfprotov6.ReadResourceClientCapabilities{DeferralAllowed: tt.deferrable}})
			if (read != nil) != tt.reads {
				t.Errorf("the front answered a read: %v, want %v", read != nil, tt.reads)
			}
			plan, _ := front.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
				TypeName: tt.kind, PriorState: state, ProposedNewState: proposed, Config: value(t, false, tt.config),
				PriorPrivate: tt.private, PriorIdentity: tt.identity,
				ClientCapabilities: &tfprotov6.PlanResourceChangeClientCapabilities{DeferralAllowed: tt.deferrable}})
			if (plan != nil) != tt.planned {
				t.Errorf("the front answered a plan: %v, want %v", plan != nil, tt.planned)
			}
			want := 0
			if tt.private != nil && tt.reads {
				want = 2 // once per answer
			}
			if told != want {
				t.Errorf("private state was told %d times, want %d", told, want)
			}
		})
	}
}

// value returns an encoded object, with the given differences.
func value(t *testing.T, null bool, different ...map[string]any) *tfprotov6.DynamicValue {
	t.Helper()
	typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"status": tftypes.String, "input": tftypes.String}}
	plain := map[string]any{"status": "success", "input": "a"}
	for _, d := range different {
		maps.Copy(plain, d)
	}
	members := map[string]tftypes.Value{}
	for name, v := range plain {
		members[name] = tftypes.NewValue(tftypes.String, v)
	}
	object := tftypes.NewValue(typ, members)
	if null {
		object = tftypes.NewValue(typ, nil)
	}
	d, err := tfprotov6.NewDynamicValue(typ, object)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}
