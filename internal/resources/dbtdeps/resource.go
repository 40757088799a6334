// Package dbtdeps is the resource remediation_dbt_deps, which runs the playbook refresh_dbt_dependencies.
package dbtdeps

import (
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtdeps"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := dbtdeps.Describe()
	return tfkit.NewResource(tfkit.Front{
		Name: "dbt_deps", Playbook: playbook,
		Description: "Installs the packages of the dbt project and compiles it. The plan resolves the packages in a " +
			"copy of the project and shows which would change. A failed compilation restores the old packages, byte " +
			"for byte. A `remediation_dbt_run` with the digest in `after` is planned with the new packages.",
		Inputs: map[string]schema.Attribute{
			"upgrade": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Ignores `package-lock.yml` and installs the newest versions that the project " +
					"allows. " + playbook.Default("upgrade"),
			},
			"vars": schema.DynamicAttribute{
				Optional: true,
				MarkdownDescription: "Variables for dbt's `--vars` that the project needs to compile, as an object " +
					"such as `{ days = 3 }`. Not for secrets: the plan shows them. A text under a name such as " +
					"`db_password` is refused: read it with `env_var('DBT_ENV_SECRET_...')` instead.",
				Validators: []validator.Dynamic{tfkit.ObjectOnly()},
			},
			"task_id": schema.StringAttribute{
				Optional: true, MarkdownDescription: "A reference of your own, such as a ticket. The history keeps it.",
				Validators: []validator.String{tfkit.Label()},
			},
		},
		Preview: map[string]schema.Attribute{
			"packages": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "Packages whose version would change.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":    tfkit.Text("Name of the package."),
					"current": tfkit.Text("Installed version; empty if the package is not installed."),
					"planned": tfkit.Text("Version to install; empty if the package would be removed."),
				}},
			},
			"package_lock_changes": schema.BoolAttribute{Computed: true,
				MarkdownDescription: "Whether `package-lock.yml` would change."},
			"dbt_version": tfkit.Text("Version of dbt that resolved the packages."),
		},
	})
}
