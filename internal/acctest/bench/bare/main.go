// Command bare is a provider without any logic, built on the same framework as ours: the minimum cost of a provider.
// Its resource has the eight attributes of hashicorp/random's random_id, and one that pads the state.
package main

import (
	"context"
	"log"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const protocol = 6

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return &bare{} },
		providerserver.ServeOpts{Address: "registry.terraform.io/applylens/bare", ProtocolVersion: protocol})
	if err != nil {
		log.Fatal(err)
	}
}

type bare struct{}

func (*bare) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "bare"
}

func (*bare) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (*bare) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (*bare) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (*bare) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &id{} }}
}

// id is the resource bare_id.
type id struct{}

type model struct {
	Keepers    types.Map    `tfsdk:"keepers"`
	ByteLength types.Int64  `tfsdk:"byte_length"`
	Prefix     types.String `tfsdk:"prefix"`
	Padding    types.Int64  `tfsdk:"padding"`
	ID         types.String `tfsdk:"id"`
	B64URL     types.String `tfsdk:"b64_url"`
	B64Std     types.String `tfsdk:"b64_std"`
	Hex        types.String `tfsdk:"hex"`
	Dec        types.String `tfsdk:"dec"`
}

func (*id) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "bare_id"
}

func (*id) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	kept := schema.StringAttribute{Computed: true,
		PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"keepers":     schema.MapAttribute{Optional: true, ElementType: types.StringType},
		"byte_length": schema.Int64Attribute{Required: true},
		"prefix":      schema.StringAttribute{Optional: true},
		"padding":     schema.Int64Attribute{Optional: true},
		"id":          kept, "b64_url": kept, "b64_std": kept, "hex": kept, "dec": kept,
	}}
}

func (*id) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	m.ID, m.B64URL, m.B64Std = types.StringValue("vSnRbQ"), types.StringValue("vSnRbQ"), types.StringValue("vSnRbQ==")
	m.Hex, m.Dec = types.StringValue("bd29d16d"), types.StringValue(strings.Repeat("3", int(m.Padding.ValueInt64())+1))
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (*id) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (*id) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (*id) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
