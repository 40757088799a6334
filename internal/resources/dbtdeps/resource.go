// Package dbtdeps is the resource remediation_dbt_deps: a front of the playbook refresh_dbt_dependencies.
package dbtdeps

import (
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtdeps"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "dbt_deps", Playbook: dbtdeps.Describe(),
		Description: "Installs the packages of the dbt project anew and compiles it. The plan works out on a copy " +
			"which packages would " +
			"change. A failed compilation puts the old packages back, byte for byte.",
		Inputs: map[string]schema.Attribute{
			"upgrade": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Ignore `package-lock.yml` and take the newest versions that the project " +
					"allows. Default `false`.",
			},
			"task_id": schema.StringAttribute{
				Optional: true, MarkdownDescription: "A reference of your own, such as a ticket's, kept in the " +
					"history.",
				Validators: []validator.String{tfkit.Label()},
			},
		},
		Preview: map[string]schema.Attribute{
			"packages": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Packages whose version would change.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":    tfkit.Text("Name of the package."),
					"current": tfkit.Text("Installed version; empty where it is not installed."),
					"planned": tfkit.Text("Version to be installed; empty where it would be removed."),
				}},
			},
			"package_lock_changes": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether `package-lock.yml` would change."},
			"dbt_version": tfkit.Text("Version of dbt that resolved the packages."),
		},
	})
}
