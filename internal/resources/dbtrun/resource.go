// Package dbtrun is the resource remediation_dbt_run: a front of the playbook rerun_dbt.
package dbtrun

import (
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	return tfkit.NewResource(tfkit.Front{
		Name: "dbt_run", Playbook: dbtrun.Describe(), Inputs: inputs(), Preview: preview(),
		Description: "Builds dbt models again. The plan shows the command line, the models that dbt itself selects, " +
			"what is " +
			"downstream of them, the estimate and who must approve; apply runs just that.",
	})
}

func inputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"models": schema.ListAttribute{
			Required: true, ElementType: types.StringType,
			MarkdownDescription: "dbt selectors, one an element, such as `inbox_emails` or `tag:triage`. dbt itself " +
				"resolves them.",
		},
		"exclude": schema.ListAttribute{
			Optional: true, ElementType: types.StringType, MarkdownDescription: "dbt selectors of what not to run.",
		},
		"upstream": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Also run everything that the models depend on. Default `false`.",
		},
		"full_refresh": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Rebuild incremental models from scratch. Needs an approval. Default `false`.",
		},
		"threads": schema.NumberAttribute{
			Optional: true, Computed: true, Default: tfkit.DefaultNumber(dbtrun.DefaultThreads),
			MarkdownDescription: "How many models run at once, 1 to 256. Default 4.",
		},
		"vars": schema.DynamicAttribute{
			Optional: true,
			MarkdownDescription: "Variables for dbt's `--vars`, as an object such as `{ days = 3 }`. Only variables " +
				"that the project declares " +
				"or reads are accepted. Not for secrets: they are shown in the plan.",
			Validators: []validator.Dynamic{tfkit.ObjectOnly()},
		},
		"task_id": schema.StringAttribute{
			Optional: true, MarkdownDescription: "A reference of your own, such as a ticket's, kept in the history.",
			Validators: []validator.String{tfkit.Label()},
		},
	}
}

func preview() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"dbt_version":     tfkit.Text("Version of dbt that listed the models."),
		"selected_models": tfkit.Texts("Models that will run, by name, as dbt itself selects them."),
		"downstream_models": tfkit.Texts("Models that read the selected ones, directly or not; the first of " +
			"them."),
		"downstream_model_count": tfkit.Number("How many models are downstream."),
		"exposures": tfkit.Texts("Exposures (dashboards and the like) that read what changes; the first " +
			"of them."),
		"exposure_count": tfkit.Number("How many exposures read what changes."),
	}
}
