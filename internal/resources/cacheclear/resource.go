// Package cacheclear is the resource remediation_cache_clear, which runs the playbook clear_cache.
package cacheclear

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := cacheclear.Describe()
	return tfkit.NewResource(tfkit.Front{
		Name: "cache_clear", Playbook: playbook,
		Description: "Clears caches of Elasticsearch indices. The plan resolves the name to concrete indices and " +
			"shows which caches are cleared; `result.details` has their sizes before and after.",
		Inputs: map[string]schema.Attribute{
			"index_name": schema.StringAttribute{
				Required: true, MarkdownDescription: "Index, alias, pattern, or data stream.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"cache_types": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Which caches: `query`, `request`, `fielddata`. Default: all three.",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
			},
			"fields": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Clears the field data of these fields only.",
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues()},
			},
			"allow_all": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Allows `_all` and `*` as `index_name`. " + playbook.Default("allow_all"),
			},
		},
		Preview: map[string]schema.Attribute{
			"indices": tfkit.Texts("Concrete indices whose caches are cleared. Those of a pattern or data " +
				"stream may change until apply."),
		},
	})
}
