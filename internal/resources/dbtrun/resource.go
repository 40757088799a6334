// Package dbtrun is the resource remediation_dbt_run, which runs the playbook rerun_dbt.
package dbtrun

import (
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// New returns the resource's constructor.
func New() func() resource.Resource {
	playbook := dbtrun.Describe()
	return tfkit.NewResource(tfkit.Front{
		Name: "dbt_run", Playbook: playbook, Inputs: inputs(playbook.Default), Preview: preview(),
		Routine: dbtrun.Routine,
		Description: "Runs dbt models again. The plan shows the command, the models that dbt selects, what is " +
			"downstream of them, the estimate, and who must approve. Apply runs exactly that.",
	})
}

// inputs returns the input attributes. fallback returns the sentence about an input's default.
func inputs(fallback func(string) string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"models": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "dbt selectors, one per element, such as `inbox_emails` or `tag:triage`. dbt " +
				"resolves them. Required without `selector`.",
		},
		"selector": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Name of a selector in `selectors.yml`, instead of `models` and `exclude`.",
		},
		"state": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Folder with the `manifest.json` of another run, for `state:` selectors and `defer`.",
		},
		"defer": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "Reads models that are not selected from where `state` built them. " +
				fallback("defer"),
		},
		"event_time_start": schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "Start of the event-time window of microbatch models, such as `2025-10-01` or " +
				"`2025-10-01T06:00:00`, in UTC. Set it with `event_time_end`.",
		},
		"event_time_end": schema.StringAttribute{
			Optional: true, MarkdownDescription: "End of the event-time window.",
		},
		"exclude": schema.ListAttribute{
			Optional: true, ElementType: types.StringType, MarkdownDescription: "dbt selectors of models not to run.",
		},
		"upstream": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Also runs everything that the models depend on. " + fallback("upstream"),
		},
		"full_refresh": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "Rebuilds incremental models from scratch. Needs an approval. " +
				fallback("full_refresh"),
		},
		"threads": schema.NumberAttribute{
			Optional:            true,
			MarkdownDescription: "Number of models that run at once, 1 to 256. Default: the number in the dbt profile.",
		},
		"vars": schema.DynamicAttribute{
			Optional: true,
			MarkdownDescription: "Variables for dbt's `--vars`, as an object such as `{ days = 3 }`. Only variables " +
				"that the project declares or reads are accepted. Not for secrets: the plan shows them, and " +
				"Terraform doesn't tell providers which values are sensitive. A text under a name such as " +
				"`db_password` is refused: read it with `env_var('DBT_ENV_SECRET_...')` instead.",
			Validators: []validator.Dynamic{tfkit.ObjectOnly()},
		},
		"retry_failed": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "Runs only the models that failed or were skipped in the last execution, with the " +
				"arguments of that execution. With `models` or `selector`, that is the last execution with the same " +
				"inputs, and everything runs if it succeeded or if there was none. " + fallback("retry_failed"),
		},
		"task_id": schema.StringAttribute{
			Optional: true, MarkdownDescription: "A reference of your own, such as a ticket. The history keeps it.",
			Validators: []validator.String{tfkit.Label()},
		},
	}
}

func preview() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"dbt_version": tfkit.Text("Version of dbt that listed the models."),
		"selected_models": tfkit.Texts("Models that will run, by name, as dbt selects them. If there are more than " +
			"8, only the first 3: a policy that looks for a model must then refuse by `selected_model_count`."),
		"selected_model_count": tfkit.Number("Number of models that will run."),
		"downstream_models": tfkit.Texts("Models that read the selected ones, directly or indirectly. If there are " +
			"more than 8, only the first 3."),
		"retried_execution": tfkit.Number("Number of the execution that is retried; null without `retry_failed`."),
	}
}
